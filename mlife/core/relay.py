"""
The relay: publishes the log on a bus, in the order of positions, and never skips an event.

The log is the outbox. One relay leads at a time; it reads after its position, publishes, and moves the position over
what the bus has acknowledged. Whatever ends it in between, the next one publishes from the position again: so events
may come twice, always in order, and consumers see that by `sequence`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from mlife.core.errors import Corrupt, Refused, Unavailable
from mlife.core.events import Event, Recorded
from mlife.core.ports import EventStore
from mlife.core.trouble import Trouble

log = logging.getLogger("mlife.relay")

RUN: Final = 1_000
"""Events that are read and published together, at most."""

FIRST_RUN: Final = 50
"""Of what is still unknown: a thousand events may be a thousand megabytes."""

LARGE_RUN: Final = 4_000_000
"""Bytes of stored data after which a run is large: the next one has fewer events."""

AHEAD: Final = 8
"""Runs that may be on their way at once."""

ALL_AHEAD: Final = 24_000_000
"""Bytes of stored data that may be on their way at once; one run may be more by itself."""

LOOK_SECONDS: Final = 1.0
"""How often a relay that waits looks whether it still leads."""

SILENT_SECONDS: Final = 5.0
"""How long a bus may acknowledge nothing until that is told."""

STUCK_SECONDS: Final = 30.0
"""How long, until the relay begins again with a new connection."""

STOP_SECONDS: Final = 5.0
"""How long a relay that is asked to end waits for what is on its way."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between tries while something is away."""


class Flight(Protocol):
    """A run of events on its way to the bus."""

    def landed(self, timeout: float) -> bool:
        """
        Wait up to *timeout* seconds until the bus has acknowledged all of it; has it?

        Raises:
            Unavailable: some of it was not taken. What followed it was not sent.
            Misconfigured: and never will be, as things are set.
        """


@dataclass(frozen=True, slots=True)
class Connected:
    """
    A bus that is ready.

    Args:
        name: which bus it is: one that was made anew has another name, and is given everything from the start.
        made: topics that were not there before.
        newest: position and id of events that were published last, one a partition or so.
    """

    name: str
    made: Sequence[str] = ()
    newest: Sequence[tuple[int, bytes]] = ()


class Bus(Protocol):
    """Where events are published."""

    def connect(self) -> Connected:
        """Be ready to publish. Raises Unavailable, Misconfigured."""

    def publish(self, events: Sequence[Recorded[Event]], secret: bytes) -> Flight:
        """
        Send consecutive *events* off, behind those that were sent before; workers get them sealed with *secret*.

        Events of a key arrive in this order, and none of them before one that precedes it.
        """

    def drop(self) -> None:
        """Forget what was not acknowledged, and do not send it: `connect` begins anew."""

    def close(self) -> None:
        """Release connections."""


class Lead(Protocol):
    """What only the one relay that leads can do."""

    def begin(self, bus: str) -> int:
        """The position up to which everything is published on *bus*; 0 for one that is new."""

    def move(self, expected: int, to: int) -> None:
        """
        Everything up to *to* is published now.

        Raises:
            Unavailable: this relay leads no more, or the position is not *expected*.
        """

    def check(self) -> None:
        """Raises Unavailable: this relay leads no more."""


@dataclass(frozen=True, slots=True)
class Published:
    """
    How far a bus is.

    Args:
        position: up to where everything is published.
        moved_at: when that was found, UTC.
        is_led: does a relay lead now?
    """

    position: int
    moved_at: datetime | None
    is_led: bool


class RelayBook(Protocol):
    """Where the relay keeps its position."""

    def lead(self) -> AbstractContextManager[Lead | None]:
        """Lead inside the block; None: another relay does. Whoever dies or loses its connection leads no more."""

    def published(self) -> Published:
        """How far the bus is that was published on last."""

    def secret(self) -> bytes:
        """What the records for this log's workers are sealed with; nobody else knows it."""

    def set_back(self, position: int) -> None:
        """
        Publish everything after *position* again.

        Raises:
            Refused: a relay leads.
        """


