"""Named locks as advisory locks of sessions: the end of the holder, or of its connection, releases them."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg

from mlife.adapters.postgres import Connection, Postgres, translated

log = logging.getLogger("mlife.postgres")

HELD: Final = """
SELECT EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND classid = %s AND objid = %s
)
"""
"""The two halves of a lock's number are two columns there."""


class PostgresLocks:
    """
    `Locks` of the schema of *postgres*: each that is held has a connection of its own.

    A holder whose connection is ended by the server goes on without the lock, and a warning is logged at the end of its
    block: what a lock guards must bear a second one for a moment.
    """

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def _number(self, name: str) -> int:
        return self._postgres.number(f"lock {name}")

    @contextmanager
    def hold(self, name: str, *, timeout: float = 0.0) -> Iterator[bool]:
        """See `Locks.hold`."""
        number = self._number(name)
        db = self._postgres.connect()
        try:
            with translated(self._postgres.shown):
                held = _taken(db, number, timeout)
            try:
                yield held
            finally:
                if held:
                    self._let_go(db, name, number)
        finally:
            db.close()

    def _let_go(self, db: Connection, name: str, number: int) -> None:
        """Closing would do, but the server may see it a little later."""
        try:
            db.execute("SELECT pg_advisory_unlock(%s)", (number,))
        except psycopg.Error as fault:
            log.warning(
                "the connection to %s that held the lock %r was lost; another may have held it meanwhile: %s",
                self._postgres.shown,
                name,
                fault,
            )

    def is_held(self, name: str) -> bool:
        """See `Locks.is_held`."""
        number = self._number(name)
        with self._postgres.lent() as db:
            row = db.execute(HELD, (number >> 32, number & 0xFFFFFFFF)).fetchone()
        return bool(row and row[0])


def _taken(db: Connection, number: int, timeout: float) -> bool:
    if timeout <= 0:
        row = db.execute("SELECT pg_try_advisory_lock(%s)", (number,)).fetchone()
        return bool(row and row[0])
    db.execute("SELECT set_config('lock_timeout', %s, false)", (f"{max(1, math.ceil(timeout * 1000))}ms",))
    try:
        db.execute("SELECT pg_advisory_lock(%s)", (number,))
    except psycopg.errors.LockNotAvailable:
        return False
    return True
