"""
Pages by key: a page starts after the last row of the page before, so that a deep page costs what the first does.

Nulls come last in both directions, on every database. The key decides between equal rows, in the direction of the last
column, so that one index serves both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVarTuple

from sqlalchemy import CTE, ColumnElement, Select, and_, false, or_, select, tuple_

from mlife.core.query.cursor import Cursor
from mlife.core.query.fields import Searchable
from mlife.core.query.nodes import Node
from mlife.core.query.parser import parse
from mlife.core.query.problem import QueryError, Span
from mlife.core.query.sql import aware, compile_query, is_nullable
from mlife.core.query.values import bound
from mlife.core.tables import AnyRow

MAX_LIMIT = 500
MAX_SORT_FIELDS = 5

Ts = TypeVarTuple("Ts")
Totals = Callable[[CTE], Sequence[ColumnElement[Any]]]


@dataclass(frozen=True)
class Order:
    """
    One column of a sort order.

    Args:
        name: the field, or empty for the key.
        descending: from the largest; what is not known is last either way.
    """

    name: str
    column: ColumnElement[Any]
    descending: bool

    @property
    def nullable(self) -> bool:
        return bool(self.name) and is_nullable(self.column)

    def __str__(self) -> str:
        return f"{'-' * self.descending}{self.name}"


@dataclass(frozen=True)
class Slice:
    """
    The rows of one page.

    Args:
        items: at most *limit* rows, in the order of the sort.
        after: cursor of the next page; None on the last.
        before: cursor of the page before; None on the first.
    """

    items: Sequence[Any]
    after: str | None
    before: str | None


@dataclass(frozen=True)
class Page:
    """
    A page to be read: run `select`, then hand the rows to `cut`.

    Args:
        select: the statement; it reads one row more than the limit to know whether there are others, and has the sort
            values as columns of its own at the end.
        condition: what the query asks for, e.g. for counting.
        now: what ages in the query were counted from: the clock, or the moment of the first page.
    """

    select: Select[Any]
    condition: ColumnElement[bool]
    now: datetime
    limit: int
    cursor: Cursor | None
    binding: str
    columns: int

    def cut(self, rows: Sequence[AnyRow]) -> Slice:
        """The rows of the page, and the cursors of its neighbours."""
        kept, more = list(rows[: self.limit]), len(rows) > self.limit
        back = self.cursor is not None and self.cursor.back
        if back:
            kept.reverse()
        after = self._cursor(kept[-1], back=False) if kept and (more or back) else None
        comes_from_before = self.cursor is not None and not back
        before = self._cursor(kept[0], back=True) if kept and (more if back else comes_from_before) else None
        return Slice(kept, after, before)

    def _cursor(self, row: AnyRow, *, back: bool) -> str:
        return Cursor(tuple(row[-self.columns :]), self.now, back).encode(self.binding)


def page(
    select: Select[*Ts],
    searchable: Searchable,
    query: str | Node,
    *,
    now: datetime,
    sort: str | None = None,
    after: str | None = None,
    limit: int = 50,
    totals: Totals | None = None,
    summed: Sequence[ColumnElement[Any]] = (),
    most: int | None = None,
) -> Page:
    """
    Narrow *select* to the rows of one page.

    Args:
        select: reads from the table of *searchable*, without order or limit.
        searchable: its fields, key and default order.
        query: text or nodes.
        now: what ages are counted from. A cursor remembers it, so that all pages see the same days.
        sort: fields from the most important, a - for descending: `-priority,first_seen`. None is the default order.
        after: a cursor of `Slice`, for the same query and sort; None is the first page.
        limit: rows of a page, 1 to 500.
        totals: columns that count all that match, given their keys and what is *summed*. What matches is then found
            once for the page and for them, which pays where that is dear.
        most: with *totals* and without a cursor: so many are found, the first in the order.

    Raises:
        QueryError: the query, sort, cursor or limit can't be used.
    """
    _check_limit(limit)
    ast = parse(query) if isinstance(query, str) else query
    orders = read_sort(sort if sort is not None else searchable.default_sort, searchable)
    binding = _binding(searchable, ast, orders)
    cursor = Cursor.decode(after, binding, [o.column.type for o in orders]) if after else None
    moment = cursor.now if cursor else aware(now)
    condition = compile_query(ast, searchable, moment)
    back = cursor is not None and cursor.back
    if totals is None:
        statement: Any = select.where(condition)
    else:
        found = select.with_only_columns(searchable.key, *summed).where(condition)
        if most is not None:
            found = found.order_by(*(_order_by(o, back=back) for o in orders)).limit(most)
        kept = found.cte("matching").prefix_with("MATERIALIZED")
        statement = select.add_columns(*totals(kept)).where(
            searchable.key.in_(kept.select().with_only_columns(kept.c[0]))
        )
    if cursor is not None:
        statement = statement.where(_beyond(orders, cursor.values, back=back))
    statement = statement.order_by(*(_order_by(o, back=back) for o in orders)).limit(limit + 1)
    sort_values = (o.column.label(f"sort_value_{i}") for i, o in enumerate(orders))
    return Page(statement.add_columns(*sort_values), condition, moment, limit, cursor, binding, len(orders))


def must_page(
    searchable: Searchable, query: str, *, now: datetime, sort: str | None, after: str | None, limit: int
) -> None:
    """Refuse what `page` would refuse, before anything is asked or told."""
    page(select(searchable.key), searchable, query, now=now, sort=sort, after=after, limit=limit)


def in_order(select: Select[*Ts], searchable: Searchable, sort: str | None = None) -> Select[*Ts]:
    """
    *select* in an order, as `page` puts it, but all rows.

    Raises:
        QueryError: it can't be sorted so.
    """
    orders = read_sort(sort if sort is not None else searchable.default_sort, searchable)
    return select.order_by(*(_order_by(o, back=False) for o in orders))


def read_sort(sort: str, searchable: Searchable) -> list[Order]:
    """
    The columns of a sort order, ending with the key.

    Raises:
        QueryError: an unknown field, one that can't be sorted by, one twice, or more than 5.
    """
    orders: list[Order] = []
    at = 0
    words = sort.split(",") if sort.strip() else []
    for place, raw in enumerate(words):
        word = raw.strip()
        start = at + len(raw) - len(raw.lstrip())
        span = Span(sort, start, start + len(word))
        field = searchable.expect_field(word.removeprefix("-"), span, part="sort")
        if not field.sortable:
            names = ", ".join(f.name for f in searchable.fields if f.sortable)
            raise QueryError(
                f"{field.name} has several values in a row", span, expected=f"sort by {names}", part="sort"
            )
        if place >= MAX_SORT_FIELDS or any(o.name == field.name for o in orders):
            raise QueryError(
                f"{word} is too much to sort by",
                span,
                expected=f"name at most {MAX_SORT_FIELDS} fields, each once",
                part="sort",
            )
        orders.append(Order(field.name, field.sort_column, word.startswith("-")))
        at += len(raw) + 1
    return [*orders, Order("", searchable.key, bool(orders) and orders[-1].descending)]


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_LIMIT:
        text = str(limit)
        raise QueryError(
            f"a page of {text} rows", Span(text, 0, len(text)), expected=f"ask for 1 to {MAX_LIMIT}", part="limit"
        )


def _binding(searchable: Searchable, ast: Node, orders: Sequence[Order]) -> str:
    """What a cursor belongs to: table, query and order, however they were spelled."""
    asked = "\n".join([searchable.name, str(ast), ",".join(map(str, orders))])
    return hashlib.sha256(asked.encode()).hexdigest()[:16]


def _order_by(order: Order, *, back: bool) -> ColumnElement[Any]:
    """The column's order; where nulls go is said only if there may be some, as an index is then often not used."""
    directed = order.column.desc() if order.descending is not back else order.column.asc()
    if not order.nullable:
        return directed
    return directed.nulls_first() if back else directed.nulls_last()