@dataclass
class Relay:
    """
    Publishes the events of *store* on *bus*.

    Args:
        shown: what is published where, for people.
    """

    store: EventStore
    bus: Bus
    book: RelayBook
    shown: str = "the log"
    _trouble: Trouble = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._trouble = Trouble(log)

    def run(self, stop: threading.Event) -> None:
        """
        Publish until *stop* is set; what is away is waited for.

        Raises:
            Misconfigured, Corrupt: a person must do something first.
        """
        pause = SHORTEST_PAUSE
        while not stop.is_set():
            try:
                if self._led(stop, once=False):
                    pause = SHORTEST_PAUSE
                else:
                    self._trouble.met("another relay publishes this log; this one takes over when that ends")
                    pause = LOOK_SECONDS
            except Unavailable as fault:
                self._trouble.met(str(fault))
                pause = min(2 * pause, LONGEST_PAUSE)
            stop.wait(pause)

    def once(self, stop: threading.Event) -> int:
        """
        Publish what the log holds now.

        Returns:
            The position that was reached.

        Raises:
            Unavailable: something is away, or another relay publishes.
            Misconfigured, Corrupt: see `run`.
        """
        if not self._led(stop, once=True):
            raise Refused("another relay publishes this log", remedy="that one does it; or end it first")
        return self.book.published().position

    def _led(self, stop: threading.Event, *, once: bool) -> bool:
        """Publish while this relay leads. False: another one does."""
        with self.book.lead() as lead:
            if lead is None:
                return False
            try:
                self._publish(lead, stop, until=self.store.head() if once else None)
            finally:
                self.bus.drop()
        return True

    def _publish(self, lead: Lead, stop: threading.Event, until: int | None) -> None:
        bus = self.bus.connect()
        position = lead.begin(bus.name)
        self._check_same_log(bus, position)
        if bus.made:
            log.info("made %s", ", ".join(bus.made))
        if bus.made and position:
            log.warning(
                "these topics lack what was published before, up to position %d: that is right for a new feature; "
                "if they were lost, `mlife relay --again-after 0` publishes everything again",
                position,
            )
        run = _Run(self.store, self.bus, lead, position, self.book.secret(), self._trouble)
        log.info("%s: published up to %d, %d to go", self.shown, position, run.behind())
        while not run.is_over(until):
            if stop.is_set():
                run.land_all(STOP_SECONDS)
                return
            run.fill(until)
            if run.is_waiting:
                run.land(LOOK_SECONDS)
            else:
                lead.check()
                self.store.wait(run.after, LOOK_SECONDS)

    def _check_same_log(self, bus: Connected, position: int) -> None:
        """A log that was put back from a backup, or made anew, gives other events positions that subscribers know."""
        head = self.store.head()
        last = max([position, *(p for p, _ in bus.newest)])
        if last > head:
            raise Corrupt(
                f"events up to position {last} were published, and the log ends at {head}: it is an old copy of it",
                remedy=OTHER_LOG,
            )
        known = self.store.find([id for _, id in bus.newest])
        for published, id in bus.newest:
            if id not in known or known[id].position != published:
                raise Corrupt(
                    f"event {published} was published as {UUID(bytes=id)}, and is another in this log", remedy=OTHER_LOG
                )


OTHER_LOG: Final = (
    "put back the newest backup of the log. To go on with this one, say another prefix=… in MLIFE_BUS: everything is "
    "published there from the start, and subscribers begin anew"
)


@dataclass
class _Air:
    """A run on its way: what it is, up to where, and how many bytes."""

    flight: Flight
    to: int
    size: int


class _Run:
    """One relay's time as the leader."""

    def __init__(self, store: EventStore, bus: Bus, lead: Lead, position: int, secret: bytes, trouble: Trouble) -> None:
        self._store, self._bus, self._lead, self._secret, self._trouble = store, bus, lead, secret, trouble
        self._moved = position
        self.after = position
        self._air: deque[_Air] = deque()
        self._limit = FIRST_RUN
        self._heard_at = time.monotonic()

    def behind(self) -> int:
        """Events that are not published yet."""
        return self._store.head() - self._moved

    @property
    def is_waiting(self) -> bool:
        """Is something on its way?"""
        return bool(self._air)

    def is_over(self, until: int | None) -> bool:
        """Is everything up to *until* published? Never, if that is None."""
        return until is not None and self._moved >= until

    def fill(self, until: int | None) -> None:
        """Send off what the log has, as far as it is wise."""
        while len(self._air) < AHEAD and sum(a.size for a in self._air) < ALL_AHEAD:
            limit = self._limit if until is None else min(self._limit, until - self.after)
            events = self._store.read(self.after, limit) if limit > 0 else []
            if not events:
                return
            self._send(events)

    def _send(self, events: Sequence[Recorded[Event]]) -> None:
        if events[0].position != self.after + 1:
            raise Corrupt(
                f"the log goes on with position {events[0].position} after {self.after}",
                remedy="restore what is missing from a backup; a gap is never passed over",
            )
        if not self._air:
            self._heard_at = time.monotonic()
        size = sum(len(r.draft.data) for r in events)
        last = events[-1].position
        self._air.append(_Air(self._bus.publish(events, self._secret), last, size))
        self.after = last
        self._limit = max(1, min(RUN, 2 * self._limit, LARGE_RUN * len(events) // max(1, size)))

    def land(self, timeout: float) -> None:
        """Wait for the first run on its way, and move over what has landed."""
        if not self._air[0].flight.landed(timeout):
            self._still_nothing()
            return
        to = self._air.popleft().to
        while self._air and self._air[0].flight.landed(0):
            to = self._air.popleft().to
        self._lead.move(self._moved, to)
        self._moved = to
        self._heard_at = time.monotonic()
        self._trouble.over(self.told)

    def land_all(self, seconds: float) -> None:
        """Wait at most *seconds* for what is on its way."""
        deadline = time.monotonic() + seconds
        while self._air and (left := deadline - time.monotonic()) > 0:
            self.land(left)

    def _still_nothing(self) -> None:
        silent = time.monotonic() - self._heard_at
        said = f"the bus has acknowledged nothing for {silent:.0f} s; events after {self._moved} wait in the log"
        if silent > STUCK_SECONDS:
            raise Unavailable(said, remedy="see that it runs; the relay goes on by itself")
        if silent > SILENT_SECONDS:
            self._trouble.met(said)
        self._lead.check()

    def told(self) -> str:
        """Where it is, as a line."""
        return f"published up to {self._moved}, {self.behind()} behind"
