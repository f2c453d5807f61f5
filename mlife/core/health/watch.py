"""
The watch of a server: looks again and again at what follows the log, and says once when something is wrong.

Pages, `/metrics` and `/status` tell what it saw last, so that asking them costs nothing and never waits for a part that
is away.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mlife.core.errors import MLifeError
from mlife.core.handler import HandlerBook
from mlife.core.health import Finding
from mlife.core.health.following import Follower, followers, lasting, parked, parked_finding
from mlife.core.ports import Clock, EventStore
from mlife.core.projection import Views

log = logging.getLogger("mlife.watch")

LOOK_SECONDS = 10.0
"""Seconds between looks; so old a sight is not shown without a new look."""

GROWTH_SECONDS = 3_600.0
"""Unreadable feedback is alarmed for so long after it came."""


@dataclass(frozen=True, slots=True)
class BusSeen:
    """
    What the bus says of itself.

    Args:
        lags: (consumer group, topic) → records that the group has not read.
        unreadable: records in the topic of what intake could not read; None where there is none yet.
    """

    lags: Mapping[tuple[str, str], int] = field(default_factory=dict)
    unreadable: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """
    One sight.

    Args:
        at: on the monotonic clock.
        head: the log's; None if it could not be read.
        parked: handler → facts that it has parked.
        faults: part (`log`, `bus`, `files`) → why it could not be asked.
        grown: unreadable records that came in the last hour.
        parts: what was asked.
    """

    at: float
    head: int | None = None
    followers: Sequence[Follower] = ()
    parked: Mapping[str, int] = field(default_factory=dict)
    letters: Finding | None = None
    bus: BusSeen | None = None
    faults: Mapping[str, Finding] = field(default_factory=dict)
    grown: int = 0
    parts: Sequence[str] = ()

    def findings(self) -> Iterator[Finding]:
        """Everything in words."""
        yield from self.faults.values()
        for follower in self.followers:
            yield follower.finding
        if self.letters is not None:
            yield self.letters
        if self.bus is not None and self.bus.unreadable is not None:
            yield self._unreadable(self.bus.unreadable)

    def _unreadable(self, count: int) -> Finding:
        if self.grown:
            came = f"{self.grown} came within the last {lasting(GROWTH_SECONDS)}, {count} are kept"
            return Finding("unreadable feedback", "wrong", came, UNREADABLE)
        return Finding(
            "unreadable feedback", "note" if count else "ok", f"{count} records", UNREADABLE if count else ""
        )

    @property
    def alarms(self) -> list[Finding]:
        """What is wrong now."""
        return [f for f in self.findings() if f.state == "wrong"]


UNREADABLE = "read mlife.feedback.dlq: each record has its reason in a header; mend what sends it, then send it again"


class Watch:
    """
    Looks at the log, at what follows it, and at the bus if there is one.

    Args:
        relay: gives the position up to which events are published; None where nothing is to be published.
        bus: asks the bus. files: knocks at the store of files. Both answer or raise within seconds.
    """

    def __init__(
        self,
        store: EventStore,
        views: Views,
        book: HandlerBook,
        clock: Clock,
        *,
        relay: Callable[[], int] | None = None,
        bus: Callable[[], BusSeen] | None = None,
        files: Callable[[], object] | None = None,
    ) -> None:
        self._store, self._views, self._book, self._clock = store, views, book, clock
        self._relay, self._bus, self._files = relay, bus, files
        self._looking = threading.Lock()
        self._seen: Seen | None = None
        self._told: set[str] = set()
        self._unreadable: deque[tuple[float, int]] = deque()

    def latest(self) -> Seen:
        """What was seen last; looks now if that is long ago and nobody else is looking."""
        seen = self._seen
        if seen is not None and time.monotonic() - seen.at < 2 * LOOK_SECONDS:
            return seen
        if seen is None:
            with self._looking:
                return self._seen or self._look()
        if self._looking.acquire(blocking=False):
            try:
                return self._look()
            finally:
                self._looking.release()
        return seen

    def run(self, stop: threading.Event) -> None:
        """Look until *stop* is set, and log what is wrong when it begins and ends."""
        while not stop.is_set():
            try:
                with self._looking:
                    self._look()
                self._tell()
            except Exception:
                log.exception("the watch met a fault of MLife's own; it goes on")
            stop.wait(LOOK_SECONDS)

    def _look(self) -> Seen:
        asked = {"log": True, "bus": self._bus is not None, "files": self._files is not None}
        seen = replace(self._log_seen(), parts=[part for part, is_asked in asked.items() if is_asked])
        faults = dict(seen.faults)
        if self._bus is not None:
            try:
                bus = self._bus()
                seen = replace(seen, bus=bus, grown=self._grown(bus.unreadable))
            except MLifeError as fault:
                faults["bus"] = Finding.of("bus", fault)
        if self._files is not None:
            try:
                self._files()
            except MLifeError as fault:
                faults["files"] = Finding.of("files", fault)
        self._seen = seen = replace(seen, faults=faults)
        return seen

    def _log_seen(self) -> Seen:
        try:
            relay = self._relay() if self._relay else None
            found = followers(self._store, self._views, self._book, now=self._clock.now(), relay=relay)
            letters = self._book.letters()
            head = self._store.head()
        except MLifeError as fault:
            return Seen(time.monotonic(), faults={"log": Finding.of("log", fault)})
        return Seen(time.monotonic(), head, found, parked(letters), parked_finding(letters))

    def _grown(self, unreadable: int | None) -> int:
        """How many unreadable records came within the last hour, as far as this process saw it."""
        if unreadable is None:
            return 0
        now = time.monotonic()
        if not self._unreadable or self._unreadable[-1][1] != unreadable:
            self._unreadable.append((now, unreadable))
        while len(self._unreadable) > 1 and now - self._unreadable[1][0] > GROWTH_SECONDS:
            self._unreadable.popleft()
        return max(0, unreadable - self._unreadable[0][1])

    def _tell(self) -> None:
        alarms = {f.what: f for f in self._seen.alarms} if self._seen else {}
        for what, finding in alarms.items():
            if what not in self._told:
                log.warning("%s: %s: %s", what, finding.found, finding.do)
        for what in self._told - alarms.keys():
            log.warning("%s: well again", what)
        self._told = set(alarms)
