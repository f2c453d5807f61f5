"""Iterations: the turns of the loop."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mlife.badcases.events import IterationClosed, IterationOpened
from mlife.badcases.states import Iteration
from mlife.core.command import Given
from mlife.core.errors import Refused, no_such
from mlife.core.events import Event

Name = Annotated[str, Field(min_length=1, max_length=128)]
Title = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[str, Field(max_length=10_000)]
Ids = Annotated[list[Name], Field(max_length=20_000)]


def open_iteration(
    given: Given,
    *,
    system: Name,
    function: Name,
    title: Title,
    badcase_ids: Ids,
    alarm_id: str | None = None,
    cause_id: str | None = None,
    query: Annotated[str, Field(max_length=2_000)] = "",
    view_id: str | None = None,
    frozen_at: int | None = None,
) -> list[Event]:
    """
    Begin a turn of the loop that aims at these badcases.

    Args:
        query: what found them, if they were not chosen one by one: the list is frozen, and its page shows what has
            joined and left since. view_id: the saved view that it is of. frozen_at: position at which it was asked.
    """
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
            query=query.strip(),
            view_id=view_id,
            frozen_at=frozen_at,
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
