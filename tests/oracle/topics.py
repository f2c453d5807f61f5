"""What the topics say: reads every one of them from its start to its end, with another client than the relay's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from mlife.adapters.kafka_connection import connection
from mlife.adapters.postgres import Postgres
from mlife.adapters.relay_postgres import PostgresRelayBook
from mlife.core.events import registry
from mlife.core.packing import unpack
from mlife.core.topics import FEEDBACK, LOG, REFUSED, topics
from mlife.runtime import Home, settings
from tests.oracle import verdict
from tests.oracle.journal import notes
from tests.oracle.verdict import Message


class Kafka:
    """The bus as `tests.oracle.judge` asks it."""

    def __init__(self, url: str) -> None:
        self.there = connection(url)

    def lag(self, home: Home) -> dict[str, int]:
        """Where the relay is."""
        if not hasattr(self, "_book"):
            self._book = PostgresRelayBook(Postgres(settings().store))
        return {"relay": self._book.published().position}

    def findings(self, log: verdict.Log, run: Path) -> Iterator[str]:
        """What the component topics, `mlife.log` and the topics of intake say about the log."""
        components = [t.name for t in topics(registry) if t.name not in {LOG, FEEDBACK, REFUSED}]
        messages = (_message(m) for name in components for m in self.read(name))
        yield from verdict.published(log, messages, lambda kind: self.there.topic(registry.kind(kind).topic))
        copies = ((p, (unpack(m.value()).events() for m in self.read(LOG, p))) for p in range(self.there.partitions))
        yield from verdict.carried(log, copies)
        journals = run / "journals"
        produced = [i for line in notes(journals, "produced") for i in line["ids"]]
        delivered = [i for line in notes(journals, "delivered") for i in line["ids"]]
        yield from verdict.taken_in(log, produced, delivered)
        noise = [i.encode() for line in notes(journals, "delivered") for i in line["noise"]]
        yield from verdict.put_aside(noise, [bytes(m.value() or b"") for m in self.read(REFUSED)])

    def read(self, name: str, only: int | None = None) -> Iterator[Any]:
        """Every message of topic *name* (of one partition *only*), partition by partition, in order of offset."""
        topic = self.there.topic(name)
        options = {
            "bootstrap.servers": ",".join(self.there.servers),
            "group.id": "oracle",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
        consumer = Consumer(options)
        try:
            known = consumer.list_topics(topic, timeout=30).topics[topic].partitions
            for partition in sorted(known) if only is None else [only]:
                first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
                if end > first:
                    yield from _to_the_end(consumer, TopicPartition(topic, partition, first), end)
        finally:
            consumer.close()


def _to_the_end(consumer: Any, start: TopicPartition, end: int) -> Iterator[Any]:
    consumer.assign([start])
    at = start.offset
    while at < end:
        for m in consumer.consume(min(1_000, end - at), timeout=10):
            if m.error() is not None:
                raise RuntimeError(f"{start.topic}[{start.partition}]: {m.error()}")
            at = m.offset() + 1
            yield m


def _message(m: Any) -> Message:
    headers = {k: v.decode() for k, v in m.headers() or []}
    return Message(m.topic(), m.partition(), m.offset(), (m.key() or b"").decode(), headers, m.value())
