"""The statistics of exactly the reports that a query finds, or that are selected: counted one by one in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, and_, func, select, type_coerce

from mlife.badcases.views.rows import Share, Week
from mlife.badcases.views.search import readable, searchable_reports
from mlife.badcases.views.statistics import STATISTIC_ROWS, monday, titles_of
from mlife.badcases.views.tables import report_rows
from mlife.badcases.wording import PLACE
from mlife.core.projection import Reader
from mlife.core.query import compile_query, parse

r = report_rows.c
MOST = 200_000
"""Reports that are counted, the newest first; a page says so where there are more."""
PART = 10_000
WEEKS = 26
DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class ReportStatistics:
    """
    What the reports are.

    Args:
        counted: how many of them; at most `MOST`.
        shares: field → values with their counts, most first.
        confusion: (truth, prediction) → reports, for classes.
        matrix: (badcase, version) → reports, for the badcases with most; `titles` of those.
    """

    counted: int
    is_whole: bool
    shares: dict[str, list[Share]]
    confusion: dict[tuple[str | None, str], int]
    weeks: list[Week]
    matrix: dict[tuple[str, str], int]
    titles: dict[str, str]


def analyse_reports(
    read: Reader, q: str, *, now: datetime, only: Sequence[int] | None = None, most: int = MOST
) -> ReportStatistics:
    """
    Count the reports that match.

    Args:
        only: positions; None: all that match.

    Raises:
        QueryError: the query can't be used.
    """
    condition = compile_query(parse(q), searchable_reports, now)
    if only is not None:
        condition = and_(condition, r.number.in_(only))
    week = (type_coerce(r.observed_at, BigInteger) // DAY + 3) // 7
    statement = (
        select(r.function, r.version, r.truth, r.predicted, r.client, r.badcase_id, week.label("week"))
        .where(condition)
        .order_by(r.number.desc())
        .limit(most + 1)
    )
    names = ("function", "version", "client", "badcase_id", "week")
    counts: dict[str, Counter[Any]] = {name: Counter() for name in (*names, "pair", "cell")}
    total = 0
    for part in read.parts(statement, PART):
        function, version, truth, predicted, client, badcase, weeks = zip(*part, strict=True)
        total += len(part)
        for name, values in zip(names, (function, version, client, badcase, weeks), strict=True):
            counts[name].update(values)
        counts["pair"].update(zip(truth, predicted, strict=True))
        counts["cell"].update(zip(badcase, version, strict=True))
    shares = {name: _shares(counts[name]) for name in ("function", "version", "client")}
    top = [badcase_id for badcase_id, _ in counts["badcase_id"].most_common(STATISTIC_ROWS)]
    return ReportStatistics(
        counted=min(total, most),
        is_whole=total <= most,
        shares={**shares, PLACE: _places(read, condition)},
        confusion={pair: n for pair, n in counts["pair"].most_common(400) if pair[1] is not None},
        weeks=_weeks(counts["week"]),
        matrix={cell: n for cell, n in counts["cell"].items() if cell[0] in set(top)},
        titles=titles_of(read, top),
    )


def _shares(counts: Counter[Any]) -> list[Share]:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0] is not None, str(item[0])))
    return [Share(value, n) for value, n in ranked[:STATISTIC_ROWS]]


def _places(read: Reader, condition: Any) -> list[Share]:
    """Reports by where they happened; sealed places are left out, as none is like another."""
    how_many = func.count().label("how_many")
    rows = read.all(
        select(r.place, how_many)
        .where(condition, readable(r.place))
        .group_by(r.place)
        .order_by(how_many.desc(), r.place)
        .limit(STATISTIC_ROWS)
    )
    return [Share(row.place, row.how_many) for row in rows]


def _weeks(counts: Counter[int]) -> list[Week]:
    if not counts:
        return []
    last = max(counts)
    first = max(min(counts), last - WEEKS + 1)
    return [Week(monday(week), counts.get(week, 0)) for week in range(first, last + 1)]
