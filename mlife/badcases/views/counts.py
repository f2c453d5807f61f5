"""Small counts that every page asks for."""

from __future__ import annotations

from sqlalchemy import func, select

from mlife.badcases.standing import NEEDS_ME
from mlife.badcases.views.search import counted_badcases
from mlife.badcases.views.tables import alarm_rows, badcase_rows, iteration_rows
from mlife.core.projection import Reader

b = badcase_rows.c


def needing_me(read: Reader) -> dict[str, int]:
    """Badcases that wait for a person's first look, by status and under `all`."""
    rows = read.all(
        select(b.status, func.count().label("how_many"))
        .where(b.status.in_(NEEDS_ME), counted_badcases())
        .group_by(b.status)
    )
    counts = dict.fromkeys(NEEDS_ME, 0) | {row.status: row.how_many for row in rows}
    return {**counts, "all": sum(counts.values())}


def alarms_waiting(read: Reader) -> int:
    """Alarms that nobody acknowledged."""
    a = alarm_rows.c
    return int(read.value(select(func.count()).select_from(alarm_rows).where(a.acknowledged_at.is_(None))) or 0)


def open_iterations(read: Reader) -> int:
    """Iterations without an outcome."""
    i = iteration_rows.c
    return int(read.value(select(func.count()).select_from(iteration_rows).where(i.outcome.is_(None))) or 0)
