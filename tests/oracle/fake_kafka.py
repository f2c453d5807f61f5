"""
A Kafka in memory that does to a producer what a real one may: what was not acknowledged may have arrived, or not, in
each partition by itself, or arrive later, when another producer has sent the same.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mlife.adapters.message_kafka import headers
from mlife.core.errors import Unavailable
from mlife.core.events import Recorded, registry
from mlife.core.packing import packed
from mlife.core.relay import Connected
from mlife.core.topics import LOG
from tests.oracle.verdict import Message

COPIES = 2
"""Partitions of the log's topic."""
PARTITIONS = 3
"""Of the other topics."""

Place = tuple[str, int]
Record = tuple[str, dict[str, str], bytes]
"""Key, headers, value."""


@dataclass
class Broker:
    """What was appended to each partition; it outlives the producers."""

    partitions: dict[Place, list[Record]] = field(default_factory=lambda: defaultdict(list))
    on_the_wire: list[tuple[Place, list[Record]]] = field(default_factory=list)

    def deliver_late(self) -> None:
        """What ended producers had sent arrives after all."""
        for place, records in self.on_the_wire:
            self.partitions[place] += records
        self.on_the_wire = []

    def messages(self) -> list[Message]:
        """Everything in the component topics, as a subscriber gets it."""
        return [
            Message(topic, partition, offset, key, told, value)
            for (topic, partition), records in self.partitions.items()
            if topic != LOG
            for offset, (key, told, value) in enumerate(records)
        ]

    def copies(self) -> dict[int, list[bytes]]:
        """The records of each partition of the log's topic."""
        return {
            partition: [r[2] for r in records]
            for (topic, partition), records in self.partitions.items()
            if topic == LOG
        }


class Producer:
    """
    A relay's bus on *broker*.

    Args:
        fate: for the run that is published next, whether it fails, and then for each partition what becomes of its
            part: 0 lost, 1 arrived, 2 still on the wire. After a failure this producer sends nothing more.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.fate: list[int] = []
        self.before_publishing: Any = None
        self._ended = True

    def connect(self) -> Connected:
        """See `Bus.connect`."""
        self._ended = False
        return Connected("fake")

    def publish(self, events: Sequence[Recorded[Any]], secret: bytes) -> Any:
        """See `Bus.publish`."""
        if self.before_publishing is not None:
            meanwhile, self.before_publishing = self.before_publishing, None
            meanwhile()
        if self._ended:
            return _Flight(has_landed=False)
        parts = self._parts(events, secret)
        fails, self._ended = bool(self.fate), bool(self.fate)
        for n, (place, records) in enumerate(sorted(parts.items())):
            what = self.fate[n % len(self.fate)] if fails else 1
            if what == 1:
                self._broker.partitions[place] += records
            elif what == 2:
                self._broker.on_the_wire.append((place, records))
        self.fate = []
        return _Flight(has_landed=not fails)

    @staticmethod
    def _parts(events: Sequence[Recorded[Any]], secret: bytes) -> dict[Place, list[Record]]:
        parts: dict[Place, list[Record]] = defaultdict(list)
        for r in events:
            place = (registry.kind(r.draft.type).topic, sum(r.draft.key.encode()) % PARTITIONS)
            parts[place].append((r.draft.key, {k: v.decode() for k, v in headers(r)}, r.draft.data))
        for record in packed(events, secret):
            for copy in range(COPIES):
                parts[LOG, copy].append(("", {}, record))
        return parts

    def drop(self) -> None:
        """See `Bus.drop`."""
        self._ended = True

    def close(self) -> None:
        """See `Bus.close`."""


class _Flight:
    def __init__(self, *, has_landed: bool) -> None:
        self._has_landed = has_landed

    def landed(self, timeout: float) -> bool:
        """See `Flight.landed`."""
        if not self._has_landed:
            raise Unavailable("the broker took only some of it, or none")
        return True
