"""The sign on the door of a log on SQLite: one row beside the events, and a trigger that refuses new ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mlife.adapters.sqlite_file import connect, translated
from mlife.core.moving import Sign

TABLE: Final = """
CREATE TABLE IF NOT EXISTS moving (
    one INTEGER PRIMARY KEY CHECK (one = 1), state TEXT NOT NULL, place TEXT NOT NULL
) STRICT
"""


class SqliteSignpost:
    """`Signpost` of the log in the file *path*, which exists."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Sign | None:
        """See `Signpost.read`."""
        if not self._path.exists():
            return None
        with self._opened() as db:
            if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'moving'").fetchone() is None:
                return None
            row = db.execute("SELECT state, place FROM moving").fetchone()
            return Sign(*row) if row else None

    def put(self, sign: Sign) -> None:
        """See `Signpost.put`. A trigger is part of the file: every process that has it open meets it at once."""
        said = f"this log was moved to {sign.place}: it takes no events any more".replace("'", "''")
        with self._changing() as db:
            db.execute("INSERT INTO moving VALUES (1, ?, ?)", (sign.state, sign.place))
            if sign.state == "moved":
                db.execute(
                    f"CREATE TRIGGER log_was_moved BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, '{said}'); END"
                )

    def take_down(self) -> None:
        """See `Signpost.take_down`."""
        with self._changing():
            pass

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that begins without a sign."""
        with self._opened() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                db.execute(TABLE)
                db.execute("DELETE FROM moving")
                db.execute("DROP TRIGGER IF EXISTS log_was_moved")
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with translated(self._path):
            db = connect(self._path)
            try:
                yield db
            finally:
                db.close()
