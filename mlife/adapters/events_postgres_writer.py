"""How a batch gets into the log on PostgreSQL, and what is answered when the server goes away in the middle of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any, Final

import psycopg
from psycopg import generators, pq
from psycopg.abc import PQGen
from psycopg.errors import error_from_result

from mlife.adapters.events_postgres_judge import PREPARED, PostgresJudge, places_behind_the_lock
from mlife.adapters.events_postgres_table import COLUMNS, copied
from mlife.adapters.group_commit import Outcome
from mlife.adapters.postgres import Connection, Postgres, explained
from mlife.core.errors import MLifeError, Unavailable
from mlife.core.ports import Append

log = logging.getLogger("mlife.postgres")

SETTINGS: Final = """
SET lock_timeout = '{patience}s';
-- a process that is stopped while it holds the lock must not stop the others
SET idle_in_transaction_session_timeout = '{patience}s';
SET statement_timeout = 0;
-- plans are made once, while the table may still be empty: they must be those of a large one
SET enable_seqscan = off;
SET plan_cache_mode = force_generic_plan;
SET jit = off;
"""

PATIENCE: Final = 10
"""Seconds: how long this writer waits for another one's lock, and how long it may hold it without a word."""

FINDING_OUT: Final = 5.0
"""Seconds in which the fate of a commit is asked for after its answer was lost."""

LONGEST_PAUSE: Final = 2.0
"""Seconds between tries to reach a server that is away; who comes meanwhile is refused at once."""


