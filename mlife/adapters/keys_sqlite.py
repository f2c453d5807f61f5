"""Sealing keys in an SQLite file of their own, readable by its owner only: a copy of the log takes none along."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlife.adapters.sqlite_file import opened, translated

SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, subject BLOB NOT NULL UNIQUE, key BLOB NOT NULL) STRICT;
"""


class SqliteKeys:
    """`Keys` in the file *path*. Subjects are kept as SHA-256; dropping one forgets that too."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db = opened(path, SCHEMA, mode=0o600, pragmas="PRAGMA secure_delete=ON;")

    def of_subject(self, subject: str) -> tuple[str, bytes]:
        """See `Keys.of_subject`."""
        hashed = hashlib.sha256(subject.encode()).digest()
        with self._lock, translated(self._path):
            while True:
                found = self._db.execute("SELECT id, key FROM keys WHERE subject = ?", (hashed,)).fetchone()
                if found:
                    return found[0], found[1]
                self._db.execute(  # another process may be faster, and yet another may drop it at once
                    "INSERT INTO keys VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                    (secrets.token_hex(8), hashed, secrets.token_bytes(32)),
                )

    def by_id(self, key_id: str) -> bytes | None:
        """See `Keys.by_id`."""
        with self._lock, translated(self._path):
            found = self._db.execute("SELECT key FROM keys WHERE id = ?", (key_id,)).fetchone()
            return found[0] if found else None

    def drop(self, subject: str) -> bool:
        """See `Keys.drop`."""
        hashed = hashlib.sha256(subject.encode()).digest()
        with self._lock, translated(self._path):
            gone = self._db.execute("DELETE FROM keys WHERE subject = ?", (hashed,)).rowcount > 0
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return gone

    def items(self) -> Iterator[tuple[str, bytes, bytes]]:
        """See `KeyRing.items`."""
        after = ""
        while True:
            with self._lock, translated(self._path):
                some = self._db.execute(
                    "SELECT id, subject, key FROM keys WHERE id > ? ORDER BY id LIMIT 1000", (after,)
                ).fetchall()
            if not some:
                return
            yield from some
            after = some[-1][0]

    def replace(self, keys: Iterable[tuple[str, bytes, bytes]]) -> int:
        """See `KeyRing.replace`."""
        with self._lock, translated(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.execute("DELETE FROM keys")
                count = self._db.executemany("INSERT INTO keys VALUES (?, ?, ?)", keys).rowcount
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return max(0, count)

    def close(self) -> None:
        """Release the file."""
        self._db.close()
