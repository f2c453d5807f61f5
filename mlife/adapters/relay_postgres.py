"""The relay's book on PostgreSQL: its position, its secret, and the advisory lock that makes it the only one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC
from typing import Final

import psycopg

from mlife.adapters.postgres import Connection, Postgres, translated
from mlife.core.errors import Corrupt, Refused, Unavailable
from mlife.core.relay import Lead, Published

VERSION: Final = 2

SEAL: Final = """
-- seals what the relay writes for the workers; 244 random bits
CREATE TABLE relay_secret (secret bytea NOT NULL);
INSERT INTO relay_secret SELECT decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');
"""

DDL: Final = f"""
-- one row for each bus that was ever published on
CREATE TABLE relay (
    bus text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL CHECK (position >= 0),
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
{SEAL}
"""

SESSION: Final = """
-- a position that a crash of the server forgets is published again, which is harmless; waiting for its disk is not
SET synchronous_commit = off;
-- a relay that stands still without dying (SIGSTOP, a frozen machine) loses the lock
SET idle_session_timeout = '10s'
"""


class PostgresRelayBook:
    """
    A `RelayBook` in the schema of *postgres*.

    Raises:
        Misconfigured, Unavailable: see `Postgres`.
    """

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._lock = postgres.number("relay")
        postgres.ensure("relay", VERSION, DDL, upgrades={2: SEAL})

    @contextmanager
    def lead(self) -> Iterator[Lead | None]:
        """See `RelayBook.lead`."""
        db = self._postgres.connect()
        try:
            with translated(self._postgres.shown):
                db.execute(SESSION)
                row = db.execute("SELECT pg_try_advisory_lock(%s)", (self._lock,)).fetchone()
            yield _Lead(db, self._postgres.shown) if row is not None and row[0] else None
        finally:
            with suppress(psycopg.Error):  # a server that notices the end of the connection does it too, but later
                db.execute("SELECT pg_advisory_unlock_all()")
            db.close()

    def published(self) -> Published:
        """See `RelayBook.published`."""
        with self._postgres.lent() as db:
            row = db.execute("SELECT position, moved_at FROM relay ORDER BY moved_at DESC LIMIT 1").fetchone()
            is_led = db.execute(HELD, (self._lock >> 32, self._lock & 0xFFFFFFFF)).fetchone() is not None
        if row is None:
            return Published(0, None, is_led)
        return Published(int(row[0]), row[1].astimezone(UTC), is_led)

    def secret(self) -> bytes:
        """See `RelayBook.secret`."""
        with self._postgres.lent() as db:
            row = db.execute("SELECT secret FROM relay_secret").fetchone()
        if row is None:
            raise Corrupt(
                f"{self._postgres.shown} has lost the secret of its relay",
                remedy="INSERT INTO relay_secret SELECT sha256(gen_random_uuid()::text::bytea)",
            )
        return bytes(row[0])

    def set_back(self, position: int) -> None:
        """See `RelayBook.set_back`."""
        with self.lead() as lead:
            if lead is None:
                raise Refused("a relay publishes this log now", remedy="end it, do this, and start it again")
            with self._postgres.lent() as db:
                db.execute("UPDATE relay SET position = %s WHERE position > %s", (position, position))


HELD: Final = """
SELECT 1 FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid::bigint = %s AND objid::bigint = %s
"""


class _Lead:
    """The relay that leads, on the connection that holds the lock: without the one there is not the other."""

    def __init__(self, db: Connection, shown: str) -> None:
        self._db, self._shown = db, shown
        self._bus = ""

    def begin(self, bus: str) -> int:
        self._bus = bus
        with translated(self._shown):
            self._db.execute("INSERT INTO relay VALUES (%s, 0) ON CONFLICT (bus) DO NOTHING", (bus,))
            row = self._db.execute(
                "UPDATE relay SET moved_at = clock_timestamp() WHERE bus = %s RETURNING position", (bus,)
            ).fetchone()
        assert row is not None
        return int(row[0])

    def move(self, expected: int, to: int) -> None:
        with translated(self._shown):
            done = self._db.execute(
                "UPDATE relay SET position = %s, moved_at = clock_timestamp() WHERE bus = %s AND position = %s",
                (to, self._bus, expected),
            )
        if done.rowcount != 1:
            raise Unavailable(f"the relay's position is not {expected} any more", remedy="another relay has moved it")

    def check(self) -> None:
        with translated(self._shown):
            self._db.execute("SELECT 1")
