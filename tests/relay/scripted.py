"""A bus in memory that behaves as badly as Kafka may, and ports that fail between any two steps."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mlife.core.errors import Unavailable
from mlife.core.events import Event, Recorded
from mlife.core.packing import packed, unpack
from mlife.core.ports import EventStore
from mlife.core.relay import Connected, Flight, Lead, RelayBook

Message = tuple[str, int]
"""Key and position."""


class Killed(BaseException):
    """The process ends here, and cleans nothing up."""


class Fate:
    """
    What happens at each step: 0 nothing, 1 it fails, 2 it is done and its answer is lost, 3 and 4 the process dies.

    Args:
        draws: gives the fate of the next step.
    """

    def __init__(self, draws: Callable[[], int]) -> None:
        self._draws = draws

    def of(self, step: Callable[[], Any]) -> Any:
        fate = self._draws()
        if fate == 1:
            raise Unavailable("the step failed")
        if fate == 3:
            raise Killed
        answer = step()
        if fate == 2:
            raise Unavailable("the step was done, and its answer was lost")
        if fate == 4:
            raise Killed
        return answer


@dataclass(eq=False)
class Partition:
    """What subscribers of it have got, in order, and what an ended producer still has on the wire."""

    got: list[Message] = field(default_factory=list)
    on_the_wire: list[list[Message]] = field(default_factory=list)


class ScriptedKafka:
    """The cluster: it outlives the processes that produce to it."""

    def __init__(self, partitions: int = 3) -> None:
        self.topic = [Partition() for _ in range(partitions)]
        self.ids: dict[int, bytes] = {}

    def partition(self, key: str) -> Partition:
        return self.topic[sum(key.encode()) % len(self.topic)]

    def newest(self) -> list[tuple[int, bytes]]:
        """Position and id of the last event in each partition."""
        last = [partition.got[-1][1] for partition in self.topic if partition.got]
        return [(position, self.ids[position]) for position in last]

    def deliver_late(self) -> None:
        """What ended producers had on the wire arrives after all."""
        for partition in self.topic:
            for batch in partition.on_the_wire:
                partition.got += batch
            partition.on_the_wire = []


class ScriptedBus:
    """
    A producer as kafka-python's: of each partition one batch is on the wire, and the others queue behind it.

    Args:
        lands: of a number of queued messages, how many arrive now.
    """

    def __init__(self, kafka: ScriptedKafka, fate: Fate, lands: Callable[[int], int], name: str = "bus") -> None:
        self._kafka, self._fate, self._lands, self._name = kafka, fate, lands, name
        self._queued: dict[int, list[Message]] = defaultdict(list)
        self._connected = False

    def connect(self) -> Connected:
        def connected() -> Connected:
            self._connected = True
            return Connected(self._name, newest=self._kafka.newest())

        return self._fate.of(connected)  # type: ignore[no-any-return]

    def publish(self, events: Sequence[Recorded[Event]], secret: bytes) -> Flight:
        assert self._connected
        self._fate.of(lambda: self._queue(events))
        assert [e.position for r in packed(events, secret) for e in unpack(r).events()] == [e.position for e in events]
        return ScriptedFlight(self, events[-1].position)

    def _queue(self, events: Sequence[Recorded[Event]]) -> None:
        for r in events:
            self._kafka.ids[r.position] = r.draft.id
            place = self._kafka.topic.index(self._kafka.partition(r.draft.key))
            self._queued[place].append((r.draft.key, r.position))

    def land(self) -> None:
        """Some of what is queued arrives, in each partition from the front."""
        for place, queue in self._queued.items():
            count = self._lands(len(queue))
            self._kafka.topic[place].got += queue[:count]
            del queue[:count]

    def waits(self, to: int) -> bool:
        """Is anything up to *to* still queued?"""
        return any(queue and queue[0][1] <= to for queue in self._queued.values())

    def drop(self) -> None:
        for place, queue in self._queued.items():
            batch = queue[: self._lands(len(queue))]
            if batch:
                self._kafka.topic[place].on_the_wire.append(batch)
        self._queued.clear()
        self._connected = False

    def close(self) -> None:
        self.drop()


class ScriptedFlight:
    def __init__(self, bus: ScriptedBus, to: int) -> None:
        self._bus, self._to = bus, to

    def landed(self, timeout: float) -> bool:
        self._bus._fate.of(self._bus.land)
        return not self._bus.waits(self._to)


class FatefulStore:
    """The log as the relay sees it, on a bad line."""

    def __init__(self, store: EventStore, fate: Fate) -> None:
        self._store, self._fate = store, fate

    def __getattr__(self, name: str) -> Any:
        return lambda *words, **more: self._fate.of(lambda: getattr(self._store, name)(*words, **more))


class FatefulBook:
    """The book as the relay sees it, on a bad line."""

    def __init__(self, book: RelayBook, fate: Fate) -> None:
        self._book, self._fate = book, fate

    @contextmanager
    def lead(self) -> Iterator[Lead | None]:
        with self._book.lead() as lead:
            yield None if lead is None else FatefulLead(lead, self._fate)  # type: ignore[misc]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._book, name)


class FatefulLead:
    def __init__(self, lead: Lead, fate: Fate) -> None:
        self._lead, self._fate = lead, fate

    def __getattr__(self, name: str) -> Any:
        return lambda *words: self._fate.of(lambda: getattr(self._lead, name)(*words))
