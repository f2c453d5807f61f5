"""
Handlers' book-keeping on SQLite, in a file of its own.

It is no query table: whoever deletes `views.db` to have it made anew must not have every handler act over its past.
And a rebuild's long transactions must not keep handlers waiting.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlife.adapters.sqlite_file import opened, translated
from mlife.core.handler import DeadLetter

SCHEMA = """
CREATE TABLE IF NOT EXISTS handler_checkpoints (handler TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS handler_attempts (
    handler TEXT NOT NULL, position INTEGER NOT NULL, attempts INTEGER NOT NULL, PRIMARY KEY (handler, position)
) STRICT;
CREATE TABLE IF NOT EXISTS dead_letters (
    handler TEXT NOT NULL, key TEXT NOT NULL, position INTEGER NOT NULL,
    attempts INTEGER NOT NULL, error TEXT NOT NULL, retry INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (handler, position)
) STRICT;
"""


class SqliteHandlerBook:
    """`HandlerBook` in the file *path*."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        # a lost last commit is harmless: checkpoints and letters are lost from the end, and facts are handled again
        self._db = opened(path, SCHEMA, pragmas="PRAGMA synchronous=NORMAL;")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, translated(self._path):
            yield self._db

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction."""
        with self._lock, translated(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def positions(self) -> dict[str, int]:
        """See `HandlerBook.positions`."""
        with self._reading() as db:
            return dict(db.execute("SELECT handler, position FROM handler_checkpoints").fetchall())

    def move(self, positions: dict[str, int]) -> None:
        """See `HandlerBook.move`."""
        with self._writing() as db:
            # never backwards: of two processes that move it, one may be late
            db.executemany(
                "INSERT INTO handler_checkpoints VALUES (?, ?) "
                "ON CONFLICT DO UPDATE SET position = max(position, excluded.position)",
                list(positions.items()),
            )
            # attempts at a parked fact stay: a retry that kills the process is counted, however far the others are
            db.executemany(
                "DELETE FROM handler_attempts AS a WHERE handler = ? AND position <= ? AND NOT EXISTS "
                "(SELECT 1 FROM dead_letters d WHERE d.handler = a.handler AND d.position = a.position)",
                list(positions.items()),
            )

    def attempt(self, handler: str, position: int, change: int = 1) -> int:
        """See `HandlerBook.attempt`."""
        with self._writing() as db:
            row = db.execute(
                "INSERT INTO handler_attempts VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET attempts = attempts + excluded.attempts RETURNING attempts",
                (handler, position, change),
            ).fetchone()
            return int(row[0])

    def park(self, letter: DeadLetter) -> None:
        """See `HandlerBook.park`."""
        values = (letter.handler, letter.key, letter.position, letter.attempts, letter.error)
        with self._writing() as db:
            if not letter.attempts:
                db.execute("INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING", values)
                return
            db.execute("INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?, 0)", values)
            db.execute("UPDATE dead_letters SET retry = 0 WHERE handler = ? AND key = ?", (letter.handler, letter.key))

    def letters(self, handler: str = "", key: str | None = None) -> list[DeadLetter]:
        """See `HandlerBook.letters`."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT handler, key, position, attempts, error, retry FROM dead_letters "
                "WHERE (? = '' OR handler = ?) AND key = coalesce(?, key) ORDER BY position",
                (handler, handler, key),
            ).fetchall()
        return [DeadLetter(row[0], row[1], row[2], row[3], row[4], retry=bool(row[5])) for row in rows]

    def due(self) -> list[tuple[str, str]]:
        """See `HandlerBook.due`."""
        with self._reading() as db:
            # of each key: was a retry asked for, or has the first letter never been tried (what it waited for is gone)?
            return db.execute(
                "SELECT handler, key FROM dead_letters d WHERE retry = 1 OR (attempts = 0 AND NOT EXISTS (SELECT 1 "
                "FROM dead_letters e WHERE e.handler = d.handler AND e.key = d.key AND e.position < d.position)) "
                "GROUP BY handler, key ORDER BY min(position)"
            ).fetchall()

    def parked_keys(self, handler: str) -> set[str]:
        """See `HandlerBook.parked_keys`."""
        with self._reading() as db:
            keys = db.execute("SELECT DISTINCT key FROM dead_letters WHERE handler = ?", (handler,)).fetchall()
        return {key for (key,) in keys}

    def ask_retry(self, handler: str, key: str) -> int:
        """See `HandlerBook.ask_retry`."""
        with self._writing() as db:
            db.execute(
                "DELETE FROM handler_attempts WHERE handler = ? AND position IN "
                "(SELECT position FROM dead_letters WHERE handler = ? AND key = ?)",
                (handler, handler, key),
            )
            return db.execute(
                "UPDATE dead_letters SET retry = 1 WHERE handler = ? AND key = ?", (handler, key)
            ).rowcount

    def unpark(self, handler: str, position: int) -> None:
        """See `HandlerBook.unpark`."""
        with self._writing() as db:
            db.execute("DELETE FROM dead_letters WHERE handler = ? AND position = ?", (handler, position))
            db.execute("DELETE FROM handler_attempts WHERE handler = ? AND position = ?", (handler, position))

    def close(self) -> None:
        """Release the file."""
        self._db.close()
