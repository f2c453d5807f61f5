"""What was derived of files and texts, in a table beside the log: it may be emptied, and is made again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mlife.adapters.postgres import Postgres

SCHEMA: Final = """
CREATE TABLE shelf (
    kind text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, value bytea NOT NULL, PRIMARY KEY (kind, key)
)
"""


class PostgresShelf:
    """`Shelf` in the schema of *postgres*."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        postgres.ensure("shelf", 1, SCHEMA)

    def put(self, kind: str, items: Mapping[str, bytes]) -> None:
        """See `Shelf.put`."""
        if not items:
            return
        keys = sorted(items)  # two writers in one order never wait for each other in a circle
        with self._postgres.lent() as db:
            db.execute(
                "INSERT INTO shelf SELECT %s, k, v FROM unnest(%s::text[], %s::bytea[]) AS t(k, v) "
                "ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value",
                (kind, keys, [items[key] for key in keys]),
            )

    def get(self, kind: str, keys: Sequence[str]) -> dict[str, bytes]:
        """See `Shelf.get`."""
        with self._postgres.lent() as db:
            rows = db.execute(
                "SELECT key, value FROM shelf WHERE kind = %s AND key = ANY(%s)", (kind, list(keys))
            ).fetchall()
        return {key: bytes(value) for key, value in rows}

    def has(self, kind: str, keys: Sequence[str]) -> set[str]:
        """See `Shelf.has`."""
        with self._postgres.lent() as db:
            rows = db.execute("SELECT key FROM shelf WHERE kind = %s AND key = ANY(%s)", (kind, list(keys))).fetchall()
        return {key for (key,) in rows}

    def kinds(self) -> list[str]:
        """See `Shelf.kinds`."""
        with self._postgres.lent() as db:
            # from one kind to the next by the index, past all of its keys
            rows = db.execute(
                "WITH RECURSIVE k(kind) AS (SELECT min(kind) FROM shelf UNION ALL "
                "SELECT (SELECT min(s.kind) FROM shelf s WHERE s.kind > k.kind) FROM k WHERE k.kind IS NOT NULL) "
                "SELECT kind FROM k WHERE kind IS NOT NULL"
            ).fetchall()
        return [kind for (kind,) in rows]

    def drop(self, kind: str) -> int:
        """See `Shelf.drop`."""
        with self._postgres.lent() as db:
            return db.execute("DELETE FROM shelf WHERE kind = %s", (kind,)).rowcount

    def close(self) -> None:
        """Nothing of its own is open."""
