"""Bulk jobs as pages and programs see them, and what their steps need to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Select, func, select

from mlife.badcases.views.tables import (
    badcase_aliases,
    badcase_rows,
    bulk_refusals,
    bulk_rows,
    iteration_badcases,
    iteration_rows,
)
from mlife.core.projection import Reader

b = bulk_rows.c
MOST_REFUSALS = 500
"""Refusals that a page names; the log has all."""


@dataclass(frozen=True, slots=True)
class BulkView:
    """
    A bulk job.

    Args:
        state: running, finished or stopped. done: how many of `total` were dealt with.
        undoes, undone_by: the job that it takes back, and the one that takes it back.
    """

    bulk_id: str
    action: str
    query: str
    input: dict[str, Any]
    undoes: str | None
    undone_by: str | None
    started_by: str | None
    state: str
    total: int
    done: int
    changed: int
    unchanged: int
    refused: int
    position: int
    started_at: datetime
    moved_at: datetime
    finished_at: datetime | None

    @property
    def share(self) -> float:
        """How far it is, 0 to 1."""
        return self.done / self.total

    @property
    def running(self) -> bool:
        """Does it still go on?"""
        return self.state == "running"

    @property
    def can_undo(self) -> bool:
        """Is there something to take back, which nobody takes back already?"""
        return not self.running and self.changed > 0 and self.undoes is None and self.undone_by is None


def _jobs() -> Select[Any]:
    other = bulk_rows.alias("other")
    undone_by = select(func.max(other.c.bulk_id)).where(other.c.undoes == b.bulk_id).scalar_subquery()
    return select(bulk_rows, undone_by.label("undone_by"))


def _views(read: Reader, statement: Select[Any]) -> list[BulkView]:
    return [
        BulkView(
            bulk_id=row.bulk_id,
            action=row.action,
            query=row.query,
            input=orjson.loads(row.input),
            undoes=row.undoes,
            undone_by=row.undone_by,
            started_by=row.started_by,
            state="running" if row.finished_at is None else "stopped" if row.stopped else "finished",
            total=row.total,
            done=row.done,
            changed=row.changed,
            unchanged=row.unchanged,
            refused=row.refused,
            position=row.number,
            started_at=row.started_at,
            moved_at=row.moved_at,
            finished_at=row.finished_at,
        )
        for row in read.all(statement)
    ]


def bulk_job(read: Reader, bulk_id: str) -> BulkView | None:
    """One job; None if there is none."""
    return next(iter(_views(read, _jobs().where(b.bulk_id == bulk_id))), None)


def bulk_jobs(read: Reader, *, limit: int = 50, before: int | None = None) -> list[BulkView]:
    """The latest jobs; those that were started before position *before*."""
    older = [b.number < before] if before is not None else []
    return _views(read, _jobs().where(*older).order_by(b.number.desc()).limit(limit))


def bulk_refusals_of(read: Reader, bulk_id: str, *, limit: int = MOST_REFUSALS) -> list[dict[str, str]]:
    """What a job could not do, and why."""
    r = bulk_refusals.c
    rows = read.all(
        select(r.badcase_id, r.problem, badcase_rows.c.title)
        .select_from(bulk_refusals.outerjoin(badcase_rows, badcase_rows.c.badcase_id == r.badcase_id))
        .where(r.bulk_id == bulk_id)
        .order_by(r.badcase_id)
        .limit(limit)
    )
    return [{"badcase_id": row.badcase_id, "problem": row.problem, "title": row.title or ""} for row in rows]


@dataclass(frozen=True, slots=True)
class Target:
    """What a step must know of a badcase: where it belongs, the latest iteration that aims at it, and its home."""

    system: str
    function: str
    iteration_id: str | None
    merged_into: str | None


def targets(read: Reader, badcase_ids: Sequence[str]) -> dict[str, Target]:
    """Those of *badcase_ids* that exist."""
    r, i, t = badcase_rows.c, iteration_badcases.c, iteration_rows.c
    turns = {
        row.badcase_id: row.iteration_id
        for row in read.all(
            select(i.badcase_id, i.iteration_id)
            .select_from(iteration_badcases.join(iteration_rows, t.iteration_id == i.iteration_id))
            .where(i.badcase_id.in_(badcase_ids))
            .order_by(t.number)
        )
    }
    of_merge = badcase_rows.outerjoin(badcase_aliases, badcase_aliases.c.badcase_id == r.badcase_id)
    rows = read.all(
        select(r.badcase_id, r.system, r.function, badcase_aliases.c.home_id)
        .select_from(of_merge)
        .where(r.badcase_id.in_(badcase_ids))
    )
    return {row.badcase_id: Target(row.system, row.function, turns.get(row.badcase_id), row.home_id) for row in rows}
