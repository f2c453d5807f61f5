"""How long badcases take to each status, and how many are solved when, and come back: the paper's Fig. 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select

from mlife.badcases.standing import STATUSES
from mlife.badcases.views.rows import BadcaseView
from mlife.badcases.views.tables import badcase_rows, badcase_statuses
from mlife.badcases.views.tables.history import CAME_BACK, SOLVED
from mlife.core.projection import Reader

b, s = badcase_rows.c, badcase_statuses.c
WEEKS = 12


@dataclass(frozen=True, slots=True)
class TimeTo:
    """How many badcases had a status, and within how many hours half of them, and nine of ten, first had it."""

    status: str
    badcases: int
    median_hours: int
    most_hours: int


@dataclass(frozen=True, slots=True)
class SolvedIn:
    """Badcases that were solved in a week after their first report (0: the first); *share* of all up to it."""

    week: int
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class Solved:
    """
    What became of the badcases.

    Args:
        weeks: without gaps, at most twelve; later ones count in *solved* only.
        back: how many were solved and came back.
    """

    badcases: int
    solved: int
    back: int
    weeks: Sequence[SolvedIn]

    @property
    def share(self) -> float | None:
        """Of all; None where there are none."""
        return self.solved / self.badcases if self.badcases else None

    @property
    def back_share(self) -> float | None:
        """Of those that were solved."""
        return self.back / self.solved if self.solved else None


@dataclass(frozen=True, slots=True)
class Reached:
    """The first time that a badcase had a status; `hours` since its first report was taken in."""

    status: str
    position: int
    reached_at: datetime
    hours: int | None


def times_to(read: Reader, condition: ColumnElement[bool]) -> list[TimeTo]:
    """For each status but new, in their order: how long the badcases that fit took to it."""
    rows = read.all(
        select(s.status, s.hours, func.count().label("how_many"))
        .select_from(badcase_rows.join(badcase_statuses, s.badcase_id == b.badcase_id))
        .where(condition, s.hours.is_not(None), s.status.in_([w for w in STATUSES if w != "new"]))
        .group_by(s.status, s.hours)
        .order_by(s.status, s.hours)
    )
    found: dict[str, list[tuple[int, int]]] = {}
    for row in rows:
        found.setdefault(row.status, []).append((row.hours, row.how_many))
    order = [w for w in reversed(STATUSES) if w in found]
    times = []
    for status in sorted(order, key=lambda w: _at(found[w], 0.5)):
        counts = found[status]
        times.append(TimeTo(status, sum(n for _, n in counts), _at(counts, 0.5), _at(counts, 0.9)))
    return times


def _at(counts: Sequence[tuple[int, int]], share: float) -> int:
    """The value that *share* of all do not exceed; *counts* are values, ascending, each with how often it occurs."""
    wanted = share * sum(n for _, n in counts)
    for value, n in counts:
        wanted -= n
        if wanted <= 0:
            return value
    return counts[-1][0]


def solved(read: Reader, condition: ColumnElement[bool], *, most: int = WEEKS) -> Solved:
    """How many of the badcases that fit were solved, in which week after their first report, and came back."""
    total = int(read.value(select(func.count()).select_from(badcase_rows).where(condition)) or 0)
    joined = badcase_rows.join(badcase_statuses, s.badcase_id == b.badcase_id)
    rows = read.all(
        select(s.week, func.count().label("how_many"))
        .select_from(joined)
        .where(condition, s.status == SOLVED)
        .group_by(s.week)
        .order_by(s.week)
    )
    once = select(s.badcase_id).where(s.status == SOLVED)
    again = select(s.badcase_id).where(s.status == CAME_BACK)
    returned = or_(b.badcase_id.in_(again), b.status.in_(("regressed", "recurring")))
    back = read.value(select(func.count()).select_from(badcase_rows).where(condition, b.badcase_id.in_(once), returned))
    counts = {row.week: row.how_many for row in rows if row.week is not None}
    weeks, so_far = [], 0
    for week in range(min(most, max(counts) + 1) if counts else 0):
        so_far += counts.get(week, 0)
        weeks.append(SolvedIn(week, counts.get(week, 0), so_far / total))
    return Solved(total, sum(row.how_many for row in rows), int(back or 0), weeks)


def reached(read: Reader, badcase: BadcaseView | str) -> list[Reached]:
    """When one badcase had each status for the first time, in order."""
    badcase_id = badcase if isinstance(badcase, str) else badcase.badcase_id
    rows = read.all(
        select(s.status, s.number, s.reached_at, s.hours).where(s.badcase_id == badcase_id).order_by(s.number, s.status)
    )
    return [Reached(row.status, row.number, row.reached_at, row.hours) for row in rows]
