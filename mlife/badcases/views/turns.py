"""Causes, alarms, and iterations with their story."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Select, func, select

from mlife.badcases.views import lists
from mlife.badcases.views.causes import badcases_of_cause, cause, causes
from mlife.badcases.views.rows import AlarmView, BadcaseView, Fact, IterationView
from mlife.badcases.views.tables import (
    alarm_rows,
    badcase_rows,
    iteration_badcases,
    iteration_facts,
    iteration_rows,
)
from mlife.core.projection import Reader
from mlife.core.query import QueryError
from mlife.core.tables import AnyRow

b, a, i = badcase_rows.c, alarm_rows.c, iteration_rows.c
ib = iteration_badcases.c
MOST = 200
"""Rows of these lists: there are few alarms and iterations, and the newest matter."""
__all__ = [
    "alarm",
    "alarm_view",
    "alarms",
    "alarms_about",
    "badcases_of_cause",
    "cause",
    "causes",
    "changes_of",
    "due_mutes",
    "iteration",
    "iterations",
    "story",
    "targets",
]


def alarms(read: Reader, *, waiting: bool = False, limit: int = MOST) -> list[AlarmView]:
    """The newest alarms; only those that nobody acknowledged if *waiting*."""
    asked = select(alarm_rows).order_by(a.number.desc()).limit(limit)
    if waiting:
        asked = asked.where(a.acknowledged_at.is_(None))
    return [alarm_view(row) for row in read.all(asked)]


def alarm(read: Reader, alarm_id: str) -> AlarmView | None:
    """One alarm; None if there is none."""
    row = read.one(select(alarm_rows).where(a.alarm_id == alarm_id))
    return None if row is None else alarm_view(row)


def alarms_about(read: Reader, system: str, function: str) -> list[AlarmView]:
    """Every alarm about a function, the newest first."""
    rows = read.all(select(alarm_rows).where(a.system == system, a.function == function).order_by(a.number.desc()))
    return [alarm_view(row) for row in rows]


def alarm_view(row: AnyRow) -> AlarmView:
    """A row as an alarm."""
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
        row.rule_id,
        row.rule_version,
        row.kind,
        row.bundle,
        row.cause_id,
        row.basis,
        row.value,
        row.p_value,
        row.ended_at,
        row.ended,
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


@dataclass(frozen=True, slots=True)
class Changes:
    """What the query of an iteration's target finds now and did not, and no longer finds; both empty if it has none."""

    joined: Sequence[BadcaseView] = ()
    left: Sequence[BadcaseView] = ()
    problem: str = ""


def changes_of(read: Reader, found: IterationView, *, now: datetime) -> Changes:
    """What has joined and left the frozen target of an open iteration; *problem*: its query can't be asked any more."""
    if not found.query or found.outcome is not None:
        return Changes()
    frozen = set(targets(read, found.iteration_id))
    try:
        today = set(lists.matching_ids(read, found.query, now=now, limit=20_000))
    except QueryError as e:
        return Changes(problem=str(e))
    return Changes(lists.badcases_by_id(read, today - frozen), lists.badcases_by_id(read, frozen - today))


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
            query=row.query,
            view_id=row.view_id,
            frozen_at=row.frozen_at,
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
