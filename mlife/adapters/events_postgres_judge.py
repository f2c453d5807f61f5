"""What the log on PostgreSQL must know to judge callers, asked for in one round trip, behind the lock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mlife.adapters.events_judge import Judge
from mlife.adapters.events_postgres_table import Uuids
from mlife.adapters.postgres import Connection
from mlife.core.ports import Append

BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
LOCK: Final = "SELECT pg_advisory_xact_lock(%s)"
"""In a statement of its own: what follows sees all that was committed before the lock was had."""
HEAD: Final = "SELECT coalesce(max(position), 0) FROM events"
KNOWN: Final = "SELECT uuid_send(id), position FROM events WHERE id = ANY(%s)"
VERSIONS: Final = """
SELECT name, coalesce((SELECT max(version) FROM events WHERE single = 0 AND stream = name), 0)
FROM unnest(%s::text[]) AS t(name)
"""


class PostgresJudge(Judge):
    """
    A `Judge` of *appends* for which *db* has begun a transaction and taken the writer's *lock*.

    Raises:
        psycopg.Error: the lock was not to be had, or a text can't be looked for; the transaction is to be rolled back.
    """

    def __init__(self, db: Connection, lock: int, appends: Sequence[Append]) -> None:
        streams = {d[1] for a in appends for d in a.drafts if not d[2]}
        streams.update(*(a.expected for a in appends))
        with db.pipeline():
            db.execute(BEGIN, prepare=True)
            db.execute(LOCK, (lock,), prepare=True)
            head = db.execute(HEAD, prepare=True, binary=True)
            known = db.execute(KNOWN, (Uuids([d[0] for a in appends for d in a.drafts]),), prepare=True, binary=True)
            versions = db.execute(VERSIONS, (list(streams),), prepare=True, binary=True) if streams else None
        row = head.fetchone()
        assert row is not None
        super().__init__(row[0], dict(known.fetchall()), dict(versions.fetchall() if versions else ()).__getitem__)


def places_behind_the_lock(db: Connection, lock: int, ids: Sequence[bytes]) -> dict[bytes, int]:
    """Where *ids* stand once whoever holds *lock* has finished, a backend whose client is gone included."""
    with db.pipeline():
        db.execute(BEGIN, prepare=True)
        db.execute(LOCK, (lock,), prepare=True)
        known = db.execute(KNOWN, (Uuids(ids),), prepare=True, binary=True)
        db.execute("COMMIT", prepare=True)
    return dict(known.fetchall())
