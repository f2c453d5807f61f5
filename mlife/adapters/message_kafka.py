"""An event as a Kafka message: CloudEvents 1.0 in binary content mode."""

from __future__ import annotations

from functools import lru_cache

from mlife.core.events import Event, Recorded, rfc3339

Header = tuple[str, bytes]


def headers(recorded: Recorded[Event]) -> list[Header]:
    """
    The attributes of *recorded* as headers; its stored bytes are the value, and its partition key the key.

    As many as 100,000 a second are made, so what many events share is made once.
    """
    draft = recorded.draft
    id, cause, micros = draft.id.hex(), draft.causation_id, draft.time
    told = [
        *_shared(draft.type, draft.source),
        ("ce_id", f"{id[:8]}-{id[8:12]}-{id[12:16]}-{id[16:20]}-{id[20:]}".encode()),
        ("ce_subject", draft.stream.encode()),
        ("ce_time", b"%s%06dZ" % (_second(micros // 1_000_000), micros % 1_000_000)),
        ("ce_partitionkey", draft.key.encode()),
        ("ce_sequence", b"%020d" % recorded.position),
        ("ce_streamversion", b"%d" % recorded.version),
        ("ce_digest", draft.digest.hex().encode()),
    ]
    if draft.correlation_id is not None:
        told.append(("ce_correlationid", draft.correlation_id.encode()))
    if cause is not None:
        by = cause.hex()
        told.append(("ce_causationid", f"{by[:8]}-{by[8:12]}-{by[12:16]}-{by[16:20]}-{by[20:]}".encode()))
    if draft.actor is not None:
        told.append(("ce_actor", draft.actor.encode()))
    if draft.traceparent is not None:
        told.append(("ce_traceparent", draft.traceparent.encode()))
    return told


@lru_cache(maxsize=10_000)
def _shared(type: str, source: str) -> tuple[Header, ...]:
    return (
        ("ce_specversion", b"1.0"),
        ("content-type", b"application/json"),
        ("ce_type", type.encode()),
        ("ce_source", source.encode()),
        ("ce_dataschema", f"urn:mlife:schema:{type}".encode()),
    )


@lru_cache(maxsize=10_000)
def _second(seconds: int) -> bytes:
    """RFC 3339 up to the point of the fraction."""
    return rfc3339(seconds * 1_000_000).removesuffix("000000Z").encode()
