"""
The query tables on SQLite, in a file of their own so that a rebuild never delays the log.

A projection's version and generation are part of its physical table names (`badcase_rows__1_2`). Statements are
written with the plain names; the names are replaced in the compiled text by those of the live generation, which is
read in the statement's own transaction (ADR 0004).
"""

from __future__ import annotations

import fcntl
import gc
import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Executable, Row, Table, create_engine, event
from sqlalchemy import delete as delete_from
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool
from sqlalchemy.schema import CreateIndex, CreateTable

from mlife.adapters.events_sqlite import connect, explained, translated
from mlife.core.errors import Conflict, NotFound, Unavailable
from mlife.core.events import Event, Recorded
from mlife.core.projection import Projection, Standing, projections
from mlife.core.tables import TextIndex

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS checkpoints (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    position INTEGER NOT NULL,
    state TEXT NOT NULL,
    error TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (name, version, generation)
) STRICT;
"""

Names = Mapping[str, str]
"""Plain table name → physical table name."""


class SqliteViews:
    """`Views` in the file *path*."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._moved = threading.Condition()
        self._pattern: tuple[int, re.Pattern[str]] = (-1, re.compile(r"(?!)"))
        self._rewritten: dict[tuple[str, tuple[tuple[str, int, int], ...]], str] = {}
        with translated(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock_file = f"{path}.lock"
            with self._locked(), _closing(self._connect()) as db:
                db.executescript(SCHEMA)
        self._engine = create_engine(
            "sqlite://", creator=self._connect, poolclass=QueuePool, pool_size=8, max_overflow=64
        )
        event.listen(self._engine, "begin", lambda c: c.exec_driver_sql(c.info.get("begin", "BEGIN")))
        event.listen(self._engine, "before_cursor_execute", self._rename, retval=True)

    def _connect(self) -> sqlite3.Connection:
        db = connect(self._path)
        db.execute("PRAGMA synchronous=NORMAL")  # a lost last commit takes its checkpoint along and is folded again
        db.execute("PRAGMA cache_size=-16000")
        return db

    @contextmanager
    def _locked(self) -> Iterator[None]:
        own = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(own, fcntl.LOCK_EX)
            yield
        finally:
            os.close(own)

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with translated(self._path), self._locked(), self._engine.connect() as c:
            c.info["begin"] = "BEGIN IMMEDIATE"
            try:
                with c.begin():
                    yield c
            except DBAPIError as fault:
                if isinstance(fault.orig, sqlite3.OperationalError):
                    raise explained(self._path, fault.orig) from fault
                raise
            finally:
                c.info["begin"] = "BEGIN"
                c.info.pop("names", None)

    # --- names ---

    def _rename(self, c: Any, cursor: Any, sql: str, parameters: Any, context: Any, many: bool) -> tuple[str, Any]:
        names: tuple[tuple[tuple[str, int, int], ...], Names] | None = c.info.get("names")
        if names is None:
            return sql, parameters
        key = (sql, names[0])
        changed = self._rewritten.get(key)
        if changed is None:
            if len(self._rewritten) > 5_000:
                self._rewritten.clear()
            mapping = names[1]
            changed = self._rewritten[key] = self._plain_names().sub(lambda m: mapping.get(m[0], m[0]), sql)
        return changed, parameters

    def _plain_names(self) -> re.Pattern[str]:
        if self._pattern[0] != len(projections):
            plain = [n for p in projections.values() for n in _plain(p)]
            self._pattern = (len(projections), re.compile(r"\b(?:" + "|".join(map(re.escape, plain)) + r")\b(?!\s*\()"))
        return self._pattern[1]

    # --- reading ---

    @contextmanager
    def read(self, *, min_position: int = 0, timeout: float = 5.0) -> Iterator[_Reader]:
        """See `Views.read`."""
        deadline = time.monotonic() + timeout
        while True:
            with self._engine.connect() as c, c.begin():
                live = _live(c)
                position = min((s.position for s in live), default=0)
                if position >= min_position:
                    c.info["names"] = _names_of(live)
                    try:
                        yield _Reader(c, position)
                    finally:
                        c.info.pop("names", None)
                    return
            if time.monotonic() > deadline:
                slow = min(live, key=lambda s: s.position)
                raise Unavailable(
                    f"the query tables are at position {position}, not yet {min_position}: {slow.name} is {slow.state}",
                    remedy=slow.error or "ask again; `mlife projection status` shows who lags",
                )
            with self._moved:
                self._moved.wait(0.002)

    def notify(self) -> None:
        """See `Views.notify`."""
        with self._moved:
            self._moved.notify_all()

    def standings(self) -> list[Standing]:
        """See `Views.standings`."""
        with self._engine.connect() as c:
            return _standings(c)

    # --- generations ---

    def prepare(self, projection: Projection) -> Standing:
        """See `Views.prepare`."""
        for s in self.standings():
            if (s.name, s.version) == (projection.name, projection.version) and s.state in ("live", "stopped"):
                return s
        standing = self._make(projection, "live")
        self.finish(projection, standing)
        return standing

    def new_generation(self, projection: Projection) -> Standing:
        """See `Views.new_generation`."""
        return self._make(projection, "filling")

    def _make(self, projection: Projection, state: str) -> Standing:
        with self._write() as c:
            mine = [s for s in _standings(c) if (s.name, s.version) == (projection.name, projection.version)]
            if state == "live":
                for s in mine:
                    if s.state == "live":
                        return s
            standing = Standing(
                projection.name, projection.version, 1 + max((s.generation for s in mine), default=0), 0, state
            )
            for statement in _table_ddl(projection, standing):
                c.exec_driver_sql(statement)
            c.exec_driver_sql("INSERT INTO checkpoints VALUES (?, ?, ?, 0, ?, '')", (*_key(standing), state))
            return standing

    def finish(self, projection: Projection, standing: Standing) -> None:
        """See `Views.finish`."""
        with self._write() as c:
            for statement in _index_ddl(projection, standing):
                c.exec_driver_sql(statement)

    def flip(self, standing: Standing) -> None:
        """See `Views.flip`."""
        with self._write() as c:
            mine = [s for s in _standings(c) if (s.name, s.version) == (standing.name, standing.version)]
            live = [s for s in mine if s.state in ("live", "stopped") and s.generation != standing.generation]
            for s in live:
                _set_state(c, s, "old")
            _set_state(c, standing, "live")
            kept = {standing.generation, *(s.generation for s in live)}
            for s in mine:
                if s.generation not in kept and s.state == "old":
                    self._drop(c, s)
        self.notify()

    def discard(self, standing: Standing) -> None:
        """See `Views.discard`."""
        with self._write() as c:
            self._drop(c, standing)

    def _drop(self, c: Connection, standing: Standing) -> None:
        projection = projections[standing.name]
        for name in _plain(projection):
            c.exec_driver_sql(f"DROP TABLE IF EXISTS {_physical(name, standing)}")
        c.exec_driver_sql("DELETE FROM checkpoints WHERE name = ? AND version = ? AND generation = ?", _key(standing))

    # --- folding ---

    def apply(self, projection: Projection, standing: Standing, events: Sequence[Recorded[Event]], to: int) -> Standing:
        """See `Views.apply`."""
        with self._write() as c, _no_gc():
            moved = c.exec_driver_sql(
                "UPDATE checkpoints SET position = ? WHERE name = ? AND version = ? AND generation = ? AND position = ? AND state = ?",
                (to, *_key(standing), standing.position, standing.state),
            )
            if moved.rowcount != 1:
                raise Conflict(f"checkpoint of {standing.name}", standing.position, -1)
            if events:
                c.info["names"] = _names_of([standing], projection)
                projection.apply(events, _Tx(c, standing))
        return Standing(*_key(standing), to, standing.state)

    def stop(self, standing: Standing, error: str) -> None:
        """See `Views.stop`."""
        with self._write() as c:
            c.exec_driver_sql(
                "UPDATE checkpoints SET state = 'stopped', error = ? WHERE name = ? AND version = ? AND generation = ?",
                (error, *_key(standing)),
            )

    def clear(self, projection: Projection) -> None:
        """See `Views.clear`."""
        with self._write() as c:
            c.exec_driver_sql(
                "UPDATE checkpoints SET state = 'live', error = '' WHERE name = ? AND version = ? AND state = 'stopped'",
                (projection.name, projection.version),
            )

    def compare(self, projection: Projection, left: Standing, right: Standing) -> list[str]:
        """See `Views.compare`."""
        differences: list[str] = []
        with self._engine.connect() as c, c.begin():
            for name in _plain(projection):
                columns = "rowid, *" if any(name == t.name for t in projection.texts) else "*"
                for here, there, word in ((left, right, "is not in"), (right, left, "is only in")):
                    rows = c.exec_driver_sql(
                        f"SELECT {columns} FROM {_physical(name, here)} EXCEPT SELECT {columns} FROM {_physical(name, there)} LIMIT 5"
                    )
                    differences += [f"{name}: {tuple(row)} {word} the fresh replay" for row in rows]
        return differences

    def close(self) -> None:
        """Release the connections."""
        self._engine.dispose()


class _Reader:
    """See `Reader`."""

    def __init__(self, c: Connection, position: int) -> None:
        self._c = c
        self.position = position

    def all(self, statement: Executable) -> Sequence[Row[Any]]:
        """See `Reader.all`."""
        return self._c.execute(statement).all()

    def one(self, statement: Executable) -> Row[Any] | None:
        """See `Reader.one`."""
        return self._c.execute(statement).first()

    def value(self, statement: Executable) -> Any:
        """See `Reader.value`."""
        row = self._c.execute(statement).first()
        return None if row is None else row[0]


class _Tx:
    """See `Tx`; bulk writes go straight to the driver."""

    def __init__(self, c: Connection, standing: Standing) -> None:
        self._c = c
        self._standing = standing
        self._cursor = c.connection.cursor()

    def insert(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """See `Tx.insert`."""
        self._many(table, list(rows), "")

    def insert_missing(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """See `Tx.insert_missing`."""
        self._many(table, _folded(table, rows, lambda old, new: old), "ON CONFLICT DO NOTHING")

    def upsert(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """See `Tx.upsert`."""
        folded = _folded(table, rows, lambda old, new: new)
        if folded:
            keys = _keys(table)
            sets = ", ".join(f"{c} = excluded.{c}" for c in folded[0] if c not in keys)
            self._many(
                table, folded, f"ON CONFLICT ({', '.join(keys)}) DO " + (f"UPDATE SET {sets}" if sets else "NOTHING")
            )

    def update(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """See `Tx.update`."""
        keys = _keys(table)
        for row in rows:
            changed = [c for c in row if c not in keys]
            self._cursor.execute(
                f"UPDATE {_physical(table.name, self._standing)} SET {', '.join(f'{c} = ?' for c in changed)} "
                f"WHERE {' AND '.join(f'{k} = ?' for k in keys)}",
                (*(row[c] for c in changed), *(row[k] for k in keys)),
            )

    def add(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """See `Tx.add`."""
        folded = _folded(table, rows, _added)
        if not folded:
            return
        keys = _keys(table)
        name = _physical(table.name, self._standing)
        sets = ", ".join(_fold_column(name, c, v) for c, v in folded[0].items() if c not in keys)
        self._many(table, folded, f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {sets}")

    def _many(self, table: Table, rows: Sequence[Mapping[str, Any]], conflict: str) -> None:
        if not rows:
            return
        columns = tuple(rows[0])
        sql = (
            f"INSERT INTO {_physical(table.name, self._standing)} ({', '.join(columns)}) "
            f"VALUES ({', '.join('?' * len(columns))}) {conflict}"
        )
        self._cursor.executemany(sql, [tuple(row.values()) for row in rows])

    def delete(self, table: Table, where: ColumnElement[bool]) -> None:
        """See `Tx.delete`."""
        self._c.execute(delete_from(table).where(where))

    def index_text(self, index: TextIndex, texts: Iterable[tuple[int, str]]) -> None:
        """See `Tx.index_text`."""
        self._cursor.executemany(
            f"INSERT OR REPLACE INTO {_physical(index.name, self._standing)} (rowid, text) VALUES (?, ?)", list(texts)
        )

    def execute(self, statement: Executable) -> Sequence[Row[Any]]:
        """See `Tx.execute`."""
        result = self._c.execute(statement)
        return result.all() if result.returns_rows else ()


def _added(old: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any]:
    """*new* folded into *old*, column by column, by the rules of `Tx.add`."""
    row = dict(old)
    for column, value in new.items():
        before = row[column]
        if value is None:
            continue
        if before is None:
            row[column] = value
        elif column.startswith("first_"):
            row[column] = min(before, value)
        elif column.startswith("last_"):
            row[column] = max(before, value)
        elif not isinstance(value, str):
            row[column] = before + value
    return row


def _fold_column(table: str, column: str, value: Any) -> str:
    mine, new = f"{table}.{column}", f"excluded.{column}"
    if column.startswith("first_"):
        return f"{column} = min(coalesce({mine}, {new}), coalesce({new}, {mine}))"
    if column.startswith("last_"):
        return f"{column} = max(coalesce({mine}, {new}), coalesce({new}, {mine}))"
    if isinstance(value, str):
        return f"{column} = {mine}"
    return f"{column} = coalesce({mine}, 0) + coalesce({new}, 0)"


def _folded(table: Table, rows: Iterable[Mapping[str, Any]], fold: Any) -> list[Mapping[str, Any]]:
    """One row for each primary key, sorted by it."""
    keys = _keys(table)
    by_key: dict[Any, Mapping[str, Any]] = {}
    if len(keys) == 1:
        (key,) = keys
        for row in rows:
            k = row[key]
            old = by_key.get(k)
            by_key[k] = row if old is None else fold(old, row)
    else:
        for row in rows:
            k = tuple([row[c] for c in keys])
            old = by_key.get(k)
            by_key[k] = row if old is None else fold(old, row)
    return [by_key[k] for k in sorted(by_key)]


def _keys(table: Table) -> tuple[str, ...]:
    keys: tuple[str, ...] | None = table.info.get("keys")
    if keys is None:
        keys = table.info["keys"] = tuple(c.name for c in table.primary_key)
    return keys


def _plain(projection: Projection) -> list[str]:
    return [t.name for t in projection.tables] + [t.name for t in projection.texts]


def _physical(name: str, standing: Standing) -> str:
    return f"{name}__{standing.version}_{standing.generation}"


def _key(standing: Standing) -> tuple[str, int, int]:
    return standing.name, standing.version, standing.generation


def _names_of(
    live: Sequence[Standing], projection: Projection | None = None
) -> tuple[tuple[tuple[str, int, int], ...], Names]:
    mapping = {name: _physical(name, s) for s in live for name in _plain(projection or projections[s.name])}
    return tuple(_key(s) for s in live), mapping


def _standings(c: Connection) -> list[Standing]:
    rows = c.exec_driver_sql(
        "SELECT name, version, generation, position, state, error FROM checkpoints ORDER BY 1, 2, 3"
    )
    return [Standing(*row) for row in rows]


def _live(c: Connection) -> list[Standing]:
    """The generations that this program reads: those of its own versions."""
    return [
        s
        for s in _standings(c)
        if s.state in ("live", "stopped") and s.name in projections and projections[s.name].version == s.version
    ]


def _set_state(c: Connection, standing: Standing, state: str) -> None:
    c.exec_driver_sql(
        "UPDATE checkpoints SET state = ?, error = '' WHERE name = ? AND version = ? AND generation = ?",
        (state, *_key(standing)),
    )


def _table_ddl(projection: Projection, standing: Standing) -> Iterator[str]:
    dialect = sqlite.dialect()
    for table in projection.tables:
        sql = str(CreateTable(table).compile(dialect=dialect))
        yield sql.replace(f"CREATE TABLE {table.name}", f"CREATE TABLE {_physical(table.name, standing)}")
    for text in projection.texts:
        yield f"CREATE VIRTUAL TABLE {_physical(text.name, standing)} USING fts5(text, tokenize = 'unicode61 remove_diacritics 2')"


def _index_ddl(projection: Projection, standing: Standing) -> Iterator[str]:
    dialect = sqlite.dialect()
    for table in projection.tables:
        for index in sorted(table.indexes, key=lambda i: str(i.name)):
            sql = str(CreateIndex(index).compile(dialect=dialect))
            sql = sql.replace(f"INDEX {index.name} ", f"INDEX {_physical(str(index.name), standing)} ")
            yield sql.replace(f" ON {table.name} ", f" ON {_physical(table.name, standing)} ")


@contextmanager
def _closing(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield db
    finally:
        db.close()


@contextmanager
def _no_gc() -> Iterator[None]:
    """The cyclic collector off: it finds nothing in a run of events and doubles the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def missing_projection(name: str) -> NotFound:
    """No installed feature declares the projection *name*."""
    return NotFound(f"there is no projection {name!r}", remedy=f"choose one of {', '.join(sorted(projections))}")
