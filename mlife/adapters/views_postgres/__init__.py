"""The query tables on PostgreSQL: in the schema that comes first on the search path, beside the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from sqlalchemy import Connection as SqlConnection
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as NoneLeft

from mlife.adapters.postgres import Connection, Postgres, explained, translated
from mlife.adapters.sqlite_file import askable
from mlife.adapters.views_postgres.dialect import AskedInteger, NumberLoader
from mlife.adapters.views_postgres.tables import SCHEMA, VERSION, check_tables, index_ddl, remember, table_ddl
from mlife.adapters.views_postgres.writing import PostgresTx, quote
from mlife.adapters.views_sql import FORGET, SET_STATE, SqlViews
from mlife.adapters.views_sql.generations import all_standings, key_of, named, ours, physical_names
from mlife.core.errors import Invalid, Unavailable, in_a_line
from mlife.core.events import Event, Recorded
from mlife.core.projection import Projection, Standing, projections

log = logging.getLogger("mlife.views")

READERS, WRITERS = (4, 20), (1, 7)
"""Connections of a process that are kept, and those that may come on top."""

PATIENCE = 10.0
"""Seconds that a reader waits for a connection while all are in use."""

DROPPED = "dropped"
"""State of a generation that nobody may begin to read; its tables go when the last one who reads them has ended."""

SWEEP_EVERY = 60.0
"""Seconds between looks for such generations."""

LIMITS = {"lock_timeout": "10s", "idle_in_transaction_session_timeout": "30s", "transaction_timeout": "300s"}
"""How long a writer waits for another's lock, and how long one that stands still keeps it."""

THIS = "name = %(name)s AND version = %(version)s AND generation = %(generation)s"


