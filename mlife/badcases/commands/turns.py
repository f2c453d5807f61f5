"""Causes, alarms and iterations: what people decide about many badcases together."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mlife.badcases.events import (
    AlarmAcknowledged,
    CauseExtended,
    CauseNamed,
    CauseRemedyChosen,
    IterationClosed,
    IterationOpened,
)
from mlife.badcases.states import Alarm, Cause, Iteration
from mlife.core.command import Given
from mlife.core.errors import Refused, no_such
from mlife.core.events import Event

Name = Annotated[str, Field(min_length=1, max_length=128)]
Title = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[str, Field(max_length=10_000)]
Ids = Annotated[list[Name], Field(max_length=20_000)]


def name_cause(
    given: Given, *, system: Name, function: Name, title: Title, explanation: Words = "", badcase_ids: Ids
) -> list[Event]:
    """Say why badcases happen."""
    if not title.strip():
        raise Refused("a cause needs a title", remedy="say in a few words why it happens, e.g. half-worn mask")
    return [
        CauseNamed(
            cause_id=given.new_id("cau"),
            system=system,
            function=function,
            title=title.strip(),
            explanation=explanation,
            badcase_ids=tuple(dict.fromkeys(badcase_ids)),
            by=given.actor,
        )
    ]


def extend_cause(given: Given, *, cause_id: Name, badcase_ids: Ids) -> list[Event]:
    """Add badcases to a cause."""
    cause = _cause(given, cause_id)
    new = tuple(b for b in dict.fromkeys(badcase_ids) if b not in cause.badcase_ids)
    return [CauseExtended(cause_id=cause_id, badcase_ids=new, by=given.actor)] if new else []


def choose_remedy(
    given: Given,
    *,
    cause_id: Name,
    remedy: Literal["collect", "exclude", "relabel", "fix_code", "wont_fix"],
    note: Words = "",
) -> list[Event]:
    """Decide what is done about a cause."""
    if _cause(given, cause_id).remedy == (remedy, note):
        return []
    return [CauseRemedyChosen(cause_id=cause_id, remedy=remedy, note=note, by=given.actor)]


def acknowledge_alarm(given: Given, *, alarm_id: Name, note: Words = "") -> list[Event]:
    """Say that somebody saw it; from now on a clear rise raises the next one."""
    alarm = given(Alarm, alarm_id)
    if not alarm.exists:
        raise no_such("alarm", alarm_id)
    return [] if alarm.acknowledged else [AlarmAcknowledged(alarm_id=alarm_id, note=note, by=given.actor)]


def open_iteration(
    given: Given,
    *,
    system: Name,
    function: Name,
    title: Title,
    badcase_ids: Ids,
    alarm_id: str | None = None,
    cause_id: str | None = None,
) -> list[Event]:
    """Begin a turn of the loop that aims at these badcases."""
    if not badcase_ids:
        raise Refused("an iteration needs a target", remedy="choose at least one badcase")
    return [
        IterationOpened(
            iteration_id=given.new_id("itr"),
            system=system,
            function=function,
            title=title.strip() or "iteration",
            badcase_ids=tuple(dict.fromkeys(badcase_ids)),
            alarm_id=alarm_id,
            cause_id=cause_id,
            by=given.actor,
        )
    ]


def close_iteration(
    given: Given,
    *,
    iteration_id: Name,
    outcome: Literal["shipped", "abandoned"],
    deployment_id: str | None = None,
    note: Words = "",
) -> list[Event]:
    """End a turn of the loop."""
    iteration = given(Iteration, iteration_id)
    if not iteration.exists:
        raise no_such("iteration", iteration_id)
    if iteration.outcome is not None:
        if iteration.outcome == outcome:
            return []
        raise Refused(f"{iteration_id} has ended already: {iteration.outcome}", remedy="open a new one")
    return [
        IterationClosed(
            iteration_id=iteration_id, outcome=outcome, deployment_id=deployment_id, note=note, by=given.actor
        )
    ]


def _cause(given: Given, cause_id: str) -> Cause:
    cause = given(Cause, cause_id)
    if not cause.exists:
        raise no_such("cause", cause_id)
    return cause
