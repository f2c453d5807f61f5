"""
Kafka as the bus of the relay.

Every event goes to its component's topic as a CloudEvent in binary mode, key and order by `partitionkey`; and each run
of events, packed, to every partition of `mlife.log`.

Order. kafka-python's idempotent producer sends one batch of a partition at a time and repeats it until it is taken, in
order. But after some faults it gives up what was under way, bumps its epoch and goes on with what is queued, which then
overtakes. So whatever is refused ends the producer, with all it has not sent, and the relay begins anew from its
position: each partition gets each event for the first time behind all that precede it, whatever fails. (What an ended
producer had on the wire may still arrive, but only as a repetition, or in its place.)
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

from kafka import KafkaProducer
from kafka import errors as kafka_errors
from kafka.partitioner.default import murmur2

from mlife.adapters.kafka_connection import KafkaConnection
from mlife.adapters.message_kafka import headers
from mlife.adapters.published_kafka import newest
from mlife.adapters.topics_kafka import CLIENT, ensure_topics, explained, translated
from mlife.core.errors import Misconfigured, MLifeError, Unavailable
from mlife.core.events import Event, EventKind, Recorded, registry
from mlife.core.folding import without_gc
from mlife.core.packing import packed
from mlife.core.relay import Connected, Flight
from mlife.core.topics import LARGEST_MESSAGE, LOG, topics

log = logging.getLogger("mlife.relay")

PRODUCER: Final = {
    **CLIENT,
    "acks": "all",
    "enable_idempotence": True,
    "compression_type": "zstd",
    "batch_size": 1 << 18,
    "linger_ms": 5,
    "max_request_size": 64 << 20,  # the topic decides how large is too large
    "max_block_ms": 5_000,
    "delivery_timeout_ms": 2**31 - 1,  # the relay decides how long is too long
    "allow_auto_create_topics": False,
    "metrics_enabled": False,
}

END_SECONDS: Final = 5.0
"""How long an ended producer's thread is waited for."""

TOO_LARGE: Final = (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)


class KafkaBus:
    """
    A `Bus` on a Kafka cluster.

    Args:
        kinds: of the events that may come; they name the topics.
    """

    def __init__(self, there: KafkaConnection, kinds: Iterable[EventKind] = registry) -> None:
        self._there = there
        self._kinds = list(kinds)
        self._producer: _Producer | None = None

    def connect(self) -> Connected:
        """See `Bus.connect`."""
        self.drop()
        there = self._there
        ensured = ensure_topics(there, topics(self._kinds, partitions=there.partitions))
        old = {k.topic for k in self._kinds} - set(ensured.made)
        last = newest(there, sorted(old)) if old else []
        with translated(there):
            self._producer = _Producer(there)
        return Connected(f"{ensured.cluster}/{there.prefix}", ensured.made, last)

    def publish(self, events: Sequence[Recorded[Event]], secret: bytes) -> Flight:
        """See `Bus.publish`."""
        if self._producer is None:
            raise Unavailable(f"{self._there.shown} is not connected", remedy="connect to it")
        with without_gc():
            return self._producer.publish(events, secret)

    def drop(self) -> None:
        """See `Bus.drop`."""
        if self._producer is not None:
            self._producer.end()
            self._producer = None

    def close(self) -> None:
        """See `Bus.close`."""
        self.drop()


class _FasterProducer(KafkaProducer):  # type: ignore[misc]
    """kafka-python's producer without its estimate of every message's size, which takes a fifth of a send's time."""

    def _estimate_size_in_bytes(self, key: bytes, value: bytes, headers: Any = None) -> int:
        """Near enough for a limit that no event reaches. Where a release calls it otherwise, only time is lost."""
        return len(value)


