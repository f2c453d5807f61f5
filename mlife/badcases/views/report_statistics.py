"""The statistics of exactly the reports that a query finds, or that are selected, which are found once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CTE, BigInteger, Select, Text, and_, cast, select, type_coerce

from mlife.badcases.views.rows import Share, Week
from mlife.badcases.views.search import readable, searchable_reports
from mlife.badcases.views.shares import counts_of, grouped, kept, shares
from mlife.badcases.views.statistics import monday, titles_of
from mlife.badcases.views.tables import report_rows
from mlife.badcases.wording import PLACE
from mlife.core.projection import Reader
from mlife.core.query import compile_query, parse

r = report_rows.c
MOST = 200_000
"""Reports that are counted, the newest first; a page says so where there are more."""
PAIRS = 400
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
    week = cast((type_coerce(r.observed_at, BigInteger) // DAY + 3) // 7, Text)
    columns = (r.function, r.version, r.truth, r.predicted, r.client, r.place, r.badcase_id)
    those = kept(select(*columns, week.label("week")).where(condition).order_by(r.number.desc()).limit(most + 1))
    rows = grouped(read, _asked(those))
    total = sum(row.how_many for row in rows["week"])
    return ReportStatistics(
        counted=min(total, most),
        is_whole=total <= most,
        shares=shares({name: rows[name] for name in ("function", "version", "client", PLACE)}),
        confusion={(row.shown, row.other): row.how_many for row in rows["pair"]},
        weeks=_weeks({int(row.shown): row.how_many for row in rows["week"]}),
        matrix={(row.shown, row.other): row.how_many for row in rows["cell"]},
        titles=titles_of(read, sorted({row.shown for row in rows["cell"]})),
    )


def _asked(those: CTE) -> Mapping[str, Select[Any]]:
    """What is counted in the reports found; `cell`: those of the badcases with most, by version."""
    c = those.c
    top = counts_of(c.badcase_id).subquery()
    return {
        **{name: counts_of(c[name]) for name in ("function", "version", "client")},
        PLACE: counts_of(c.place).where(readable(c.place)),
        "pair": counts_of(c.truth, and_of=c.predicted, most=PAIRS).where(c.predicted.is_not(None)),
        "week": counts_of(c.week, most=None),
        "cell": counts_of(c.badcase_id, and_of=c.version, most=None).where(c.badcase_id.in_(select(top.c.shown))),
    }


def _weeks(counts: Mapping[int, int]) -> list[Week]:
    if not counts:
        return []
    last = max(counts)
    first = max(min(counts), last - WEEKS + 1)
    return [Week(monday(week), counts.get(week, 0)) for week in range(first, last + 1)]
