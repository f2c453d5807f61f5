"""
How a projection writes its rows into PostgreSQL.

Rows travel as one JSON document that the server takes apart: it costs the client next to nothing, serves one row as
well as ten thousand, and is within a tenth of arrays (ADR 0010). New rows in great
number are copied, which is three times as fast.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import orjson
from sqlalchemy import JSON, Column, ColumnElement, Connection, Executable, String, Table
from sqlalchemy import delete as delete_from

from mlife.adapters.views_postgres.dialect import DIALECT
from mlife.adapters.views_postgres.words import tsvectors
from mlife.adapters.views_sql.generations import physical_name
from mlife.adapters.views_sql.rows import (
    Row,
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

if TYPE_CHECKING:
    import psycopg

COPIED = 100
"""New rows from which on they are copied."""

IN_BINARY = {"BIGINT": "int8", "TEXT": "text", "DOUBLE PRECISION": "float8", "BOOLEAN": "bool"}
"""Types that are copied in their binary form, which takes half the time; what the driver calls them."""

LONGEST_INDEXED = 200
"""Characters of a text in an index, where a row would be refused otherwise."""

quote = DIALECT.identifier_preparer.quote


class PostgresTx:
    """
    See `Tx`; bulk writes go straight to the driver, and are sent without waiting for the answer.

    While the server writes the rows of one statement the projection makes those of the next. A statement that fails is
    told at the next one that must be answered, or at the end of the block that holds this.

    Args:
        cuts: text that is too long for an index is cut, see `cut`.
    """

    def __init__(self, c: Connection, standing: Standing, *, cuts: bool = False) -> None:
        self._c = c
        self._standing = standing
        self._cuts = cuts
        self._db = cast("psycopg.Connection[tuple[Any, ...]]", c.connection.driver_connection)
        self._unanswered = ExitStack()
        self._is_sending = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._unanswered.__exit__(kind, fault, trace)

    def _send(self, sql: str, rows: Rows) -> None:
        """Have the server take *rows*, the JSON document that *sql* reads; its answer comes later."""
        if not self._is_sending:
            self._unanswered.enter_context(self._db.pipeline())
            self._is_sending = True
        self._db.execute(sql.encode(), (orjson.dumps(rows).decode(),))

    def _settle(self) -> None:
        """See that everything was written that was sent."""
        self._is_sending = False
        self._unanswered.close()

    def insert(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """See `Tx.insert`."""
        for columns, some, values in by_columns(list(self._fitting(table, rows))):
            if len(some) < COPIED or not all(_type_of(table.c[name]) in IN_BINARY for name in columns):
                self._given(table, some, f"INSERT INTO {self._place(table)}", "")
            else:
                self._copy(table, columns, values)

    def insert_missing(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """See `Tx.insert_missing`."""
        for _, some, _ in by_columns(folded(table, self._fitting(table, rows), first)):
            self._given(table, some, f"INSERT INTO {self._place(table)}", "ON CONFLICT DO NOTHING")

    def upsert(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """See `Tx.upsert`."""
        self._merge(table, folded(table, self._fitting(table, rows), replaced), lambda _column, _mine, new: new)

    def add(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """See `Tx.add`."""
        self._merge(
            table, folded(table, self._fitting(table, rows), added(table)), added_in_sql(table, "least", "greatest")
        )

    def update(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """See `Tx.update`. Changes of one row are put together first, which is what applying them in order gives."""
        keys = keys_of(table)
        for _, some, _ in by_columns(folded(table, self._fitting(table, rows), replaced)):
            changed = [quote(c) for c in some[0] if c not in keys]
            if changed:
                sets = ", ".join(f"{c} = given.{c}" for c in changed)
                here = " AND ".join(f"mine.{k} = given.{k}" for k in map(quote, keys))
                sql = f"UPDATE {self._place(table)} AS mine SET {sets} FROM ({_select(table, some)}) AS given"
                self._send(f"{sql} WHERE {here}", some)

    def _merge(self, table: Table, rows: Rows, value: Callable[[str, str, str], str]) -> None:
        """Insert *rows*, and where the key is there set columns to *value* of (column, what it has, what is new)."""
        keys = keys_of(table)
        on_key = f"ON CONFLICT ({', '.join(map(quote, keys))}) DO"
        for _, some, _ in by_columns(rows):
            sets = ", ".join(
                f"{quote(c)} = {value(c, f'mine.{quote(c)}', f'excluded.{quote(c)}')}" for c in some[0] if c not in keys
            )
            conflict = f"{on_key} UPDATE SET {sets}" if sets else f"{on_key} NOTHING"
            self._given(table, some, f"INSERT INTO {self._place(table)} AS mine", conflict)

    def _given(self, table: Table, some: Rows, insert: str, conflict: str) -> None:
        columns = ", ".join(map(quote, some[0]))
        self._send(f"{insert} ({columns}) {_select(table, some)} {conflict}", some)

    def _copy(self, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        into = f"COPY {self._place(table)} ({', '.join(map(quote, columns))}) FROM STDIN (FORMAT BINARY)"
        self._settle()
        with self._db.cursor().copy(into.encode()) as copy:
            copy.set_types([IN_BINARY[_type_of(table.c[name])] for name in columns])
            for row in rows:
                copy.write_row(row)

    def _fitting(self, table: Table, rows: Iterable[Row]) -> Iterable[Row]:
        if not self._cuts:
            return rows
        indexed = indexed_texts(table)
        return [{**row, **{name: cut(row[name]) for name in indexed.intersection(row)}} for row in rows]

    def _place(self, of: Table | TextIndex) -> str:
        return str(quote(physical_name(of.name, self._standing)))

    def delete(self, table: Table, where: ColumnElement[bool]) -> None:
        """See `Tx.delete`."""
        self._settle()
        self._c.execute(delete_from(table).where(where))

    def index_text(self, index: TextIndex, texts: Iterable[tuple[int, str]]) -> None:
        """See `Tx.index_text`."""
        last = sorted(dict(texts).items())
        if not last:
            return
        vectors = tsvectors([text for _, text in last])
        rows = [{"key": key, "text": text, "words": words} for (key, text), words in zip(last, vectors, strict=True)]
        self._send(
            f"INSERT INTO {self._place(index)} (key, text, words) SELECT key, text, CAST(words AS tsvector)"
            " FROM json_to_recordset(%s::json) AS given (key bigint, text text, words text)"
            " ON CONFLICT (key) DO UPDATE SET text = excluded.text, words = excluded.words",
            rows,
        )

    def execute(self, statement: Executable) -> Sequence[AnyRow]:
        """See `Tx.execute`."""
        self._settle()
        result = self._c.execute(statement)
        return result.all() if result.returns_rows else ()


def indexed_texts(table: Table) -> set[str]:
    """The columns of text that a key or an index of *table* holds."""
    held = {c.name for index in table.indexes for c in index.columns} | set(keys_of(table))
    return {name for name in held if isinstance(table.c[name].type, String)}


def cut(value: Any) -> Any:
    """
    *value*, and of a long text its beginning and a digest: others stay others, and what is equal stays equal.

    An index of PostgreSQL holds at most 2,704 bytes of a row, all its columns together, and refuses the row otherwise.
    SQLite's has no such limit, and a projection must never refuse a fact.
    """
    if not isinstance(value, str) or len(value) <= LONGEST_INDEXED:
        return value
    digest = hashlib.sha256(value.encode()).hexdigest()[:16]
    return f"{value[: LONGEST_INDEXED - 17]}…{digest}"


def _select(table: Table, some: Rows) -> str:
    """The columns that *some* rows give, taken out of the JSON document that is the statement's parameter."""
    columns = [table.c[name] for name in some[0]]
    taken = ", ".join(_taken(c) for c in columns)
    read = ", ".join(f"{quote(c.name)} {_type_of(c)}" for c in columns)
    return f"SELECT {taken} FROM json_to_recordset(%s::json) AS given ({read})"


def _taken(column: Column[Any]) -> str:
    name = str(quote(column.name))
    return f"CAST({name} AS json) AS {name}" if _is_json(column) else name


@lru_cache(maxsize=5_000)
def _type_of(column: Column[Any]) -> str:
    return "TEXT" if _is_json(column) else str(column.type.compile(DIALECT))


def _is_json(column: Column[Any]) -> bool:
    """Projections give a JSON column its text, as it is kept."""
    return isinstance(column.type, JSON)
