"""Handlers' book-keeping on SQLite, in the file of the query tables."""

from __future__ import annotations

import threading
from pathlib import Path

from mlife.adapters.events_sqlite import connect, translated
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
        with translated(path):
            self._db = connect(path)
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(SCHEMA)

    def positions(self) -> dict[str, int]:
        """See `HandlerBook.positions`."""
        with self._lock:
            return dict(self._db.execute("SELECT handler, position FROM handler_checkpoints"))

    def move(self, positions: dict[str, int]) -> None:
        """See `HandlerBook.move`."""
        with self._lock, translated(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(
                    "INSERT OR REPLACE INTO handler_checkpoints VALUES (?, ?)", list(positions.items())
                )
                self._db.executemany(
                    "DELETE FROM handler_attempts WHERE handler = ? AND position <= ?", list(positions.items())
                )
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def attempt(self, handler: str, position: int, change: int = 1) -> int:
        """See `HandlerBook.attempt`."""
        with self._lock, translated(self._path):
            row = self._db.execute(
                "INSERT INTO handler_attempts VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET attempts = attempts + excluded.attempts RETURNING attempts",
                (handler, position, change),
            ).fetchone()
            return int(row[0])

    def park(self, letter: DeadLetter) -> None:
        """See `HandlerBook.park`."""
        with self._lock, translated(self._path):
            self._db.execute(
                "INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?, 0)",
                (letter.handler, letter.key, letter.position, letter.attempts, letter.error),
            )

    def letters(self, handler: str = "", *, retry_only: bool = False) -> list[DeadLetter]:
        """See `HandlerBook.letters`."""
        with self._lock:
            rows = self._db.execute(
                "SELECT handler, key, position, attempts, error, retry FROM dead_letters "
                "WHERE (? = '' OR handler = ?) AND retry >= ? ORDER BY position",
                (handler, handler, int(retry_only)),
            ).fetchall()
        return [
            DeadLetter(handler, key, position, attempts, error, bool(retry))
            for handler, key, position, attempts, error, retry in rows
        ]

    def parked_keys(self, handler: str) -> set[str]:
        """See `HandlerBook.parked_keys`."""
        with self._lock:
            return {
                key
                for (key,) in self._db.execute("SELECT DISTINCT key FROM dead_letters WHERE handler = ?", (handler,))
            }

    def ask_retry(self, handler: str, key: str) -> int:
        """See `HandlerBook.ask_retry`."""
        with self._lock, translated(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "DELETE FROM handler_attempts WHERE handler = ? AND position IN "
                "(SELECT position FROM dead_letters WHERE handler = ? AND key = ?)",
                (handler, handler, key),
            )
            asked = self._db.execute(
                "UPDATE dead_letters SET retry = 1 WHERE handler = ? AND key = ?", (handler, key)
            ).rowcount
            self._db.execute("COMMIT")
            return asked

    def unpark(self, handler: str, position: int) -> None:
        """See `HandlerBook.unpark`."""
        with self._lock, translated(self._path):
            self._db.execute("DELETE FROM dead_letters WHERE handler = ? AND position = ?", (handler, position))

    def close(self) -> None:
        """Release the file."""
        self._db.close()
