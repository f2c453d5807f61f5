"""Iterations: the turns of the loop."""

from __future__ import annotations

from typing import Literal

from mlife.core.events import Event, event


@event("mlife.iteration.opened", stream="iteration/{iteration_id}", key="iteration_id")
class IterationOpened(Event):
    """
    One turn of the loop begins: these badcases are its target.

    Fields:
        query: what found them, if they were not chosen one by one. view_id: the saved view that it is of.
        frozen_at: position at which it was asked.
    """

    iteration_id: str
    system: str
    function: str
    title: str
    badcase_ids: tuple[str, ...]
    alarm_id: str | None = None
    cause_id: str | None = None
    by: str | None = None
    query: str = ""
    view_id: str | None = None
    frozen_at: int | None = None


@event("mlife.iteration.closed", stream="iteration/{iteration_id}", key="iteration_id")
class IterationClosed(Event):
    """The turn is over."""

    iteration_id: str
    outcome: Literal["shipped", "abandoned"]
    deployment_id: str | None = None
    note: str = ""
    by: str | None = None