def _beyond(orders: Sequence[Order], values: Sequence[Any], *, back: bool) -> ColumnElement[bool]:
    """Rows that come after the row with these sort *values*; before it when *back*."""
    directions = {o.descending is not back for o in orders}
    if len(directions) == 1 and not any(o.nullable for o in orders):
        # A comparison of whole rows walks an index of all columns from the very place.
        columns = tuple_(*(o.column for o in orders))
        place = tuple_(*(bound(v, o.column) for o, v in zip(orders, values, strict=True)))
        return columns < place if directions.pop() else columns > place
    beyond: ColumnElement[bool] = false()
    for order, value in reversed(list(zip(orders, values, strict=True))):
        later, same = _later(order, value, back=back)
        beyond = or_(later, and_(same, beyond))
    # The first column again by itself, so that the database can start its index there.
    later, same = _later(orders[0], values[0], back=back)
    return and_(or_(later, same), beyond)


def _later(order: Order, value: Any, *, back: bool) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Does one column alone put a row later than *value*, and does it leave the matter open?"""
    column = order.column
    if value is None:
        # Null is last: nothing is later, and going back everything known is.
        return (column.is_not(None) if back else false()), column.is_(None)
    parameter = bound(value, column)
    later = column < parameter if order.descending is not back else column > parameter
    if order.nullable and not back:
        later = or_(later, column.is_(None))
    return later, column == parameter
