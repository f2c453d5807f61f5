"""
Sealing keys in a table of the same database as the log.

A key that is dropped leaves the table and its file at once (unless a long transaction still sees it). The server's
write-ahead log and backups hold it until they are recycled: that is up to whoever runs the server.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Iterable, Iterator
from typing import Final

import psycopg

from mlife.adapters.postgres import Connection, Postgres

log = logging.getLogger("mlife.postgres")

SCHEMA: Final = """
CREATE TABLE sealing_keys (
    id text COLLATE "C" PRIMARY KEY,
    subject bytea NOT NULL UNIQUE,
    key bytea NOT NULL
)
"""

WIPING: Final = "5s"
"""How long the table's readers are waited for before it is written anew."""


class PostgresKeys:
    """`Keys` in the schema of *postgres*. Subjects are kept as SHA-256; dropping one forgets that too."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        postgres.ensure("keys", 1, SCHEMA)

    def of_subject(self, subject: str) -> tuple[str, bytes]:
        """See `Keys.of_subject`."""
        hashed = hashlib.sha256(subject.encode()).digest()
        with self._postgres.lent() as db:
            while True:
                found = db.execute("SELECT id, key FROM sealing_keys WHERE subject = %s", (hashed,)).fetchone()
                if found:
                    return found[0], found[1]
                db.execute(  # another process may be faster, and yet another may drop it at once
                    "INSERT INTO sealing_keys VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                    (secrets.token_hex(8), hashed, secrets.token_bytes(32)),
                )

    def by_id(self, key_id: str) -> bytes | None:
        """See `Keys.by_id`."""
        with self._postgres.lent() as db:
            found = db.execute("SELECT key FROM sealing_keys WHERE id = %s", (key_id,)).fetchone()
        return bytes(found[0]) if found else None

    def drop(self, subject: str) -> bool:
        """See `Keys.drop`."""
        hashed = hashlib.sha256(subject.encode()).digest()
        with self._postgres.lent() as db:
            gone = db.execute("DELETE FROM sealing_keys WHERE subject = %s", (hashed,)).rowcount > 0
            if gone:
                self._wipe(db)
        return gone

    def _wipe(self, db: Connection) -> None:
        """Write the table anew: a deleted row stays in its file."""
        try:
            db.execute("SELECT set_config('lock_timeout', %s, false)", (WIPING,))
            db.execute("VACUUM FULL sealing_keys")
        except psycopg.errors.LockNotAvailable as fault:
            log.warning(
                "%s: a dropped key stays in the table's file until the next VACUUM FULL: %s",
                self._postgres.shown,
                fault,
            )
        finally:
            db.execute("RESET lock_timeout")

    def items(self) -> Iterator[tuple[str, bytes, bytes]]:
        """Every key, by its id: key id, SHA-256 of the subject, key."""
        with self._postgres.lent() as db:
            rows = db.execute("SELECT id, subject, key FROM sealing_keys ORDER BY id").fetchall()
        return iter(rows)

    def replace(self, keys: Iterable[tuple[str, bytes, bytes]]) -> int:
        """Have *keys* and no others, in one transaction; how many."""
        rows = list(keys)
        with self._postgres.lent() as db:
            with db.transaction():
                gone = db.execute("DELETE FROM sealing_keys").rowcount
                with db.cursor().copy("COPY sealing_keys FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
            if gone:
                self._wipe(db)
        return len(rows)

    def close(self) -> None:
        """Nothing of its own is open."""
