"""What a customer's producer does, and what people see in the topic of refusals."""

import sys
from collections.abc import Iterable
from typing import Any

import orjson
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import RetriableError

from mlife.adapters.kafka_connection import connection
from mlife.core.topics import FEEDBACK, REFUSED
from tests.workers.cluster import report

Sent = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]
"""Key, value, headers."""


def sends(url: str, values: Iterable[bytes | None], *, key: bytes = b"k", **settings: Any) -> None:
    """Produce *values* to mlife.feedback, all with one key unless it is told otherwise."""
    there = connection(url)
    producer = KafkaProducer(**there.kafka_python(), **settings)
    headers = [("traceparent", b"00-1"), ("mlife_problem", b"it was sent before")]
    futures = [producer.send(there.topic(FEEDBACK), value, key, headers) for value in values]
    producer.flush()
    assert all(f.succeeded() for f in futures)
    producer.close()


def scattered(url: str, values: Iterable[bytes | None]) -> None:
    """The same over all partitions."""
    there = connection(url)
    producer = KafkaProducer(**there.kafka_python(), linger_ms=20)
    for number, value in enumerate(values):
        producer.send(there.topic(FEEDBACK), value, str(number).encode())
    producer.flush()
    producer.close()


def plain(number: int, **more: Any) -> bytes:
    """A report as JSON."""
    return orjson.dumps(report(number, **more))


def structured(number: int) -> bytes:
    """A report in a CloudEvent."""
    event = {"specversion": "1.0", "id": f"e{number}", "source": "/fleet", "type": "fleet.failure"}
    return orjson.dumps({**event, "data": report(number)})


def refusals(url: str) -> list[tuple[bytes | None, bytes | None, dict[str, str]]]:
    """Everything in the topic of refusals: key, value, headers."""
    there = connection(url)
    consumer = KafkaConsumer(**there.kafka_python(), enable_auto_commit=False)
    try:
        place = TopicPartition(there.topic(REFUSED), 0)
        consumer.assign([place])
        consumer.seek_to_beginning(place)
        end = consumer.end_offsets([place])[place]
        found: list[Any] = []
        while consumer.position(place) < end:
            for records in consumer.poll(timeout_ms=500).values():
                found += records
    finally:
        consumer.close()
    return [(r.key, r.value, {name: value.decode() for name, value in r.headers}) for r in found]


def lag(url: str) -> int:
    """Messages of mlife.feedback that intake has not committed; -1 while a broker that has just started can't tell."""
    there = connection(url)
    admin = KafkaAdminClient(**there.kafka_python())
    consumer = KafkaConsumer(**there.kafka_python(), enable_auto_commit=False)
    try:
        places = [
            TopicPartition(there.topic(FEEDBACK), p) for p in consumer.partitions_for_topic(there.topic(FEEDBACK)) or ()
        ]
        ends = consumer.end_offsets(places)
        told = admin.list_group_offsets([there.topic("mlife-intake")])[there.topic("mlife-intake")]
        return sum(ends[p] - max(0, told[p].offset if p in told else 0) for p in places)
    except RetriableError:
        return -1
    finally:
        consumer.close()
        admin.close()


if __name__ == "__main__":  # in a process of its own: where a broker is away, the client library forgets open sockets
    sends(sys.argv[1], [plain(n) for n in range(int(sys.argv[2]), int(sys.argv[3]))])
