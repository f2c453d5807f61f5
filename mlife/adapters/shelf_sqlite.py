"""What was derived of files and texts, on SQLite, in a file of its own: it may be deleted, and is made again."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from mlife.adapters.sqlite_file import opened, translated

SCHEMA = """
CREATE TABLE IF NOT EXISTS shelf (
    kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
"""
AT_ONCE = 500
"""Keys of one statement."""


class SqliteShelf:
    """`Shelf` in the file *path*, which is made when it is first used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with self._lock, translated(self._path):
            if self._db is None:
                # a lost last commit is harmless: it is made again
                self._db = opened(self._path, SCHEMA, pragmas="PRAGMA synchronous=NORMAL;")
            yield self._db

    def put(self, kind: str, items: Mapping[str, bytes]) -> None:
        """See `Shelf.put`."""
        if not items:
            return
        with self._opened() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                db.executemany(
                    "INSERT INTO shelf VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                    [(kind, key, value) for key, value in sorted(items.items())],
                )
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def get(self, kind: str, keys: Sequence[str]) -> dict[str, bytes]:
        """See `Shelf.get`."""
        return dict(self._found("key, value", kind, keys))

    def has(self, kind: str, keys: Sequence[str]) -> set[str]:
        """See `Shelf.has`."""
        return {key for (key,) in self._found("key", kind, keys)}

    def _found(self, columns: str, kind: str, keys: Sequence[str]) -> list[Any]:
        found: list[Any] = []
        left = iter(keys)
        while some := list(islice(left, AT_ONCE)):
            marks = ", ".join("?" * len(some))
            with self._opened() as db:
                found += db.execute(
                    f"SELECT {columns} FROM shelf WHERE kind = ? AND key IN ({marks})", (kind, *some)
                ).fetchall()
        return found

    def kinds(self) -> list[str]:
        """See `Shelf.kinds`."""
        with self._opened() as db:
            # from one kind to the next by the index, past all of its keys
            rows = db.execute(
                "WITH RECURSIVE k(kind) AS (SELECT min(kind) FROM shelf UNION ALL "
                "SELECT (SELECT min(s.kind) FROM shelf s WHERE s.kind > k.kind) FROM k WHERE k.kind IS NOT NULL) "
                "SELECT kind FROM k WHERE kind IS NOT NULL"
            ).fetchall()
        return [kind for (kind,) in rows]

    def drop(self, kind: str) -> int:
        """See `Shelf.drop`."""
        with self._opened() as db:
            return db.execute("DELETE FROM shelf WHERE kind = ?", (kind,)).rowcount

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None
