"""The table of the log on PostgreSQL: how it is made, and how its rows travel in binary."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final

from psycopg import adapt, pq, sql

from mlife.core.events import Draft, Event, Recorded

VERSION: Final = 1

TABLE: Final = """
CREATE TABLE {schema}.events (
    position bigint PRIMARY KEY,
    version bigint NOT NULL,
    id uuid NOT NULL UNIQUE,
    stream text COLLATE "C" NOT NULL,
    single smallint NOT NULL,
    type text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    time bigint NOT NULL,
    source text COLLATE "C" NOT NULL,
    correlation_id text COLLATE "C",
    causation_id uuid,
    actor text COLLATE "C",
    traceparent text COLLATE "C",
    data bytea NOT NULL,
    digest bytea NOT NULL,
    CONSTRAINT events_count_from_one CHECK (position > 0 AND version > 0 AND single IN (0, 1))
);
-- streams that hold one event (reports, files, traffic) are found by their event id, not through this index
CREATE UNIQUE INDEX events_stream ON {schema}.events (stream, version) WHERE single = 0;
-- types other than intake's, so that rare events are found without reading every report
CREATE INDEX events_type ON {schema}.events (type, position) WHERE single = 0;

CREATE FUNCTION {schema}.events_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are immutable: append a new one (% was refused)', TG_OP USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER events_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON {schema}.events
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.events_stay();

-- Positions are dense. A transition table of the new rows would cost half a COPY; counting them in the index costs 5 %.
CREATE FUNCTION {schema}.events_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('mlife.head', coalesce(max(position), 0)::text, true) FROM {schema}.events;
    RETURN NULL;
END $$;
CREATE FUNCTION {schema}.events_are_dense() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before bigint := current_setting('mlife.head')::bigint;
    head bigint;
    added bigint;
BEGIN
    SELECT max(position) INTO head FROM {schema}.events;
    SELECT count(*) INTO added FROM {schema}.events WHERE position > before AND position <= head;
    IF head - before <> added THEN
        RAISE EXCEPTION 'positions are dense: % events can not stand between % and %', added, before, head
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER events_before BEFORE INSERT ON {schema}.events
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.events_before();
CREATE TRIGGER events_are_dense AFTER INSERT ON {schema}.events
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.events_are_dense();

-- also where session_replication_role says otherwise
ALTER TABLE {schema}.events ENABLE ALWAYS TRIGGER events_stay;
ALTER TABLE {schema}.events ENABLE ALWAYS TRIGGER events_before;
ALTER TABLE {schema}.events ENABLE ALWAYS TRIGGER events_are_dense;
"""

COLUMNS: Final = (
    "position, version, id, stream, single, type, key, time, source, "
    "correlation_id, causation_id, actor, traceparent, data, digest"
)
SELECTED: Final = COLUMNS.replace("id, stream", "uuid_send(id), stream").replace(
    "causation_id", "uuid_send(causation_id)"
)
"""As bytes, which `Draft` has; a UUID object for each id would cost more than the rest of the row."""

LONGEST: Final = 256 << 20
"""Bytes of one event; far beyond what any door lets in, and well below what PostgreSQL takes."""

CHUNK: Final = 250
"""Rows that are sent together."""


def ddl(schema: str) -> str:
    """What makes the table in *schema*; functions name the schema, so that they check this table whoever inserts."""
    return sql.SQL(TABLE).format(schema=sql.Identifier(schema)).as_string(None)


def recorded(row: tuple[Any, ...]) -> Recorded[Event]:
    """A row of `SELECTED` as an event."""
    return Recorded(row[0], row[1], Draft._make(row[2:]))


def array(oid: int, values: Sequence[bytes]) -> bytes:
    """
    *values*, each in the binary format of type *oid*, as PostgreSQL's array of one dimension.

    Dimensions, no NULLs, type, length, first index; then each element with its length.
    """
    if not values:
        return struct.pack(">iii", 0, 0, oid)
    elements = [part for value in values for part in (_long(len(value)), value)]
    return struct.pack(">iiiii", 1, 0, oid, len(values), 1) + b"".join(elements)


class Uuids:
    """Event ids (16 bytes each) as a value of the type `uuid[]`."""

    __slots__ = ("ids",)

    def __init__(self, ids: Sequence[bytes]) -> None:
        self.ids = ids


class UuidsDumper(adapt.Dumper):
    """Gives `Uuids` to the server in binary."""

    format = pq.Format.BINARY
    oid = 2951

    def dump(self, obj: Uuids) -> bytes:
        """See `array`."""
        return array(2950, obj.ids)


LONG_16: Final = b"\0\0\0\x10"
NULL: Final = b"\xff\xff\xff\xff"
SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END: Final = b"\xff\xff"
FALSE, TRUE = b"\0\0\0\2\0\0", b"\0\0\0\2\0\1"

_start = struct.Struct(">hiqiqi16s").pack
_long = struct.Struct(">i").pack
_number = struct.Struct(">iq").pack


def copied(rows: Sequence[tuple[Any, ...]]) -> Iterator[bytes]:
    """
    *rows* (position, version, then a draft's fields) as `COPY … (FORMAT binary)` takes them, in a few pieces.

    Raises:
        ValueError, OverflowError, struct.error: a value that the table can't hold.
    """
    yield SIGNATURE
    for start in range(0, len(rows), CHUNK):
        yield b"".join([_row(*row) for row in rows[start : start + CHUNK]])
    yield END


def _row(
    position: int,
    version: int,
    id: bytes,
    stream: str,
    single: int,
    type: str,
    key: str,
    time: int,
    source: str,
    correlation_id: str | None,
    causation_id: bytes | None,
    actor: str | None,
    traceparent: str | None,
    data: bytes,
    digest: bytes,
) -> bytes:
    """One row: the number of fields, then each with its length; struct cuts what is too long, hence the checks."""
    if len(id) != 16 or len(data) > LONGEST:
        raise ValueError(f"an event of {len(data)} bytes whose id has {len(id)}")
    stream_, type_, key_, source_ = stream.encode(), type.encode(), key.encode(), source.encode()
    return b"".join(
        (
            _start(15, 8, position, 8, version, 16, id),
            _long(len(stream_)),
            stream_,
            TRUE if single else FALSE,
            _long(len(type_)),
            type_,
            _long(len(key_)),
            key_,
            _number(8, time),
            _long(len(source_)),
            source_,
            NULL if correlation_id is None else _text(correlation_id),
            NULL if causation_id is None else LONG_16 + causation_id,
            NULL if actor is None else _text(actor),
            NULL if traceparent is None else _text(traceparent),
            _long(len(data)),
            data,
            _long(len(digest)),
            digest,
        )
    )


def _text(text: str) -> bytes:
    encoded = text.encode()
    return _long(len(encoded)) + encoded
