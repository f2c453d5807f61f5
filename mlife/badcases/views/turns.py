"""Causes, alarms, and iterations with their story."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Select, case, func, select

from mlife.badcases.standing import OPEN
from mlife.badcases.views.rows import AlarmView, CauseView, Fact, IterationView
from mlife.badcases.views.tables import (
    alarm_rows,
    badcase_rows,
    cause_badcases,
    cause_rows,
    iteration_badcases,
    iteration_facts,
    iteration_rows,
)
from mlife.core.projection import Reader
from mlife.core.tables import AnyRow

b, a, i = badcase_rows.c, alarm_rows.c, iteration_rows.c
cb, cr, ib = cause_badcases.c, cause_rows.c, iteration_badcases.c
MOST = 200
"""Rows of these lists: there are few causes, alarms and iterations, and the newest matter."""


def causes(read: Reader, *, system: str | None = None, function: str | None = None) -> list[CauseView]:
    """The newest causes, with how many badcases and reports they explain."""
    asked = _causes()
    if system is not None:
        asked = asked.where(cr.system == system)
    if function is not None:
        asked = asked.where(cr.function == function)
    return [_cause(row) for row in read.all(asked)]


def cause(read: Reader, cause_id: str) -> CauseView | None:
    """One cause; None if there is none."""
    row = read.one(_causes().where(cr.cause_id == cause_id))
    return None if row is None else _cause(row)


def badcases_of_cause(read: Reader, cause_id: str) -> list[str]:
    """The ids of its badcases."""
    return [row[0] for row in read.all(select(cb.badcase_id).where(cb.cause_id == cause_id).order_by(cb.badcase_id))]


def _causes() -> Select[Any]:
    still_open = func.sum(case((b.status.in_(OPEN), 1), else_=0))
    counts = (
        select(
            cb.cause_id,
            func.count().label("how_many"),
            still_open.label("still_open"),
            func.sum(b.frequency).label("of_reports"),
        )
        .select_from(cause_badcases.join(badcase_rows, b.badcase_id == cb.badcase_id))
        .group_by(cb.cause_id)
        .subquery("counted")
    )
    return (
        select(cause_rows, counts.c.how_many, counts.c.still_open, counts.c.of_reports)
        .select_from(cause_rows.outerjoin(counts, counts.c.cause_id == cr.cause_id))
        .order_by(cr.number.desc())
        .limit(MOST)
    )


def _cause(row: AnyRow) -> CauseView:
    return CauseView(
        row.cause_id,
        row.system,
        row.function,
        row.title,
        row.explanation,
        row.remedy,
        row.remedy_note,
        row.named_by,
        row.named_at,
        row.how_many or 0,
        row.still_open or 0,
        row.of_reports or 0,
    )


def alarms(read: Reader, *, waiting: bool = False, limit: int = MOST) -> list[AlarmView]:
    """The newest alarms; only those that nobody acknowledged if *waiting*."""
    asked = select(alarm_rows).order_by(a.number.desc()).limit(limit)
    if waiting:
        asked = asked.where(a.acknowledged_at.is_(None))
    return [_alarm(row) for row in read.all(asked)]


def alarm(read: Reader, alarm_id: str) -> AlarmView | None:
    """One alarm; None if there is none."""
    row = read.one(select(alarm_rows).where(a.alarm_id == alarm_id))
    return None if row is None else _alarm(row)


def alarms_about(read: Reader, system: str, function: str) -> list[AlarmView]:
    """Every alarm about a function, the newest first."""
    rows = read.all(select(alarm_rows).where(a.system == system, a.function == function).order_by(a.number.desc()))
    return [_alarm(row) for row in rows]


def _alarm(row: AnyRow) -> AlarmView:
    return AlarmView(
        row.alarm_id,
        row.system,
        row.function,
        row.version,
        row.from_at,
        row.to_at,
        tuple(orjson.loads(row.badcase_ids)),
        row.badcase_count,
        row.report_count,
        row.rate,
        row.usual,
        row.sentence,
        row.raised_at,
        row.acknowledged_at,
        row.acknowledged_by,
        row.note,
    )


def iterations(read: Reader, *, only_open: bool = False) -> list[IterationView]:
    """The newest iterations."""
    asked = select(iteration_rows).order_by(i.number.desc()).limit(MOST)
    if only_open:
        asked = asked.where(i.outcome.is_(None))
    return _iterations(read, read.all(asked))


def iteration(read: Reader, iteration_id: str) -> IterationView | None:
    """One iteration; None if there is none."""
    found = _iterations(read, read.all(select(iteration_rows).where(i.iteration_id == iteration_id)))
    return found[0] if found else None


def targets(read: Reader, iteration_id: str) -> list[str]:
    """The ids of the badcases that an iteration aims at."""
    rows = read.all(select(ib.badcase_id).where(ib.iteration_id == iteration_id).order_by(ib.badcase_id))
    return [row[0] for row in rows]


def _iterations(read: Reader, rows: Sequence[AnyRow]) -> list[IterationView]:
    counts: dict[str, dict[str, int]] = {}
    reports: dict[str, int] = {}
    counted = read.all(
        select(ib.iteration_id, b.status, func.count().label("how_many"), func.sum(b.frequency).label("of_reports"))
        .select_from(iteration_badcases.join(badcase_rows, b.badcase_id == ib.badcase_id))
        .where(ib.iteration_id.in_([row.iteration_id for row in rows]))
        .group_by(ib.iteration_id, b.status)
        .order_by(ib.iteration_id, b.status)
    )
    for row in counted:
        counts.setdefault(row.iteration_id, {})[row.status] = row.how_many
        reports[row.iteration_id] = reports.get(row.iteration_id, 0) + row.of_reports
    return [
        IterationView(
            iteration_id=row.iteration_id,
            system=row.system,
            function=row.function,
            title=row.title,
            alarm_id=row.alarm_id,
            cause_id=row.cause_id,
            opened_by=row.opened_by,
            opened_at=row.opened_at,
            outcome=row.outcome,
            deployment_id=row.deployment_id,
            note=row.note,
            closed_at=row.closed_at,
            badcases=sum(counts.get(row.iteration_id, {}).values()),
            reports=reports.get(row.iteration_id, 0),
            by_status=counts.get(row.iteration_id, {}),
        )
        for row in rows
    ]


def story(read: Reader, iteration_id: str, *, limit: int = 500) -> list[Fact]:
    """The events of an iteration as lines, the oldest first."""
    f = iteration_facts.c
    rows = read.all(select(iteration_facts).where(f.iteration_id == iteration_id).order_by(f.number).limit(limit))
    return [Fact(row.number, row.word, row.sentence, row.href, row.actor, row.happened_at) for row in rows]


def due_mutes(now: datetime) -> Select[Any]:
    """Badcases whose mute is over: id and the moment it was to end."""
    return (
        select(b.badcase_id, b.muted_until)
        .where(b.muted_until.is_not(None), b.muted_until <= now)
        .order_by(b.muted_until, b.badcase_id)
    )
