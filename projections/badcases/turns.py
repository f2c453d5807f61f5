"""Iterations, folded event by event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlife.projections.badcases.homes import say
from sqlalchemy import select

from mlife.badcases.events import IterationClosed, IterationOpened
from mlife.badcases.views.tables import iteration_badcases, iteration_rows
from mlife.core.events import Event, Recorded
from mlife.core.projection import Tx

Touched = set[str]
"""Badcases whose status may have changed."""
Fold = Callable[[Recorded[Any], Tx, Touched], None]


def _iteration_opened(r: Recorded[IterationOpened], tx: Tx, touched: Touched) -> None:
    e = r.event
    tx.insert_missing(
        iteration_rows,
        [
            {
                "iteration_id": e.iteration_id,
                "system": e.system,
                "function": e.function,
                "title": e.title,
                "alarm_id": e.alarm_id,
                "cause_id": e.cause_id,
                "query": e.query,
                "view_id": e.view_id,
                "frozen_at": e.frozen_at,
                "opened_by": e.by,
                "number": r.position,
                "opened_at": r.draft.time,
            }
        ],
    )
    touched |= say(tx, iteration_badcases, [{"iteration_id": e.iteration_id, "badcase_id": b} for b in e.badcase_ids])


def _iteration_closed(r: Recorded[IterationClosed], tx: Tx, touched: Touched) -> None:
    e = r.event
    row = {"outcome": e.outcome, "deployment_id": e.deployment_id, "note": e.note, "closed_at": r.draft.time}
    tx.update(iteration_rows, [{"iteration_id": e.iteration_id, **row}])
    touched.update(targets_of(tx, e.iteration_id))


def targets_of(tx: Tx, iteration_id: str) -> set[str]:
    """The badcases that an iteration aims at."""
    i = iteration_badcases.c
    return {row[0] for row in tx.execute(select(i.badcase_id).where(i.iteration_id == iteration_id))}


TURNS: dict[type[Event], Fold] = {
    IterationOpened: _iteration_opened,
    IterationClosed: _iteration_closed,
}
