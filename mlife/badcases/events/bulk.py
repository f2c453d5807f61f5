"""One action on many badcases, as a job that goes on by itself, and its undoing."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from mlife.core.events import Event, event

JSON = dict[str, Any]


@event("mlife.bulk.started", stream="bulk/{bulk_id}", key="bulk_id")
class BulkStarted(Event):
    """
    A person wants the same done to many badcases.

    Fields:
        query: what they were found by; empty where they were selected one by one.
        badcase_ids: the list as it was then; what matches the query later is not touched.
        input: of the action, as said. undoes: the job whose changes this one takes back.
    """

    bulk_id: str
    action: str
    query: str
    badcase_ids: tuple[str, ...] = Field(min_length=1)
    input: JSON = Field(default_factory=dict)
    undoes: str | None = None
    by: str | None = None


@event("mlife.bulk.progressed", stream="bulk/{bulk_id}", key="bulk_id")
class BulkProgressed(Event):
    """
    The next piece of the list was dealt with; what it changed was appended together with this event.

    Fields:
        done: how many of the list are dealt with now.
        changed: badcase → version of its stream at which the change stands. unchanged: how many were so already.
        refused: `{"badcase_id", "problem"}` each.
    """

    bulk_id: str
    done: int
    changed: dict[str, int]
    unchanged: int
    refused: tuple[JSON, ...] = ()


@event("mlife.bulk.finished", stream="bulk/{bulk_id}", key="bulk_id")
class BulkFinished(Event):
    """The whole list was dealt with, or (`stopped`) a person ended the job before."""

    bulk_id: str
    stopped: bool = False
    by: str | None = None
