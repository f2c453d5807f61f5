"""What the log on PostgreSQL must know to judge callers, asked for in one round trip, behind the lock."""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from typing import Final

from psycopg import generators, pq
from psycopg.abc import PQGen
from psycopg.errors import error_from_result

from mlife.adapters.events_judge import Judge
from mlife.adapters.events_postgres_table import array
from mlife.adapters.postgres import Connection
from mlife.core.ports import Append

BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
LOCK: Final = "SELECT pg_advisory_xact_lock(%s)"
"""In a statement of its own: what follows sees all that was committed before the lock was had."""
HEAD: Final = "SELECT coalesce(max(position), 0) FROM events"

PREPARED: Final = f"""
PREPARE mlife_lock (bigint) AS SELECT pg_advisory_xact_lock($1);
PREPARE mlife_known (uuid[]) AS
    SELECT NULL::uuid, ({HEAD}) UNION ALL SELECT id, position FROM events WHERE id = ANY($1);
PREPARE mlife_versions (text[]) AS
    SELECT name, coalesce((SELECT max(version) FROM events WHERE single = 0 AND stream = name), 0)
    FROM unnest($1) AS t(name)
"""
"""What the writer's connection must have prepared."""

BINARY: Final = pq.Format.BINARY
UUID, TEXT = 2950, 25

_bigint = struct.Struct(">q").pack


class PostgresJudge(Judge):
    """
    A `Judge` of *appends* for which *db* has begun a transaction and taken the writer's *lock*.

    Raises:
        psycopg.Error: the lock was not to be had, or a text can't be looked for; the transaction is to be rolled back.
    """

    def __init__(self, db: Connection, lock: int, appends: Sequence[Append]) -> None:
        streams = {d[1] for a in appends for d in a.drafts if not d[2]}
        streams.update(*(a.expected for a in appends))
        head, places, versions = db.wait(_asked(db.pgconn, lock, [d[0] for a in appends for d in a.drafts], streams))
        super().__init__(head, places, versions.__getitem__)


def places_behind_the_lock(db: Connection, lock: int, ids: Sequence[bytes]) -> dict[bytes, int]:
    """Where *ids* stand once whoever holds *lock* has finished, a backend whose client is gone included."""
    _, places, _ = db.wait(_asked(db.pgconn, lock, ids, ()))
    db.execute("COMMIT")
    return places


def _asked(
    pgconn: pq.abc.PGconn, lock: int, ids: Sequence[bytes], streams: Collection[str]
) -> PQGen[tuple[int, dict[bytes, int], dict[str, int]]]:
    """
    Begin, take *lock*; the head, the places of known *ids*, the versions of *streams*.

    Not by psycopg's own pipeline: it sends a Flush behind the Sync, and a server that has read anything after it said
    "ready" does not end a transaction that is idle for too long.
    """
    known, names = array(UUID, ids), array(TEXT, [s.encode() for s in streams])
    pgconn.enter_pipeline_mode()
    pgconn.send_query_params(BEGIN.encode(), None)
    pgconn.send_query_prepared(b"mlife_lock", [_bigint(lock)], [BINARY], BINARY)
    pgconn.send_query_prepared(b"mlife_known", [known], [BINARY], BINARY)
    if streams:
        pgconn.send_query_prepared(b"mlife_versions", [names], [BINARY], BINARY)
    pgconn.pipeline_sync()
    yield from generators.send(pgconn)
    answers = []
    while (answer := (yield from generators.fetch_many(pgconn))[0]).status != pq.ExecStatus.PIPELINE_SYNC:
        answers.append(answer)
    pgconn.exit_pipeline_mode()
    for answer in answers:
        if answer.status not in {pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK}:
            raise error_from_result(answer)
    found = _pairs(answers[2])
    head = found.pop(b"")
    return head, found, {n.decode(): v for n, v in _pairs(answers[3]).items()} if streams else {}


def _pairs(answer: pq.abc.PGresult) -> dict[bytes, int]:
    """The two columns of *answer*, of which the second is a bigint; no bytes for NULL."""
    return {
        answer.get_value(row, 0) or b"": int.from_bytes(answer.get_value(row, 1) or b"", "big", signed=True)
        for row in range(answer.ntuples)
    }
