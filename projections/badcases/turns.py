"""Causes, alarms and iterations, folded event by event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from sqlalchemy import select

from mlife.badcases.events import (
    AlarmAcknowledged,
    AlarmRaised,
    CauseExtended,
    CauseNamed,
    CauseRemedyChosen,
    IterationClosed,
    IterationOpened,
)
from mlife.badcases.views.tables import alarm_rows, cause_badcases, cause_rows, iteration_badcases, iteration_rows
from mlife.core.events import Event, Recorded, to_micros
from mlife.core.projection import Tx

Touched = set[str]
"""Badcases whose status may have changed."""
Fold = Callable[[Recorded[Any], Tx, Touched], None]


def _cause_named(r: Recorded[CauseNamed], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    e = r.event
    tx.insert_missing(
        cause_rows,
        [
            {
                "cause_id": e.cause_id,
                "system": e.system,
                "function": e.function,
                "title": e.title,
                "explanation": e.explanation,
                "named_by": e.by,
                "number": r.position,
                "named_at": r.draft.time,
            }
        ],
    )
    tx.insert_missing(cause_badcases, [{"cause_id": e.cause_id, "badcase_id": b} for b in e.badcase_ids])


def _cause_extended(r: Recorded[CauseExtended], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    tx.insert_missing(cause_badcases, [{"cause_id": r.event.cause_id, "badcase_id": b} for b in r.event.badcase_ids])


def _remedy_chosen(r: Recorded[CauseRemedyChosen], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    e = r.event
    tx.update(cause_rows, [{"cause_id": e.cause_id, "remedy": e.remedy, "remedy_note": e.note}])


def _alarm_raised(r: Recorded[AlarmRaised], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    e = r.event
    tx.insert_missing(
        alarm_rows,
        [
            {
                "alarm_id": e.alarm_id,
                "system": e.system,
                "function": e.function,
                "version": e.version,
                "from_at": to_micros(e.from_),
                "to_at": to_micros(e.to),
                "badcase_ids": orjson.dumps(e.badcase_ids).decode(),
                "badcase_count": e.badcases,
                "report_count": e.reports,
                "rate": e.rate,
                "usual": e.usual,
                "sentence": e.sentence,
                "number": r.position,
                "raised_at": r.draft.time,
            }
        ],
    )


def _alarm_acknowledged(r: Recorded[AlarmAcknowledged], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    e = r.event
    tx.update(
        alarm_rows,
        [{"alarm_id": e.alarm_id, "acknowledged_at": r.draft.time, "acknowledged_by": e.by, "note": e.note}],
    )


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
                "opened_by": e.by,
                "number": r.position,
                "opened_at": r.draft.time,
            }
        ],
    )
    tx.insert_missing(iteration_badcases, [{"iteration_id": e.iteration_id, "badcase_id": b} for b in e.badcase_ids])
    touched.update(e.badcase_ids)


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
    CauseNamed: _cause_named,
    CauseExtended: _cause_extended,
    CauseRemedyChosen: _remedy_chosen,
    AlarmRaised: _alarm_raised,
    AlarmAcknowledged: _alarm_acknowledged,
    IterationOpened: _iteration_opened,
    IterationClosed: _iteration_closed,
}
