"""What follows from a bulk job: its next step, until its list is through."""

from __future__ import annotations

from typing import Any

from mlife.badcases.commands import take_step
from mlife.badcases.events import BulkProgressed, BulkStarted
from mlife.badcases.stepping import next_step
from mlife.core.events import Recorded
from mlife.core.handler import Do, handler


@handler("badcases.go_on_with_bulk", on=(BulkStarted, BulkProgressed))
def go_on_with_bulk(fact: Recorded[Any], do: Do) -> None:
    """
    Take one step of the job; its progress is the fact that leads to the next.

    Safe to repeat: a step that somebody took already is passed over by its place in the list.
    """
    with do.read() as read:
        step = next_step(do.ports.store, read, fact.event.bulk_id)
    if step is not None:
        do(take_step, **step)
