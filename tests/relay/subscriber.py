"""A subscriber: reads whole topics from their beginning, and says what is wrong with what it got."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from mlife.adapters.kafka_connection import connection
from mlife.core.events import Event, Recorded, registry
from mlife.core.packing import unpack
from mlife.core.ports import EventStore, iterate
from mlife.core.topics import LOG
from tests.relay.facts import installed


@dataclass(frozen=True)
class Message:
    topic: str
    partition: int
    key: str
    headers: dict[str, str]
    value: bytes

    @property
    def position(self) -> int:
        return int(self.headers["ce_sequence"])


def whole(url: str, names: Iterable[str]) -> dict[tuple[str, int], list[Any]]:
    """Every record of the topics *names* (without prefix), by topic (without prefix) and partition, in order."""
    there = connection(url)
    consumer = KafkaConsumer(**there.kafka_python(), enable_auto_commit=False, fetch_max_bytes=50 << 20)
    try:
        places = [
            TopicPartition(there.topic(name), p)
            for name in names
            for p in sorted(consumer.partitions_for_topic(there.topic(name)) or ())
        ]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends = consumer.end_offsets(places)
        found: dict[tuple[str, int], list[Any]] = {
            (p.topic.removeprefix(there.prefix), p.partition): [] for p in places
        }
        while any(consumer.position(p) < ends[p] for p in places):
            for place, records in consumer.poll(timeout_ms=500).items():
                found[place.topic.removeprefix(there.prefix), place.partition] += records
    finally:
        consumer.close()
    return found


def messages(url: str) -> dict[tuple[str, int], list[Message]]:
    """Every message of the component topics."""
    found = whole(url, {kind.topic for kind in installed()})
    return {
        place: [
            Message(*place, r.key.decode(), {name: value.decode() for name, value in r.headers}, r.value)
            for r in records
        ]
        for place, records in found.items()
    }


def faults(url: str, store: EventStore) -> Iterator[str]:
    """Where the topics do not hold exactly the log, in order per key; nothing, if they do."""
    log = {r.position: r for r in iterate(store)}
    got = messages(url)
    yield from _missing(log, (m.position for listed in got.values() for m in listed))
    homes: dict[tuple[str, str], int] = {}
    for place, listed in got.items():
        newest = 0
        for m in listed:
            if m.position not in log:
                yield f"{place} has event {m.position}, which the log has not"
                continue
            yield from _differs(m, log[m.position])
            if homes.setdefault((m.topic, m.key), m.partition) != m.partition:
                yield f"{m.key} is in two partitions of {m.topic}"
        for position in dict.fromkeys(m.position for m in listed):
            if position < newest:
                yield f"{place} has event {position} for the first time behind {newest}"
            newest = position
    yield from carried(url, log)


def _missing(log: dict[int, Recorded[Event]], positions: Iterable[int]) -> Iterator[str]:
    missing = log.keys() - set(positions)
    if missing:
        yield f"{len(missing)} events were not published: {sorted(missing)[:10]} …"


def _differs(m: Message, r: Recorded[Event]) -> Iterator[str]:
    told = {k: str(v) for k, v in r.as_cloud_event().items() if k not in {"data", "datacontenttype"}}
    heard = {k.removeprefix("ce_"): v for k, v in m.headers.items() if k.startswith("ce_")}
    if heard != told or m.headers["content-type"] != "application/json":
        yield f"event {m.position} says {m.headers}"
    if (m.topic, m.key, m.value) != (registry.kind(r.draft.type).topic, r.draft.key, r.draft.data):
        yield f"event {m.position} is in {m.topic} with key {m.key} and {len(m.value)} bytes"


def carried(url: str, log: dict[int, Recorded[Event]]) -> Iterator[str]:
    """Where a partition of `mlife.log` is not the whole log."""
    for place, records in whole(url, [LOG]).items():
        reached = 0
        for record in records:
            packed = unpack(record.value)
            if packed.first > reached + 1:
                yield f"{place} goes on with {packed.first} after {reached}"
            events = packed.events()
            if not same(events, log):
                yield f"{place} has other events from {packed.first} to {packed.last}"
            reached = max(reached, packed.last)
        if reached != max(log, default=0):
            yield f"{place} ends at {reached}"


def same(events: Sequence[Recorded[Event]], log: dict[int, Recorded[Event]]) -> bool:
    return [(r.position, r.version, r.draft) for r in events] == [
        (r.position, log[r.position].version, log[r.position].draft) for r in events
    ]


def repeated(url: str) -> int:
    """How many messages of the component topics are repetitions."""
    counts: dict[int, int] = defaultdict(int)
    for listed in messages(url).values():
        for m in listed:
            counts[m.position] += 1
    return sum(counts.values()) - len(counts)