class _Producer:
    """kafka-python's producer until something is refused; then it is at its end."""

    def __init__(self, there: KafkaConnection) -> None:
        self._there = there
        self._kafka = _FasterProducer(**there.kafka_python(), **PRODUCER)
        self._log = there.topic(LOG)
        self._copies = sorted(self._kafka.partitions_for(self._log))
        self._topics: dict[str, str] = {}
        self.fault: BaseException | None = None

    def publish(self, events: Sequence[Recorded[Event]], secret: bytes) -> Flight:
        send, refused, topics_, count = self._kafka.send, self._refused, self._topics, self._there.partitions
        sent: list[Any] = []
        recorded = events[0]
        try:
            for recorded in events:
                draft = recorded.draft
                topic = topics_.get(draft.type) or self._topic(draft.type)
                key = draft.key
                future = send(topic, draft.data, key.encode(), headers(recorded), partition_of(key, count))
                future.add_errback(refused)
                sent.append(future)
            for record in packed(events, secret):
                for copy in self._copies:
                    future = send(self._log, record, partition=copy)
                    future.add_errback(refused)
                    sent.append(future)
        except (kafka_errors.KafkaError, OSError, ValueError) as fault:
            self._refused(fault)
            raise self.told(fault, recorded) from fault
        return _Flight(self, events, sent)

    def _topic(self, type: str) -> str:
        topic = self._topics[type] = self._there.topic(registry.kind(type).topic)
        return topic

    def _refused(self, fault: BaseException) -> None:
        """
        Send nothing more: what follows would overtake what was refused.

        Called by kafka-python's own thread, before it takes the next batch. Its `close` would send what is queued, or,
        without a time, give up before it has closed; so the thread is told itself (tests/relay holds it to this).
        """
        if self.fault is None:
            self.fault = fault
        self._kafka._sender.force_close()  # noqa: SLF001

    def end(self) -> None:
        """Forget what was not acknowledged."""
        sender = self._kafka._sender  # noqa: SLF001
        sender.force_close()
        sender.join(END_SECONDS)
        try:
            self._kafka.close(timeout=0)
        except kafka_errors.KafkaError as fault:
            log.warning("a connection to Kafka did not end in %g s: %s", END_SECONDS, fault)

    def told(self, fault: BaseException, recorded: Recorded[Event]) -> MLifeError:
        """*fault*, met by *recorded* or a record that begins with it, in words."""
        fault = self.fault or fault
        if not isinstance(fault, TOO_LARGE):
            return explained(self._there, fault)
        topic, size = self._topic(recorded.draft.type), len(recorded.draft.data)
        return Misconfigured(
            f"event {recorded.position} ({recorded.draft.type}, {size:,} bytes), or the record of {self._log} that has "
            "it, is larger than Kafka takes; nothing after it is published",
            remedy=f"set max.message.bytes={max(LARGEST_MESSAGE, 2 * size)} for {topic} and {self._log} "
            "(kafka-configs.sh --alter --entity-type topics --entity-name … --add-config …), and start the relay again",
        )


class _Flight:
    """See `Flight`."""

    def __init__(self, producer: _Producer, events: Sequence[Recorded[Event]], sent: Sequence[Any]) -> None:
        self._producer, self._events, self._sent = producer, events, sent
        self._at = 0

    def landed(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        for at in range(self._at, len(self._sent)):
            future = self._sent[at]
            if not future.is_done and not _is_done(future, deadline - time.monotonic()):
                self._at = at
                return False
            if future.exception is not None:
                raise self._producer.told(future.exception, self._events[min(at, len(self._events) - 1)])
        self._at = len(self._sent)
        return True


def _is_done(future: Any, timeout: float) -> bool:
    if timeout > 0:
        with suppress(kafka_errors.KafkaError):  # it waited in vain, or the send has failed: the future knows
            future.get(timeout)
    return bool(future.is_done)


@lru_cache(maxsize=50_000)
def partition_of(key: str, count: int) -> int:
    """
    The partition of *key* among *count*, as Kafka's own clients choose it.

    The count is what the URL says, not what the topic has: partitions that somebody adds move no key.
    """
    return int(murmur2(key.encode()) & 0x7FFFFFFF) % count
