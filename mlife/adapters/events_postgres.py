"""
The log on PostgreSQL: one plain table, one group-commit writer per process.

All writers of a schema take one advisory lock per batch, so that positions are dense and in commit order, whoever
writes. Decisions and figures are in ADR 0008.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg

from mlife.adapters.events_postgres_judge import BEGIN, HEAD, LOCK
from mlife.adapters.events_postgres_news import News
from mlife.adapters.events_postgres_table import SELECTED, VERSION, Uuids, UuidsDumper, ddl, recorded
from mlife.adapters.events_postgres_writer import Writer
from mlife.adapters.group_commit import Call, GroupCommit, Outcome
from mlife.adapters.postgres import Connection, Postgres, translated
from mlife.core.errors import Invalid, Unavailable, shortened
from mlife.core.events import Event, Recorded, registry
from mlife.core.folding import without_gc
from mlife.core.ports import Append, Appended

SELECT: Final = f"SELECT {SELECTED} FROM events"

RUN: Final = f"{SELECT} WHERE position > %s AND position <= %s"
"""
Both ends are named, and rows are sorted here: positions are dense, so this is bounded whatever the planner believes.
With a LIMIT it may sort all that follows, again for each run, as long as the table has no statistics.
"""

BY_INDEX: Final = """
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
       set_config('enable_sort', 'off', true)
