"""
The query tables on SQLite, in a file of their own so that a rebuild never delays the log.

Which generation of a projection's tables a reader sees is read in its own transaction (ADR 0004).
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Executable, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from mlife.adapters.sqlite_file import Wal, askable, connect, explained, flocked, opened, translated
from mlife.adapters.views_sqlite.generations import (
    SCHEMA,
    Names,
    Rewriter,
    all_standings,
    check_tables,
    index_ddl,
    key_of,
    live_standings,
    names_of,
    physical_name,
    plain_names,
    table_ddl,
)
from mlife.adapters.views_sqlite.writing import SqliteTx
from mlife.core.errors import Conflict, Unavailable
from mlife.core.events import Event, Recorded
from mlife.core.folding import without_gc
from mlife.core.projection import Projection, Standing, projections
from mlife.core.tables import AnyRow


class SqliteViews:
    """`Views` in the file *path*."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._moved = threading.Condition()
        self._wal = Wal(path, least=200, most=1_000)
        self._rewriter = Rewriter()
        opened(path, SCHEMA).close()
        self._engine = create_engine(
            "sqlite://", creator=self._connect, poolclass=QueuePool, pool_size=8, max_overflow=64, pool_use_lifo=True
        )
        event.listen(self._engine, "begin", lambda c: c.exec_driver_sql(c.info.get("begin", "BEGIN")))
        event.listen(self._engine, "before_cursor_execute", self._rename, retval=True)

    def _connect(self) -> sqlite3.Connection:
        with translated(self._path):
            db = connect(self._path)
            db.execute("PRAGMA synchronous=NORMAL")  # a lost last commit takes its checkpoint along: folded again
            return db

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A connection. A disk that fails is told in words; a statement that does is the caller's affair."""
        try:
            with self._engine.connect() as c:
                yield c
        except (DBAPIError, sqlite3.Error) as fault:
            said = explained(self._path, fault.orig or fault if isinstance(fault, DBAPIError) else fault)
            if said is None:
                raise
            raise said from fault

    @contextmanager
    def _write(self, *, cache: int = 8_000) -> Iterator[Connection]:
        """A writing transaction, with *cache* kB of pages."""
        with flocked(self._path), self._connected() as c:
            cast("sqlite3.Connection", c.connection.driver_connection).execute(f"PRAGMA cache_size=-{cache}")
            c.info["begin"] = "BEGIN IMMEDIATE"
            try:
                with c.begin():
                    yield c
                if self._wal.is_long():
                    self._wal.begin_anew(cast("sqlite3.Connection", c.connection.driver_connection))
            finally:
                c.info["begin"] = "BEGIN"
                c.info.pop("names", None)

    def _rename(self, c: Any, cursor: Any, sql: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        names: Names | None = c.info.get("names")
        return (sql if names is None else self._rewriter.rewrite(sql, names)), parameters

    # --- reading ---

    @contextmanager
    def read(self, *, min_position: int = 0, timeout: float = 5.0) -> Iterator[SqliteReader]:
        """See `Views.read`."""
        deadline = time.monotonic() + timeout
        while True:
            with self._connected() as c, c.begin():
                live = live_standings(c)
                if len(live) == len(projections):
                    moving = min((s.position for s in live if s.state == "live"), default=min_position)
                    if moving >= min_position:
                        c.info["names"] = names_of(live, min_position)
                        try:
                            yield SqliteReader(c, min((s.position for s in live), default=0))
                        finally:
                            c.info.pop("names", None)
                        return
            if len(live) < len(projections):
                self._prepare_all(live)
                continue
            if time.monotonic() > deadline:
                slow = min((s for s in live if s.state == "live"), key=lambda s: s.position)
                raise Unavailable(
                    f"projection {slow.name} is at position {slow.position}, not yet {min_position}",
                    remedy="ask again; `mlife projection status` shows who lags",
                )
            with self._moved:
                self._moved.wait(0.002)

    def _prepare_all(self, live: Sequence[Standing]) -> None:
        """Make what a new home, or a newly installed feature, lacks; a query on it finds empty tables, not none."""
        for projection in projections.values():
            if projection.name not in {s.name for s in live}:
                self.prepare(projection)

    def notify(self) -> None:
        """See `Views.notify`."""
        with self._moved:
            self._moved.notify_all()

    def standings(self) -> list[Standing]:
        """See `Views.standings`."""
        with self._connected() as c:
            return all_standings(c)

    # --- generations ---

    def prepare(self, projection: Projection) -> Standing:
        """See `Views.prepare`."""
        with self._connected() as c:
            for s in live_standings(c):
                if s.name == projection.name:
                    check_tables(c, projection, s)
                    return s
        return self._make(projection, "live")

    def new_generation(self, projection: Projection) -> Standing:
        """See `Views.new_generation`."""
        return self._make(projection, "filling")

    def _make(self, projection: Projection, state: str) -> Standing:
        with self._write() as c:
            mine = [s for s in all_standings(c) if (s.name, s.version) == (projection.name, projection.version)]
            if state == "live":
                for s in mine:
                    if s.state in ("live", "stopped"):
                        return s  # another process was faster
            standing = Standing(
                projection.name, projection.version, 1 + max((s.generation for s in mine), default=0), 0, state
            )
            for statement in table_ddl(projection, standing):
                c.exec_driver_sql(statement)
            if state == "live":
                for statement in index_ddl(projection, standing):
                    c.exec_driver_sql(statement)
            c.exec_driver_sql("INSERT INTO checkpoints VALUES (?, ?, ?, 0, ?, '')", (*key_of(standing), state))
            return standing

    def finish(self, projection: Projection, standing: Standing) -> None:
        """See `Views.finish`."""
        with self._write() as c:
            for statement in index_ddl(projection, standing):
                c.exec_driver_sql(statement)

    def flip(self, standing: Standing) -> None:
        """See `Views.flip`."""
        with self._write() as c:
            mine = [s for s in all_standings(c) if (s.name, s.version) == (standing.name, standing.version)]
            live = [s for s in mine if s.state in ("live", "stopped") and s.generation != standing.generation]
            if standing.generation not in {s.generation for s in mine}:
                raise Conflict(f"generation {standing.generation} of {standing.name}", standing.position, -1)
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
        for name in plain_names(projections[standing.name]):
            c.exec_driver_sql(f"DROP TABLE IF EXISTS {physical_name(name, standing)}")
        c.exec_driver_sql("DELETE FROM checkpoints WHERE name = ? AND version = ? AND generation = ?", key_of(standing))

    # --- folding ---

    def apply(self, projection: Projection, standing: Standing, events: Sequence[Recorded[Event]], to: int) -> Standing:
        """See `Views.apply`."""
        with self._write(cache=8_000 if standing.state == "live" else 32_000) as c, without_gc():
            moved = c.exec_driver_sql(
                "UPDATE checkpoints SET position = ? WHERE name = ? AND version = ? AND generation = ? "
                "AND position = ? AND state = ?",
                (to, *key_of(standing), standing.position, standing.state),
            )
            if moved.rowcount != 1:
                raise Conflict(f"checkpoint of {standing.name}", standing.position, -1)
            if events:
                c.info["names"] = names_of([standing])
                projection.apply(events, SqliteTx(c, standing))
        return Standing(*key_of(standing), to, standing.state)

    def stop(self, standing: Standing, error: str) -> None:
        """See `Views.stop`."""
        with self._write() as c:
            stopped = c.exec_driver_sql(
                "UPDATE checkpoints SET state = 'stopped', error = ? WHERE name = ? AND version = ? AND generation = ? "
                "AND position = ? AND state = ?",
                (error, *key_of(standing), standing.position, standing.state),
            )
            if stopped.rowcount != 1:
                raise Conflict(f"checkpoint of {standing.name}", standing.position, -1)
        self.notify()

    def clear(self, projection: Projection) -> None:
        """See `Views.clear`."""
        with self._write() as c:
            c.exec_driver_sql(
                "UPDATE checkpoints SET state = 'live', error = '' "
                "WHERE name = ? AND version = ? AND state = 'stopped'",
                (projection.name, projection.version),
            )

    @contextmanager
    def comparing(self, projection: Projection, left: Standing, right: Standing) -> Iterator[Callable[[], list[str]]]:
        """See `Views.comparing`."""
        with self._connected() as c, c.begin():
            c.exec_driver_sql("SELECT 1 FROM checkpoints LIMIT 1").all()  # SQLite's snapshot begins at the first read
            yield lambda: _differences(c, projection, left, right)

    def close(self) -> None:
        """Release the connections."""
        self._engine.dispose()


class SqliteReader:
    """See `Reader`."""

    def __init__(self, c: Connection, position: int) -> None:
        self._c = c
        self.position = position

    def all(self, statement: Executable) -> Sequence[AnyRow]:
        """See `Reader.all`."""
        with askable():
            return self._c.execute(statement).all()

    def one(self, statement: Executable) -> AnyRow | None:
        """See `Reader.one`."""
        with askable():
            return self._c.execute(statement).first()

    def value(self, statement: Executable) -> Any:
        """See `Reader.value`."""
        row = self.one(statement)
        return None if row is None else row[0]


def _differences(c: Connection, projection: Projection, left: Standing, right: Standing) -> list[str]:
    found: list[str] = []
    for name in plain_names(projection):
        columns = "rowid, *" if any(name == t.name for t in projection.texts) else "*"
        for here, there, word in ((left, right, "is not in"), (right, left, "is only in")):
            rows = c.exec_driver_sql(
                f"SELECT {columns} FROM {physical_name(name, here)} "
                f"EXCEPT SELECT {columns} FROM {physical_name(name, there)} LIMIT 5"
            )
            found += [f"{name}: {tuple(row)} {word} the fresh replay" for row in rows]
    return found


def _set_state(c: Connection, standing: Standing, state: str) -> None:
    c.exec_driver_sql(
        "UPDATE checkpoints SET state = ?, error = '' WHERE name = ? AND version = ? AND generation = ?",
        (state, *key_of(standing)),
    )