class Writer:
    """
    The connection of one process's group-commit writer. For one thread.

    A batch takes three round trips: begin, lock and all that must be looked up; COPY; its rows, NOTIFY and COMMIT.

    Args:
        lock: number of the advisory lock that all writers of this log take.
        channel: what is notified, with the new head.
    """

    def __init__(self, postgres: Postgres, lock: int, channel: str) -> None:
        self._postgres = postgres
        self._lock = lock
        self._copy = f"COPY events ({COLUMNS}) FROM STDIN (FORMAT binary); NOTIFY {channel}, '%d'; COMMIT"
        self._settings = SETTINGS.format(patience=PATIENCE) + PREPARED
        self._db: Connection | None = None
        self._pause = 0.0
        self._not_before = 0.0
        self._gone: MLifeError | None = None
        self._unsure = False
        self.head = 0
        """The last position that this writer has seen committed."""

    def close(self) -> None:
        """Release the connection."""
        if self._db is not None:
            self._db.close()

    def commit(self, appends: Sequence[Append]) -> Sequence[Outcome]:
        """
        What each of *appends* gets, after the commit.

        Raises:
            MLifeError: an outage; its message says so where this may have been written all the same.
            Exception: any other fault is somebody's drafts; nothing was written.
        """
        was_open = self._db is not None
        try:
            return self._written(self._connected(), appends)
        except psycopg.errors.UniqueViolation as fault:  # somebody writes without the lock; what was judged is void
            log.warning("%s: %s", self._postgres.shown, fault)
        except _Lost as lost:
            if lost.rows is not None:
                return self._found_out(appends, lost)
            if not was_open:
                raise lost.said from lost.__cause__
        return self._again(appends)  # lost: it had ended while it was idle, by a restart perhaps

    # --- the connection ---

    def _connected(self, *, now: bool = False) -> Connection:
        """The open connection, or a new one; after a failure only at certain times, or *now*."""
        if self._db is not None:
            return self._db
        if self._gone is not None and not now and time.monotonic() < self._not_before:
            raise self._gone
        try:
            db = self._postgres.connect()
            db.execute(self._settings.encode())
        except (MLifeError, psycopg.Error) as fault:
            said = fault if isinstance(fault, MLifeError) else explained(self._postgres.shown, fault)
            if said is None:
                raise
            if self._gone is None:
                log.warning("%s", said)
            self._gone = said
            self._pause = min(2 * self._pause or 0.1, LONGEST_PAUSE)
            self._not_before = time.monotonic() + self._pause
            raise said from fault
        if self._gone is not None:
            log.warning("%s is back", self._postgres.shown)
        self._gone, self._pause, self._db = None, 0.0, db
        return db

    # --- a batch ---

    def _written(self, db: Connection, appends: Sequence[Append]) -> Sequence[Outcome]:
        """
        As `commit`.

        Raises:
            _Lost: the connection, and with it perhaps the answer to COMMIT.
        """
        rows: Sequence[tuple[Any, ...]] | None = None
        outcomes: Sequence[Outcome] = ()
        self._unsure = False
        try:
            judge = PostgresJudge(db, self._lock, appends)
            outcomes = [judge.judge(a) for a in appends]
            rows = judge.rows
            if rows:
                db.wait(self._copied(db.pgconn, list(copied(rows)), rows[-1][0]))
            else:
                db.execute("COMMIT")
            self.head = max(self.head, rows[-1][0] if rows else 0)
        except psycopg.Error as fault:
            unsure = self._unsure
            said = explained(self._postgres.shown, fault)
            if self._undone(db):
                if said is None:
                    raise
                raise said from fault
            said = said or Unavailable(f"{self._postgres.shown} ended the connection ({fault})")
            raise _Lost(said, rows if unsure else None, outcomes) from fault
        except BaseException:
            self._undone(db)
            raise
        return outcomes

    def _copied(self, pgconn: pq.abc.PGconn, pieces: Sequence[bytes], head: int) -> PQGen[None]:
        pgconn.send_query((self._copy % head).encode())
        (result,) = yield from generators.execute(pgconn)
        if result.status != pq.ExecStatus.COPY_IN:
            raise error_from_result(result)
        for piece in pieces:
            yield from generators.copy_to(pgconn, piece, flush=False)
        yield from generators.send(pgconn)
        self._unsure = True
        pgconn.put_copy_end()
        results = yield from generators.execute(pgconn)
        for result in results:
            if result.status != pq.ExecStatus.COMMAND_OK:
                raise error_from_result(result)
        if results[-1].command_status != b"COMMIT":
            raise psycopg.InternalError(f"the server answered {results[-1].command_status!r} to COMMIT")
        self._unsure = False

    def _undone(self, db: Connection) -> bool:
        """Roll back what *db* has begun; False if the connection is lost, and with it all that was not committed."""
        states = pq.TransactionStatus
        try:
            if db.info.transaction_status in {states.INTRANS, states.INERROR}:
                db.execute("ROLLBACK")
            if db.info.transaction_status == states.IDLE:
                return True
        except psycopg.Error as fault:
            log.info("%s: %s", self._postgres.shown, fault)
        db.close()
        self._db = None
        return False

    # --- after the connection was lost ---

    def _again(self, appends: Sequence[Append]) -> Sequence[Outcome]:
        """Once more, on a new connection."""
        try:
            return self._written(self._connected(now=True), appends)
        except _Lost as lost:
            if lost.rows is None:
                raise lost.said from lost.__cause__
            return self._found_out(appends, lost)

    def _found_out(self, appends: Sequence[Append], lost: _Lost) -> Sequence[Outcome]:
        """Whether what was lost in the middle of COMMIT was committed; what was not is written now."""
        if self._was_committed(lost):
            return lost.outcomes
        try:
            return self._written(self._connected(now=True), appends)
        except _Lost as again:
            raise (again.said if again.rows is None else self._unknown()) from again.__cause__

    def _was_committed(self, lost: _Lost) -> bool:
        """
        Ask the server, for as long as it may soon be back.

        Raises:
            Unavailable: nobody knows.
        """
        rows = lost.rows or ()
        deadline = time.monotonic() + FINDING_OUT
        while True:
            try:
                places = self._places([row[2] for row in rows])
            except MLifeError as fault:
                if time.monotonic() > deadline:
                    raise self._unknown() from fault
                time.sleep(0.1)
                continue
            if any(places.get(row[2]) != row[0] for row in rows):
                return False
            self.head = max(self.head, rows[-1][0])
            return True

    def _places(self, ids: Sequence[bytes]) -> dict[bytes, int]:
        db = self._connected(now=True)
        try:
            return places_behind_the_lock(db, self._lock, ids)
        except psycopg.Error as fault:
            self._undone(db)
            raise explained(self._postgres.shown, fault) or self._unknown() from fault

    def _unknown(self) -> Unavailable:
        return Unavailable(
            f"{self._postgres.shown} went away in the middle of a commit; this may have been written",
            remedy="send it again: what was written is known",
        )


class _Lost(Exception):
    """
    The connection is lost.

    Args:
        said: for the callers.
        rows: None if nothing can have been written; else what COMMIT was asked for, and *outcomes* if it was done.
    """

    def __init__(self, said: MLifeError, rows: Sequence[tuple[Any, ...]] | None, outcomes: Sequence[Outcome]) -> None:
        super().__init__(said)
        self.said, self.rows, self.outcomes = said, rows, outcomes
