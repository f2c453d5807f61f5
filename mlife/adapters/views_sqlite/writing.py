"""How a projection writes its rows into SQLite; bulk writes go straight to the driver."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Executable, Table
from sqlalchemy import delete as delete_from

from mlife.adapters.views_sql.generations import physical_name
from mlife.adapters.views_sql.rows import (
    Rows,
    added,
    added_in_sql,
    by_columns,
    first,
    folded,
    keys_of,
    replaced,
)
from mlife.core.projection import Standing
from mlife.core.tables import AnyRow, TextIndex


class SqliteTx:
    """See `Tx`."""

    def __init__(self, c: Connection, standing: Standing) -> None:
        self._c = c
        self._standing = standing
        self._cursor = c.connection.cursor()

    def insert(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """See `Tx.insert`."""
        self._many(table, list(rows), lambda _: "")

    def insert_missing(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """See `Tx.insert_missing`."""
        self._many(table, folded(table, rows, first), lambda _: "ON CONFLICT DO NOTHING")

    def upsert(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """See `Tx.upsert`."""
        self._merge(table, folded(table, rows, replaced), lambda _column, _mine, new: new)

    def update(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """See `Tx.update`."""
        keys = keys_of(table)
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
        self._merge(table, folded(table, rows, added(table)), added_in_sql(table, "min", "max"))

    def _merge(self, table: Table, rows: Rows, value: Callable[[str, str, str], str]) -> None:
        """Insert *rows*, and where the key is there set columns to *value* of (column, what it has, what is new)."""
        keys, name = keys_of(table), physical_name(table.name, self._standing)

        def conflict(columns: Sequence[str]) -> str:
            sets = ", ".join(f"{c} = {value(c, f'{name}.{c}', f'excluded.{c}')}" for c in columns if c not in keys)
            return f"ON CONFLICT ({', '.join(keys)}) DO " + (f"UPDATE SET {sets}" if sets else "NOTHING")

        self._many(table, rows, conflict)

    def _many(self, table: Table, rows: Rows, conflict: Callable[[Sequence[str]], str]) -> None:
        """Insert *rows*; those that give the same columns go together, in whatever order each names them."""
        for columns, _, values in by_columns(rows):
            sql = (
                f"INSERT INTO {physical_name(table.name, self._standing)} ({', '.join(columns)}) "
                f"VALUES ({', '.join('?' * len(columns))}) {conflict(columns)}"
            )
            self._cursor.executemany(sql, values)

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