class PostgresViews(SqlViews):
    """`Views` in the database *postgres*."""

    WAITS = (0.002, 0.02)

    def __init__(self, postgres: Postgres) -> None:
        super().__init__()
        self._postgres = postgres
        postgres.ensure("views", VERSION, SCHEMA)
        self._generations = postgres.number("generations of query tables")
        self._readers = self._engine(_set_up_reader, *READERS)
        self._writers = self._engine(_set_up_writer, *WRITERS)
        self._sweep_at = 0.0
        self._cutting: ContextVar[bool] = ContextVar("cutting", default=False)

    def _engine(self, set_up: Callable[[Connection], None], kept: int, more: int) -> Engine:
        def connect() -> Connection:
            db = self._postgres.connect(autocommit=True)
            try:
                with translated(self._postgres.shown):
                    set_up(db)
            except BaseException:
                db.close()
                raise
            db.adapters.register_loader("numeric", NumberLoader)
            db.autocommit = False
            return db

        engine = create_engine(
            "postgresql+mlife://",
            creator=connect,
            use_native_hstore=False,
            pool_size=kept,
            max_overflow=more,
            pool_timeout=PATIENCE,
            pool_use_lifo=True,
            pool_pre_ping=True,
        )
        self._listen(engine)
        return engine

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """An outage is told in words; a fault of a statement is the caller's affair."""
        try:
            yield
        except NoneLeft as fault:
            raise Unavailable(
                f"all connections to {self._postgres.shown} are in use", remedy="ask again; fewer at once"
            ) from fault
        except (DBAPIError, psycopg.Error) as fault:
            orig = fault.orig if isinstance(fault, DBAPIError) else fault
            said = explained(self._postgres.shown, orig) if isinstance(orig, psycopg.Error) else None
            if said is None:
                raise
            raise said from fault

    @contextmanager
    def _reading(self) -> Iterator[SqlConnection]:
        with self._explained(), self._readers.connect() as c:
            yield c  # its transaction begins with the first statement, and is rolled back: there is nothing to commit

    @contextmanager
    def _writing(self, standing: Standing | None = None) -> Iterator[SqlConnection]:
        with self._explained(), self._writers.connect() as c, c.begin():
            if standing is None:
                c.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (self._generations,))
            yield c

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            with self._explained(), askable():
                yield
        except DataError as fault:
            if "NUL" in str(fault.orig):
                raise Invalid("a text that was asked for holds NUL", remedy="write it without") from fault
            raise

    def _tx(self, c: SqlConnection, standing: Standing) -> PostgresTx:
        return PostgresTx(c, standing, cuts=self._cutting.get())

    # --- generations ---

    def standings(self) -> list[Standing]:
        """See `Views.standings`."""
        return [s for s in super().standings() if s.state != DROPPED]

    def _live(self, c: SqlConnection) -> list[Standing]:
        rows = c.exec_driver_sql(
            "SELECT pg_try_advisory_xact_lock_shared(hold), name, version, generation, position, state, error"
            " FROM checkpoints WHERE state IN ('live', 'stopped') ORDER BY 2, 3, 4"
        )
        return ours(Standing(*row) for held, *row in rows if held)  # one that is not held is being dropped

    def _hold(self, c: SqlConnection, standings: Sequence[Standing]) -> None:
        for s in standings:
            held = c.exec_driver_sql(
                f"SELECT pg_try_advisory_xact_lock_shared(hold) FROM checkpoints WHERE {THIS}", named(s)
            )
            if not held.scalar():
                raise Unavailable(f"generation {s.generation} of {s.name} is being dropped", remedy="begin again")

    def _create(self, c: SqlConnection, projection: Projection, standing: Standing) -> None:
        # what a checkpoint that was deleted has left
        c.exec_driver_sql(f"DROP TABLE IF EXISTS {_tables(standing)}")
        for statement in table_ddl(projection, standing):
            c.exec_driver_sql(statement)
        hold = self._postgres.number("/".join(["generation", *map(str, key_of(standing))]))
        c.exec_driver_sql(f"UPDATE checkpoints SET hold = %(hold)s WHERE {THIS}", {**named(standing), "hold": hold})
        remember(c, projection, standing)

    def _index(self, c: SqlConnection, projection: Projection, standing: Standing) -> None:
        c.exec_driver_sql("SELECT set_config(name, '0', true) FROM pg_settings WHERE name = 'transaction_timeout'")
        for statement in index_ddl(projection, standing):  # may take minutes
            c.exec_driver_sql(statement)
        if standing.state == "filling":
            c.exec_driver_sql(f"ANALYZE {_tables(standing)}")  # the planner knows nothing of it yet

    def _check(self, c: SqlConnection, projection: Projection, standing: Standing) -> None:
        check_tables(c, projection, standing)

    def _compared(self, projection: Projection, name: str) -> str:
        for table in projection.tables:
            if table.name == name:  # JSON can't be compared, its text can
                return ", ".join(f"CAST({quote(c.name)} AS text)" for c in table.columns)
        return "key, text, CAST(words AS text)"

    def flip(self, standing: Standing) -> None:
        """See `Views.flip`."""
        super().flip(standing)
        self._sweep()

    def discard(self, standing: Standing) -> None:
        """See `Views.discard`."""
        super().discard(standing)
        self._sweep()

    def apply(self, projection: Projection, standing: Standing, events: Sequence[Recorded[Event]], to: int) -> Standing:
        """See `Views.apply`."""
        try:
            moved = super().apply(projection, standing, events, to)
        except psycopg.errors.ProgramLimitExceeded as fault:
            log.warning("%s cuts a text that is too long for an index (%s)", standing.name, in_a_line(fault))
            before = self._cutting.set(True)
            try:
                moved = super().apply(projection, standing, events, to)
            finally:
                self._cutting.reset(before)
        if standing.state == "live" and time.monotonic() > self._sweep_at:
            self._sweep_at = time.monotonic() + SWEEP_EVERY
            self._sweep()
        return moved

    def _drop(self, c: SqlConnection, standing: Standing) -> None:
        c.execute(SET_STATE, {**named(standing), "state": DROPPED})

    def _sweep(self) -> None:
        """Drop the tables of dropped generations that nobody reads any more; the others' turn comes later."""
        with self._reading() as c:
            dropped = [s for s in all_standings(c) if s.state == DROPPED and s.name in projections]
        for s in dropped:
            if projections[s.name].version == s.version:
                try:
                    self._drop_tables(s)
                except Unavailable as e:  # somebody else looks at them, e.g. a backup
                    log.info("generation %d of %s is dropped later: %s", s.generation, s.name, e)

    def _drop_tables(self, s: Standing) -> None:
        with self._writing(s) as c:
            unread = c.exec_driver_sql(
                f"SELECT pg_try_advisory_xact_lock(hold) FROM checkpoints WHERE {THIS} FOR UPDATE SKIP LOCKED", named(s)
            )
            if unread.scalar():
                c.exec_driver_sql("SET LOCAL lock_timeout = '100ms'")
                c.exec_driver_sql(f"DROP TABLE IF EXISTS {_tables(s)}")
                c.execute(FORGET, named(s))

    def close(self) -> None:
        """Release the connections."""
        self._readers.dispose()
        self._writers.dispose()


def _set_up_reader(db: Connection) -> None:
    """One moment for all statements of a transaction, and nothing written."""
    db.execute("SET jit = off")  # it pays for queries of seconds, and takes half a second itself
    db.execute("SET plan_cache_mode = force_custom_plan")  # one made while a table was empty would read all of it later
    db.adapters.register_dumper(int, AskedInteger)
    db.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    db.read_only = True


def _set_up_writer(db: Connection) -> None:
    """A lost last commit takes its checkpoint along: folded again. Who stands still does not stop others for ever."""
    db.execute("SET jit = off")
    db.execute("SET synchronous_commit = off")
    for name, limit in LIMITS.items():
        # those that the server knows: the last came with PostgreSQL 17
        db.execute("SELECT set_config(name, %s, false) FROM pg_settings WHERE name = %s", (limit, name))
    db.prepare_threshold = None  # as above: plans are made anew


def _tables(standing: Standing) -> str:
    names: list[Any] = physical_names(projections[standing.name], standing)
    return ", ".join(map(quote, names))
