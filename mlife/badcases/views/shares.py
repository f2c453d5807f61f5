"""
Many counts of the same badcases in one statement.

What a query finds is found once, and kept while everything is counted in it: words of descriptions are the dear part.
The tables of several rows a badcase are asked by the ids found, not joined. SQLite would walk their indexes by value,
to have the groups in order, and look for every row's badcase.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, func, literal, select, union_all

from mlife.badcases.views.rows import Share
from mlife.badcases.views.search import severity_word
from mlife.badcases.views.tables import badcase_rows
from mlife.core.projection import Reader

b = badcase_rows.c
STATISTIC_ROWS = 40
"""Values that a statistic names; the rest are few."""


def found(condition: ColumnElement[bool]) -> CTE:
    """The badcases that fit, with what they are counted by: `badcase_id` and columns of one value a badcase."""
    columns = (b.badcase_id, b.status, b.function, b.owner, b.frequency, severity_word.label("severity"))
    return select(*columns).where(condition).cte("found").prefix_with("MATERIALIZED")


def badcases_by(column: ColumnElement[Any]) -> Select[Any]:
    """How many of those found have each value of *column*, which is one of `found`."""
    return _most(column, func.count())


def reports_by(column: ColumnElement[Any], those: CTE) -> Select[Any]:
    """How many reports those found have, by a value of theirs."""
    return _most(column, func.sum(those.c.frequency))


def reports_in(value: Any, those: CTE) -> Select[Any]:
    """How many reports those found have, by the column *value* of a table of several rows a badcase."""
    c = value.table.c
    return _most(value, func.sum(c.frequency)).where(c.badcase_id.in_(select(those.c.badcase_id)))


def _most(value: ColumnElement[Any], count: ColumnElement[Any]) -> Select[Any]:
    how_many = count.label("how_many")
    asked = select(value.label("shown"), how_many).group_by(value)
    return asked.order_by(how_many.desc(), value).limit(STATISTIC_ROWS)


def counted(read: Reader, asked: Mapping[str, Select[Any]]) -> dict[str, list[Share]]:
    """What each of *asked* counts, most first."""
    parts = [(name, part.subquery()) for name, part in asked.items()]
    shares: dict[str, list[Share]] = {name: [] for name in asked}
    for row in read.all(union_all(*(select(literal(n).label("name"), p.c.shown, p.c.how_many) for n, p in parts))):
        shares[row.name].append(Share(row.shown, row.how_many))
    for some in shares.values():  # a union promises no order
        some.sort(key=lambda s: (-s.count, s.value is not None, s.value or ""))
    return shares
