"""Rows before they are written: duplicates of a key folded, sorted by key, those of the same columns together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import String, Table

Row = Mapping[str, Any]
Rows = Sequence[Row]
Fold = Callable[[Row, Row], Row]


def keys_of(table: Table) -> tuple[str, ...]:
    """The columns of the primary key."""
    keys: tuple[str, ...] | None = table.info.get("keys")
    if keys is None:
        keys = table.info["keys"] = tuple(c.name for c in table.primary_key)
    return keys


def folded(table: Table, rows: Iterable[Row], fold: Fold) -> Rows:
    """One row for each primary key, sorted by it."""
    key_of, rows = itemgetter(*keys_of(table)), list(rows)
    keys = list(map(key_of, rows))
    by_key: dict[Any, Row] = dict(zip(keys, rows, strict=True))
    if len(by_key) < len(rows):
        by_key = {}
        for key, row in zip(keys, rows, strict=True):
            old = by_key.get(key)
            by_key[key] = row if old is None else fold(old, row)
    return list(map(by_key.__getitem__, sorted(by_key)))


def first(old: Row, new: Row) -> Row:  # noqa: ARG001 - a fold
    """Of equal keys the first row stays."""
    return old


def replaced(old: Row, new: Row) -> Row:
    """Of equal keys the later row's columns count."""
    return {**old, **new}


def added(table: Table) -> Fold:
    """How rows of equal keys are added up, column by column, by the rules of `Tx.add`; the twin of `added_in_sql`."""
    texts = _not_added(table)

    def add(old: Row, new: Row) -> Row:
        row = dict(old)
        for column, value in new.items():
            before = row.get(column)
            if value is None:
                row.setdefault(column, None)
            elif before is None:
                row[column] = value
            elif column.startswith("first_"):
                row[column] = min(before, value)
            elif column.startswith("last_"):
                row[column] = max(before, value)
            elif column not in texts:
                row[column] = before + value
        return row

    return add


def added_in_sql(table: Table, least: str, greatest: str) -> Callable[[str, str, str], str]:
    """
    The same for a row that is there already; however a log is cut into runs, the rows come out equal.

    Args:
        least, greatest: what the database calls the functions that choose among their arguments, not among rows.

    Returns:
        (column, the row's value, the new value) → the expression.
    """
    texts = _not_added(table)

    def expression(column: str, mine: str, new: str) -> str:
        if column.startswith("first_"):
            return f"{least}(coalesce({mine}, {new}), coalesce({new}, {mine}))"
        if column.startswith("last_"):
            return f"{greatest}(coalesce({mine}, {new}), coalesce({new}, {mine}))"
        if column in texts:
            return f"coalesce({mine}, {new})"
        return f"coalesce({mine} + {new}, {mine}, {new})"

    return expression


def _not_added(table: Table) -> set[str]:
    return {c.name for c in table.columns if isinstance(c.type, String)} | set(keys_of(table))


def by_columns(rows: Rows) -> list[tuple[tuple[str, ...], Rows, list[tuple[Any, ...]]]]:
    """*rows* in groups that give the same columns: those, the rows, and the values of each in the columns' order."""
    if not rows:
        return []
    columns = tuple(rows[0])
    values = _values(columns, rows)
    if values is not None:  # nearly always all rows are alike
        return [(columns, rows, values)]
    groups: dict[frozenset[str], list[Row]] = {}
    for row in rows:
        groups.setdefault(frozenset(row), []).append(row)
    return [one for some in groups.values() for one in by_columns(some)]


def _values(columns: tuple[str, ...], rows: Rows) -> list[tuple[Any, ...]] | None:
    """The values of each row; None if not all of them give *columns* and no others."""
    if set(map(len, rows)) != {len(columns)}:
        return None
    try:
        if len(columns) == 1:
            return [(row[columns[0]],) for row in rows]
        return list(map(itemgetter(*columns), rows))
    except KeyError:
        return None
