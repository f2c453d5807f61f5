"""What follows from reports, traffic, verdicts and activations, for badcases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlife.badcases.commands import settle, unmute
from mlife.badcases.events import (
    BadcaseMerged,
    BadcaseRejoined,
    BadcaseReported,
    BadcaseSplit,
    BadcaseUnmerged,
    GroupingApplied,
    GroupingUnapplied,
    ReportCorrected,
    TrafficCounted,
)
from mlife.badcases.settling import Answering, Fixed, Scene, Settled, look
from mlife.badcases.views import settling as seen
from mlife.badcases.views.turns import due_mutes
from mlife.core.events import Recorded
from mlife.core.handler import Do, handler, timer
from mlife.core.projection import Reader
from mlife.serving.events import DeploymentActivated, ModelJudged
from mlife.serving.views import policy_of

REGROUPED = (
    *(BadcaseMerged, BadcaseUnmerged, BadcaseSplit, BadcaseRejoined),
    *(ReportCorrected, GroupingApplied, GroupingUnapplied),
)
"""After these other reports are counted in a badcase than before."""


def about(r: Recorded[Any]) -> str:
    """The function that a fact is about; empty after the slash: all of its system."""
    return f"{r.json.get('system') or ''}/{r.json.get('function') or ''}"


@handler(
    "badcases.settle",
    on=(BadcaseReported, TrafficCounted, DeploymentActivated, ModelJudged),
    latest_per=about,
)
def settle_what_the_field_shows(fact: Recorded[Any], do: Do) -> None:
    """
    Close what is fixed, active and baked; say what came back. One command, one append.

    Safe to repeat: it looks at the tables as they are, and what was recorded is passed over.
    """
    system, function = fact.event.system, fact.event.function
    if system is None:
        return
    with do.read() as read:
        names = [function] if function else seen.functions_judged(read, system)
        found = looked(read, [(system, name) for name in names])
    _record(do, found)


@handler("badcases.settle_regrouped", on=REGROUPED, latest_per=lambda _: "all")
def settle_what_is_counted_elsewhere(fact: Recorded[Any], do: Do) -> None:  # noqa: ARG001 - any of them means: look
    """
    Judge again after reports were counted elsewhere: a merge can bring a failure into a closed badcase.

    Safe to repeat, as `badcases.settle`.
    """
    with do.read() as read:
        found = looked(read, seen.settled_functions(read))
    _record(do, found)


def looked(read: Reader, functions: Iterable[tuple[str, str]]) -> Settled:
    """What is to be recorded of the badcases of *functions*, each with its system."""
    found = Settled()
    for system, name in functions:
        look(scene_of(read, system, name), judged_of(read, system, name), policy_of(read, system, name), found)
    return found


def _record(do: Do, found: Settled) -> None:
    if found:
        do(settle, closings=found.closings, regressions=found.regressions, reopenings=found.reopenings)


def judged_of(read: Reader, system: str, function: str) -> tuple[Fixed, ...]:
    """The badcases that closings and regressions are about."""
    return tuple(
        Fixed(
            *(one.badcase_id, one.closed_by, one.regressed_by, one.standings, one.judged),
            regressed_at=one.regressed_at,
            regrouped=one.regrouped,
            returned=one.returned,
        )
        for one in seen.judged(read, system, function)
    )


def scene_of(read: Reader, system: str, function: str) -> Scene:
    """What they depend on."""

    def files(badcase_id: str, version: str, after: int) -> int:
        return seen.files_on(read, badcase_id, version, after)

    return Scene(
        tuple(
            Answering(a.deployment_id, a.version, a.model_ids, a.requests, a.since, a.iteration_ids)
            for a in seen.answering(read, system, function)
        ),
        seen.parents(read),
        seen.models_of_versions(read, system),
        seen.requests_of(read, system, function),
        files,
    )


@timer("badcases.end_mute", due=due_mutes)
def end_the_mute(row: Any, do: Do) -> None:
    """The time of a mute has come."""
    do(unmute, badcase_id=row.badcase_id, elapsed=True)
