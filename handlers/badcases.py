"""What follows from reports, traffic, verdicts and activations, for badcases."""

from __future__ import annotations

from typing import Any

from mlife.badcases.commands import raise_alarm, settle, unmute
from mlife.badcases.events import BadcaseReported, TrafficCounted
from mlife.badcases.settling import Answering, Fixed, Scene, look
from mlife.badcases.views import settling as seen
from mlife.badcases.views.turns import due_mutes
from mlife.core.events import Recorded
from mlife.core.handler import Do, handler, timer
from mlife.core.projection import Reader
from mlife.serving.events import DeploymentActivated, ModelJudged
from mlife.serving.views import policy_of

ALARM_REPORTS = 10
"""Reports that new badcases of a version must have together before they are worth an alarm."""
AGAIN_BADCASES = 5
AGAIN_SHARE = 0.5
"""After an acknowledged alarm: the next one needs this many new badcases, and this share of the last one's."""


def about(r: Recorded[Any]) -> str:
    """The function that a fact is about; empty after the slash: all of its system."""
    return f"{r.json.get('system') or ''}/{r.json.get('function') or ''}"


def about_version(r: Recorded[BadcaseReported]) -> str:
    """The version of a function that a report is about."""
    return f"{r.json['system']}/{r.json['function']}/{r.json['version']}"


@handler("badcases.raise_alarm", on=BadcaseReported, latest_per=about_version)
def raise_an_alarm(fact: Recorded[BadcaseReported], do: Do) -> None:
    """
    All new badcases of a version of a function are one alarm, and the version alarms again only after it was seen.

    Safe to repeat: the alarm's id is a function of what it is about.
    """
    e = fact.event
    with do.read() as read:
        if seen.alarm_waits(read, e.system, e.function, e.version):
            return  # a flood of reports asks this often, and gathering a wave takes long
        wave = seen.wave(read, e.system, e.function, e.version)
        if wave is None or not worth_an_alarm(wave):
            return
        usual = seen.usual_rate(read, e.system, e.function, e.version)
    rate = wave.reports / wave.requests if wave.requests else None
    do(
        raise_alarm,
        system=e.system,
        function=e.function,
        version=wave.version,
        ordinal=wave.acknowledged,
        since=wave.first_at,
        until=wave.last_at,
        badcase_ids=list(wave.badcase_ids),
        reports=wave.reports,
        rate=rate,
        usual=usual,
        sentence=alarm_sentence(e.function, wave, rate, usual),
    )


def worth_an_alarm(wave: seen.Wave) -> bool:
    """Enough reports; and not while an alarm about the version waits, nor soon after one was seen."""
    if wave.waiting or wave.reports < ALARM_REPORTS:
        return False
    new = len(wave.badcase_ids)
    return wave.acknowledged == 0 or (new >= AGAIN_BADCASES and new >= AGAIN_SHARE * wave.last_badcases)


def alarm_sentence(function: str, wave: seen.Wave, rate: float | None, usual: float | None) -> str:
    """The alarm in words with its numbers."""
    new = len(wave.badcase_ids)
    said = f"{new} new badcase{'s' * (new != 1)} of {function} in version {wave.version}: {wave.reports} reports"
    if rate is not None:
        said += f", {rate:.1%} of {wave.requests} requests"
    return said + (f", usually {usual:.1%}" if usual is not None else "")


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
    closings, regressions = [], []
    with do.read() as read:
        for name in [function] if function else seen.functions_judged(read, system):
            closed, back = look(
                scene_of(read, system, name), judged_of(read, system, name), policy_of(read, system, name)
            )
            closings += closed
            regressions += back
    if closings or regressions:
        do(settle, closings=closings, regressions=regressions)


def judged_of(read: Reader, system: str, function: str) -> tuple[Fixed, ...]:
    """The badcases that closings and regressions are about."""
    return tuple(
        Fixed(one.badcase_id, one.closed_by, one.regressed_by, one.standings, one.judged)
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
