"""
Many counts of the same rows in one statement.

What a query finds is found once, and kept while everything is counted in it: looking for it is the dear part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, Text, cast, func, literal, null, select, union_all

from mlife.badcases.views.rows import Share
from mlife.badcases.views.search import severity_word
from mlife.badcases.views.tables import badcase_rows
from mlife.core.projection import Reader
from mlife.core.tables import AnyRow

b = badcase_rows.c
STATISTIC_ROWS = 40
"""Values that a statistic names; the rest are few."""


def kept(rows: Select[Any]) -> CTE:
    """*rows*, found once for all that is counted in them."""
    return rows.cte("found").prefix_with("MATERIALIZED")


def found(condition: ColumnElement[bool]) -> CTE:
    """The badcases that fit, with what they are counted by: `badcase_id` and columns of one value a badcase."""
    columns = (b.badcase_id, b.status, b.function, b.owner, b.frequency, severity_word.label("severity"))
    return kept(select(*columns).where(condition))


def counts_of(
    value: ColumnElement[Any],
    *,
    and_of: ColumnElement[Any] | None = None,
    count: ColumnElement[Any] | None = None,
    most: int | None = STATISTIC_ROWS,
) -> Select[Any]:
    """
    How many rows have each value, most first.

    Args:
        and_of: each pair of values with this column.
        count: what is counted instead of rows.
        most: values; None: all.
    """
    how_many = (func.count() if count is None else count).label("how_many")
    columns = [value] if and_of is None else [value, and_of]
    other = cast(null(), Text) if and_of is None else and_of
    asked = select(value.label("shown"), other.label("other"), how_many).group_by(*columns)
    return asked.order_by(how_many.desc(), *columns).limit(most)


def reports_in(value: Any, those: CTE) -> Select[Any]:
    """
    How many reports the badcases of `found` have, by the column *value* of a table of several rows a badcase.

    It is asked by their ids and not joined: SQLite would walk the table's index by value, to have the groups in order,
    and look for every row's badcase.
    """
    c = value.table.c
    return counts_of(value, count=func.sum(c.frequency)).where(c.badcase_id.in_(select(those.c.badcase_id)))


def grouped(read: Reader, asked: Mapping[str, Select[Any]]) -> dict[str, list[AnyRow]]:
    """For each of *asked* its rows (`shown`, `other`, `how_many`), most first, all by one statement."""
    parts = [(name, part.subquery()) for name, part in asked.items()]
    rows: dict[str, list[AnyRow]] = {name: [] for name in asked}
    for row in read.all(
        union_all(*(select(literal(n).label("name"), p.c.shown, p.c.other, p.c.how_many) for n, p in parts))
    ):
        rows[row.name].append(row)
    for some in rows.values():  # a union promises no order
        some.sort(key=_place)
    return rows


def _place(row: AnyRow) -> tuple[Any, ...]:
    return -row.how_many, row.shown is not None, row.shown or "", row.other is not None, row.other or ""


def shares(rows: Mapping[str, list[AnyRow]]) -> dict[str, list[Share]]:
    """The rows of `grouped` as values and how many have each."""
    return {name: [Share(row.shown, row.how_many) for row in some] for name, some in rows.items()}
