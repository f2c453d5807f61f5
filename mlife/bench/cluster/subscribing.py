"""A service that follows topics as somebody else would write it, with kafka-python and nothing of ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from kafka import KafkaConsumer, TopicPartition


class Message(NamedTuple):
    """What is sent; *topic* without its prefix."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


def servers(bus: str) -> list[str]:
    """The brokers of a plain `kafka://` URL, as clients want them."""
    return urlsplit(bus).netloc.rpartition("@")[2].split(",")


def prefix(bus: str) -> str:
    """What the topics' names begin with."""
    return parse_qs(urlsplit(bus).query)["prefix"][-1]


@contextmanager
def subscriber(bus: str, topic: str) -> Iterator[dict[int, float]]:
    """Position → moment (`perf_counter`) at which its message has arrived, since the block began."""
    arrived: dict[int, float] = {}
    done, ready = threading.Event(), threading.Event()

    def follow() -> None:
        with _consumer(bus, [topic]) as consumer:
            for partition in consumer.assignment():
                consumer.seek_to_end(partition)
                consumer.position(partition)
            ready.set()
            while not done.is_set():
                for messages in consumer.poll(timeout_ms=100).values():
                    now = time.perf_counter()
                    for message in messages:
                        arrived.setdefault(int(dict(message.headers)["ce_sequence"]), now)

    thread = threading.Thread(target=follow)
    thread.start()
    ready.wait(30)
    try:
        yield arrived
    finally:
        done.set()
        thread.join()


def everything(bus: str, names: list[str]) -> list[Message]:
    """Every message that the topics *names* (without prefix) have now."""
    found: list[Message] = []
    start = prefix(bus)
    with _consumer(bus, names) as consumer:
        ends: dict[Any, int] = consumer.end_offsets(list(consumer.assignment()))
        consumer.seek_to_beginning()
        while any(consumer.position(p) < end for p, end in ends.items()):
            for messages in consumer.poll(timeout_ms=1_000, max_records=10_000).values():
                found += [
                    Message(m.topic.removeprefix(start), m.partition, m.key, m.value, list(m.headers)) for m in messages
                ]
    return found


@contextmanager
def _consumer(bus: str, names: list[str]) -> Iterator[Any]:
    """A consumer on every partition of the topics, with no group."""
    consumer = KafkaConsumer(
        bootstrap_servers=servers(bus), enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=10
    )
    try:
        parts = []
        for name in names:
            topic = prefix(bus) + name
            parts += [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(parts)
        yield consumer
    finally:
        consumer.close()