"""
RARE: Final = f"""
SELECT {SELECTED} FROM (
    SELECT e.* FROM unnest(%s::text[]) AS t(name) CROSS JOIN LATERAL (
        SELECT * FROM events WHERE single = 0 AND (type, position) > (name, %s)
        AND (type, position) <= (name, 9223372036854775807) ORDER BY type, position LIMIT %s
    ) AS e
) AS found ORDER BY position LIMIT %s
"""
"""
Each type by itself, through the index of types: written as pairs, because for `type = name ORDER BY position` the
planner may go through all positions instead, to the end of the log if there is no such event.
"""

WINDOW: Final = 50_000
"""Events that are looked through at once for types that no index helps to find."""

ANSWER_WITHIN: Final = 60.0
"""Seconds after which a caller is told that the log does not answer, whatever the server is doing."""

BARRIER_WITHIN: Final = 60
"""Seconds for which the writer lock may be held without a word; then the server lets go, and the block fails."""


class PostgresEventStore:
    """
    An `EventStore` in the table `events` of the schema of *postgres*, shared by any number of processes.

    Raises:
        Misconfigured, Unavailable: see `Postgres`.
    """

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        postgres.ensure("log", VERSION, ddl(postgres.schema))
        self._lock = postgres.number("log")
        channel = f"mlife_log_{self._lock:x}"
        self._writer = Writer(postgres, self._lock, channel)
        self._news = News(postgres, channel, self.head)
        self._commits = GroupCommit(self._commit, self._tell, patience=ANSWER_WITHIN)

    # --- appending ---

    def append(self, append: Append) -> Appended:
        """See `EventStore.append`."""
        return self.submit(append).result()

    def submit(self, append: Append) -> Call:
        """See `EventStore.submit`."""
        return self._commits.submit(append)

    def _commit(self, appends: Sequence[Append]) -> Sequence[Outcome]:
        return self._writer.commit(appends)

    def _tell(self) -> None:
        self._news.told(self._writer.head)

    @contextmanager
    def barrier(self) -> Iterator[int]:
        """
        See `EventStore.barrier`.

        Raises:
            Unavailable: the lock was not to be had; or, at the end, it was lost before: writers have gone on.
        """
        db = self._postgres.connect()
        try:
            with translated(self._postgres.shown):
                db.execute(
                    f"SET lock_timeout = '{BARRIER_WITHIN}s'; "
                    f"SET idle_in_transaction_session_timeout = '{BARRIER_WITHIN}s'".encode()
                )
                db.execute(BEGIN)
                db.execute(LOCK, (self._lock,))
                row = db.execute(HEAD).fetchone()
            assert row is not None
            yield int(row[0])
            try:
                db.execute("COMMIT")
            except psycopg.Error as fault:
                raise Unavailable(
                    f"the connection to {self._postgres.shown} that held the writer lock was lost ({fault}); "
                    "others may have written meanwhile",
                    remedy="do it again",
                ) from fault
        finally:
            db.close()

    # --- reading ---

    @contextmanager
    def _asking(self) -> Iterator[Connection]:
        """A connection for a question; what no column can hold is the asker's to mend."""
        if self._commits.is_closed():
            raise Unavailable("the log is closed", remedy="open the home again")
        try:
            with self._postgres.lent() as db:
                db.adapters.register_dumper(Uuids, UuidsDumper)
                yield db
        except UnicodeEncodeError as fault:
            raise Invalid(f"{shortened(fault.object)!r} is no valid text", remedy="write it as UTF-8") from fault
        except psycopg.DataError as fault:
            raise Invalid(f"the log can't be asked for this ({fault})", remedy="ask for what it can hold") from fault

    def _rows(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Rows of one snapshot. Planned anew each time: a plan that was made while the table was small stays."""
        with self._asking() as db:
            return db.execute(sql.encode(), values, prepare=False, binary=True).fetchall()

    def head(self) -> int:
        """See `EventStore.head`."""
        return int(self._rows(HEAD, ())[0][0])

    def read(self, after: int = 0, limit: int = 10_000, *, types: Sequence[str] = ()) -> list[Recorded[Event]]:
        """See `EventStore.read`."""
        if not -(2**63) <= after < 2**63:
            raise Invalid("a number that was asked for has more than 64 bits", remedy="ask for a smaller one")
        if types:
            return self._read_types(after, limit, list(dict.fromkeys(types)))
        with without_gc():
            rows = self._rows(RUN, (after, min(max(0, after) + limit, 2**63 - 1)))
            rows.sort()
            return [recorded(row) for row in rows]

    def _read_types(self, after: int, limit: int, types: list[str]) -> list[Recorded[Event]]:
        kinds = [registry.find(t) for t in types]
        if all(k and not k.single for k in kinds):
            with self._asking() as db, db.pipeline(), db.transaction():
                db.execute(BY_INDEX)
                answer = db.execute(RARE, (types, after, limit, limit), prepare=False, binary=True)
            return [recorded(row) for row in answer.fetchall()]
        # the index leaves intake's types out: every event after *after* is looked at
        found: list[tuple[Any, ...]] = []
        head, after = self.head(), max(0, after)
        while after < head and len(found) < limit:
            until = min(after + WINDOW, head)
            found += sorted(self._rows(f"{RUN} AND type = ANY(%s)", (after, until, types)))
            after = until
        return [recorded(row) for row in found[:limit]]

    def read_stream(self, stream: str, after_version: int = 0) -> list[Recorded[Event]]:
        """See `EventStore.read_stream`."""
        rows = self._rows(
            f"{SELECT} WHERE single = 0 AND stream = %s AND version > %s ORDER BY version", (stream, after_version)
        )
        return [recorded(row) for row in rows]

    def find(self, event_ids: Sequence[bytes]) -> dict[bytes, Recorded[Event]]:
        """See `EventStore.find`."""
        rows = self._rows(f"{SELECT} WHERE id = ANY(%s)", (Uuids(event_ids),))
        return {row[2]: recorded(row) for row in rows}

    # --- waiting ---

    def wait(self, after: int, timeout: float) -> int:
        """See `EventStore.wait`. Own commits wake it at once, others' by NOTIFY; what is not heard is seen in 0.1 s."""
        return self._news.wait(after, timeout)

    def wake(self) -> None:
        """See `EventStore.wake`."""
        self._news.wake()

    def close(self) -> None:
        """Finish what is queued and release this store's connections; those of *postgres* are its own."""
        if self._commits.close():
            self._news.close()
            self._writer.close()
