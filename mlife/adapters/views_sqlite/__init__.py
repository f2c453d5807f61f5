"""The query tables on SQLite, in a file of their own so that a rebuild never delays the log."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

import mlife.adapters.views_sqlite.words  # noqa: F401 - how a search is written
from mlife.adapters.sqlite_file import Wal, askable, connect, explained, flocked, opened, translated
from mlife.adapters.views_sql import FORGET, SqlViews
from mlife.adapters.views_sql.generations import all_standings, named, ours, physical_names
from mlife.adapters.views_sqlite.tables import SCHEMA, check_tables, index_ddl, look_through, table_ddl
from mlife.adapters.views_sqlite.writing import SqliteTx
from mlife.core.events import Event, Recorded
from mlife.core.projection import Projection, Standing, projections

WRITERS_PAGES = 32_000
"""
kB of pages that the writer keeps: each report touches some twenty, all over the indexes. As long as the tables are
smaller it keeps no more than they have.
"""


class SqliteViews(SqlViews):
    """
    `Views` in the file *path*.

    Attributes:
        LOOKED_THROUGH: events from which it matters by which of several indexes rows are looked for.
    """

    WAITS = (0.002, 0.002)
    LOOKED_THROUGH: ClassVar[int] = 10_000

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._wal = Wal(path, least=200, most=1_000)
        self._look_at: dict[str, int] = {}
        opened(path, SCHEMA).close()
        self._readers = self._engine("BEGIN", 4_000, pool_size=8, max_overflow=64, pool_use_lifo=True)
        # One, as only one writes at a time, and what it has in memory stays right as long as no other one writes.
        self._writer = self._engine("BEGIN IMMEDIATE", WRITERS_PAGES, pool_size=1, max_overflow=0)

    def _engine(self, begin: str, cache: int, **pool: Any) -> Engine:
        """Connections that *begin* their transactions so, each with *cache* kB of pages."""
        engine = create_engine("sqlite://", creator=partial(self._connect, cache), poolclass=QueuePool, **pool)
        event.listen(engine, "begin", lambda c: c.exec_driver_sql(begin))
        self._listen(engine)
        return engine

    def _connect(self, cache: int) -> sqlite3.Connection:
        with translated(self._path):
            db = connect(self._path)
            db.execute("PRAGMA synchronous=NORMAL")  # a lost last commit takes its checkpoint along: folded again
            db.execute(f"PRAGMA cache_size=-{cache}")
            return db

    @contextmanager
    def _connected(self, engine: Engine) -> Iterator[Connection]:
        """A connection. A disk that fails is told in words; a statement that does is the caller's affair."""
        try:
            with engine.connect() as c:
                yield c
        except (DBAPIError, sqlite3.Error) as fault:
            said = explained(self._path, fault.orig or fault if isinstance(fault, DBAPIError) else fault)
            if said is None:
                raise
            raise said from fault

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._connected(self._readers) as c, c.begin():
            yield c

    @contextmanager
    def _writing(self, standing: Standing | None = None) -> Iterator[Connection]:
        with flocked(self._path), self._connected(self._writer) as c:
            with c.begin():
                yield c
            if self._wal.is_long():
                self._wal.begin_anew(cast("sqlite3.Connection", c.connection.driver_connection))

    _asking = staticmethod(askable)

    def _tx(self, c: Connection, standing: Standing) -> AbstractContextManager[SqliteTx]:
        return nullcontext(SqliteTx(c, standing))

    def _live(self, c: Connection) -> list[Standing]:
        return ours(all_standings(c))

    def _hold(self, c: Connection, standings: Sequence[Standing]) -> None:
        c.exec_driver_sql("SELECT 1 FROM checkpoints LIMIT 1").all()  # SQLite's snapshot begins at the first read

    def _create(self, c: Connection, projection: Projection, standing: Standing) -> None:
        for statement in table_ddl(projection, standing):
            c.exec_driver_sql(statement)

    def _index(self, c: Connection, projection: Projection, standing: Standing) -> None:
        for statement in index_ddl(projection, standing):
            c.exec_driver_sql(statement)
        if standing.state == "filling":
            look_through(c, projection, standing)

    def apply(self, projection: Projection, standing: Standing, events: Sequence[Recorded[Event]], to: int) -> Standing:
        """See `Views.apply`. Each time that the log has doubled, SQLite looks at what the indexes hold."""
        moved = super().apply(projection, standing, events, to)
        if moved.state == "live" and to >= self._look_at.get(moved.name, self.LOOKED_THROUGH):
            self._look_at[moved.name] = 2 * to
            with self._writing(moved) as c:
                look_through(c, projection, moved)
        return moved

    def _check(self, c: Connection, projection: Projection, standing: Standing) -> None:
        check_tables(c, projection, standing)

    def _drop(self, c: Connection, standing: Standing) -> None:
        for name in physical_names(projections[standing.name], standing):
            c.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
        c.execute(FORGET, named(standing))

    def _compared(self, projection: Projection, name: str) -> str:
        return "rowid, *" if any(name == t.name for t in projection.texts) else "*"

    def close(self) -> None:
        """Release the connections."""
        self._readers.dispose()
        self._writer.dispose()
