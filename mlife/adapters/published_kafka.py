"""What the component topics hold last: so that a relay notices when that is not of its log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from kafka import KafkaConsumer, TopicPartition

from mlife.adapters.kafka_connection import KafkaConnection
from mlife.adapters.topics_kafka import CLIENT, translated
from mlife.core.errors import Unavailable

SECONDS: Final = 20.0
"""In which the last message of each partition must be read."""


def newest(there: KafkaConnection, names: Sequence[str]) -> list[tuple[int, bytes]]:
    """
    Position and id of the last event in each partition of the topics *names* that has one.

    Raises:
        Unavailable, Misconfigured: in words.
    """
    with translated(there):
        consumer = KafkaConsumer(**there.kafka_python(), **CLIENT, enable_auto_commit=False, metrics_enabled=False)
        try:
            return [found for record in _last(consumer, there, names) if (found := _event(record))]
        finally:
            consumer.close()


def _last(consumer: KafkaConsumer, there: KafkaConnection, names: Sequence[str]) -> list[Any]:
    """The last record of each partition that has any."""
    places = [
        TopicPartition(there.topic(name), partition)
        for name in names
        for partition in sorted(consumer.partitions_for_topic(there.topic(name)) or ())
    ]
    ends, begins = consumer.end_offsets(places), consumer.beginning_offsets(places)
    waiting = {place for place in places if ends[place] > begins[place]}
    consumer.assign(sorted(waiting))
    for place in waiting:
        consumer.seek(place, ends[place] - 1)
    found: list[Any] = []
    deadline = time.monotonic() + SECONDS
    while waiting:
        for place, records in consumer.poll(timeout_ms=200).items():
            found += records[:1] if place in waiting else []
            waiting.discard(place)
            consumer.pause(place)
        if time.monotonic() > deadline:
            raise Unavailable(f"{there.shown} does not give what was published last", remedy="see that brokers run")
    return found


def _event(record: Any) -> tuple[int, bytes] | None:
    """None: a message that no relay has sent."""
    told = dict(record.headers)
    try:
        return int(told["ce_sequence"]), UUID(told["ce_id"].decode()).bytes
    except (KeyError, ValueError):
        return None
