"""How a projection writes its rows: duplicates folded, sorted by key, few statements for many rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Executable, String, Table
from sqlalchemy import delete as delete_from

from mlife.adapters.views_sqlite.generations import physical_name
from mlife.core.projection import Standing
from mlife.core.tables import AnyRow, TextIndex

Rows = Sequence[Mapping[str, Any]]
Fold = Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]]


class SqliteTx:
    """See `Tx`; bulk writes go straight to the driver."""

    def __init__(self, c: Connection, standing: Standing) -> None:
        self._c = c
        self._standing = standing
        self._cursor = c.connection.cursor()

    def insert(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """See `Tx.insert`."""
        self._many(table, list(rows), lambda _: "")

    def insert_missing(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """See `Tx.insert_missing`."""
        self._many(table, _folded(table, rows, lambda old, _: old), lambda _: "ON CONFLICT DO NOTHING")

    def upsert(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """See `Tx.upsert`."""
        keys = _keys(table)

        def replace(columns: Sequence[str]) -> str:
            sets = ", ".join(f"{c} = excluded.{c}" for c in columns if c not in keys)
            return f"ON CONFLICT ({', '.join(keys)}) DO " + (f"UPDATE SET {sets}" if sets else "NOTHING")

        self._many(table, _folded(table, rows, lambda old, new: {**old, **new}), replace)

    def update(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """See `Tx.update`."""
        keys = _keys(table)
        for row in rows:
            changed = [c for c in row if c not in keys]
            if changed:
                self._cursor.execute(
                    f"UPDATE {physical_name(table.name, self._standing)} SET {', '.join(f'{c} = ?' for c in changed)} "
                    f"WHERE {' AND '.join(f'{k} = ?' for k in keys)}",
                    (*(row[c] for c in changed), *(row[k] for k in keys)),
                )

    def add(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """See `Tx.add`."""
        keys = _keys(table)
        name = physical_name(table.name, self._standing)
        texts = {c.name for c in table.columns if isinstance(c.type, String)} | set(keys)

        def added(old: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any]:
            return _added(old, new, texts)

        def fold(columns: Sequence[str]) -> str:
            sets = ", ".join(f"{c} = {_fold_column(name, c, is_text=c in texts)}" for c in columns if c not in keys)
            return f"ON CONFLICT ({', '.join(keys)}) DO " + (f"UPDATE SET {sets}" if sets else "NOTHING")

        self._many(table, _folded(table, rows, added), fold)

    def _many(self, table: Table, rows: Rows, conflict: Callable[[Sequence[str]], str]) -> None:
        """Insert *rows*; those that give the same columns go together, in whatever order each names them."""
        for some in _by_columns(rows):
            columns = tuple(some[0])
            sql = (
                f"INSERT INTO {physical_name(table.name, self._standing)} ({', '.join(columns)}) "
                f"VALUES ({', '.join('?' * len(columns))}) {conflict(columns)}"
            )
            self._cursor.executemany(sql, _values(columns, some))

    def delete(self, table: Table, where: ColumnElement[bool]) -> None:
        """See `Tx.delete`."""
        self._c.execute(delete_from(table).where(where))

    def index_text(self, index: TextIndex, texts: Iterable[tuple[int, str]]) -> None:
        """See `Tx.index_text`."""
        self._cursor.executemany(
            f"INSERT OR REPLACE INTO {physical_name(index.name, self._standing)} (rowid, text) VALUES (?, ?)",
            list(texts),
        )

    def execute(self, statement: Executable) -> Sequence[AnyRow]:
        """See `Tx.execute`."""
        result = self._c.execute(statement)
        return result.all() if result.returns_rows else ()


def _by_columns(rows: Rows) -> list[Rows]:
    if not rows or _are_alike(rows):
        return [rows] if rows else []
    groups: dict[frozenset[str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(frozenset(row), []).append(row)
    return list(groups.values())


def _are_alike(rows: Rows) -> bool:
    """Do all rows give the same columns? Nearly always, so that is asked in the fastest way."""
    columns = tuple(rows[0])
    if any(len(row) != len(columns) for row in rows):
        return False
    try:
        deque(map(itemgetter(*columns), rows), maxlen=0)
    except KeyError:
        return False
    return True


def _values(columns: Sequence[str], rows: Rows) -> list[tuple[Any, ...]]:
    if len(columns) == 1:
        return [(row[columns[0]],) for row in rows]
    return list(map(itemgetter(*columns), rows))


def _added(old: Mapping[str, Any], new: Mapping[str, Any], texts: set[str]) -> Mapping[str, Any]:
    """*new* folded into *old*, column by column, by the rules of `Tx.add`; the twin of `_fold_column`."""
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


def _fold_column(table: str, column: str, *, is_text: bool) -> str:
    """The same in SQL, for a row that is there already; however a log is cut into runs, the rows come out equal."""
    mine, new = f"{table}.{column}", f"excluded.{column}"
    if column.startswith("first_"):
        return f"min(coalesce({mine}, {new}), coalesce({new}, {mine}))"
    if column.startswith("last_"):
        return f"max(coalesce({mine}, {new}), coalesce({new}, {mine}))"
    if is_text:
        return f"coalesce({mine}, {new})"
    return f"coalesce({mine} + {new}, {mine}, {new})"


def _folded(table: Table, rows: Iterable[Mapping[str, Any]], fold: Fold) -> Rows:
    """One row for each primary key, sorted by it."""
    keys = _keys(table)
    key_of = itemgetter(*keys)
    by_key: dict[Any, Mapping[str, Any]] = {}
    for row in rows:
        key = key_of(row)
        old = by_key.get(key)
        by_key[key] = row if old is None else fold(old, row)
    return [by_key[key] for key in sorted(by_key)]


def _keys(table: Table) -> tuple[str, ...]:
    keys: tuple[str, ...] | None = table.info.get("keys")
    if keys is None:
        keys = table.info["keys"] = tuple(c.name for c in table.primary_key)
    return keys
