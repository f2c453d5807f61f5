"""
The runner: feeds projections and handlers from the log, the same in both sizes.

It holds the runner lock of a home, wakes at once on a commit of its own process and within milliseconds on another's,
and goes on wherever the last one stopped: a projection's checkpoint moves with its rows, and a handler's effects carry
derived ids.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlife.core.command import Executor
from mlife.core.control import Skips
from mlife.core.errors import Conflict, MLifeError, Refused, Unavailable
from mlife.core.events import Event, Recorded
from mlife.core.handler import DeadLetter, Do, Handler, HandlerBook, Ports, acting, handlers, timers
from mlife.core.projection import Projection, Standing, projections

log = logging.getLogger("mlife.runner")

LIVE_RUN = 4_000
"""Events in one transaction while following; small enough that readers see news soon."""

FILL_RUN = 10_000
"""Events in one transaction while rebuilding."""

TRIES = 3
BACKOFF = (0.05, 0.25)
TIMER_SECONDS = 0.5


@dataclass
class Runner:
    """
    Projects the log into the query tables and lets handlers act.

    Args:
        lock_wait: seconds between tries to become the runner while another process is.
    """

    ports: Ports
    executor: Executor
    book: HandlerBook
    lock_wait: float = 0.5

    def __post_init__(self) -> None:
        self._standings: dict[str, Standing] = {}
        self._skips: dict[str, set[int]] = {}
        self._recent: tuple[int, list[Recorded[Event]]] = (-1, [])
        self._positions: dict[str, int] | None = None
        self._parked: dict[str, set[str]] = {}
        self._timers_at = 0.0
        self._timers_done: set[tuple[Any, ...]] = set()
        self._settled = 0
        self._moved = threading.Condition()

    # --- living ---

    def run(self, stop: threading.Event) -> None:
        """Follow the log until *stop* is set, whenever the runner lock can be had."""
        while not stop.is_set():
            with self.ports.locks.hold("runner") as held:
                if held:
                    self._forget()
                    self._follow(stop)
                    return
            stop.wait(self.lock_wait)

    def _follow(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                busy = self.step()
            except Unavailable as e:
                log.warning("%s", e)
                stop.wait(0.5)
                continue
            except MLifeError as e:
                log.error("%s", e)
                stop.wait(1.0)
                continue
            if not busy:
                self.ports.store.wait(self._slowest(), min(TIMER_SECONDS, 0.5))

    def _forget(self) -> None:
        """Another process may have run meanwhile: read everything anew."""
        self._standings, self._skips, self._positions, self._parked = {}, {}, None, {}

    def step(self) -> bool:
        """One round: project, handle, look at the timers. True if there was anything to do."""
        busy = self.project(limit=LIVE_RUN)
        busy = self._handle_all() or busy
        if not busy:
            self._tell_settled()
        busy = self._run_timers() or busy
        return busy

    def _slowest(self) -> int:
        moving = [s.position for s in self._standings.values() if s.state == "live"]
        return min([*moving, *(self._positions or {}).values()], default=0)

    def settle(self, timeout: float = 30.0) -> int:
        """
        Wait until projections and handlers have dealt with everything in the log.

        Returns:
            The head that was reached.

        Raises:
            Unavailable: it did not happen in *timeout* seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            head = self.ports.store.head()
            with self._moved:
                if self._settled >= head:
                    return head
                if (
                    not self._moved.wait(min(0.05, max(0.0, deadline - time.monotonic())))
                    and time.monotonic() > deadline
                ):
                    raise Unavailable(f"handlers are at {self._settled} of {head} after {timeout:g} s")

    def _tell_settled(self) -> None:
        slowest = self._slowest()
        if slowest != self._settled:
            with self._moved:
                self._settled = slowest
                self._moved.notify_all()

    # --- projections ---

    def catch_up(self, to: int) -> None:
        """Project up to position *to*, and run no handlers: what a command line does that finds the lock free."""
        self._forget()
        while self.project(limit=LIVE_RUN):
            if min((s.position for s in self._standings.values() if s.state == "live"), default=to) >= to:
                return

    def project(self, *, limit: int) -> bool:
        """Bring every projection one run further. True if any moved."""
        moved = False
        for projection in list(projections.values()):
            standing = self._standing(projection)
            if standing.state != "live":
                continue
            events = self._events(standing.position, limit)
            if events:
                self._apply(projection, standing, events)
                moved = True
        if moved:
            self.ports.views.notify()
        return moved

    def _standing(self, projection: Projection) -> Standing:
        standing = self._standings.get(projection.name)
        if standing is None:
            standing = self._standings[projection.name] = self.ports.views.prepare(projection)
        return standing

    def _events(self, after: int, limit: int) -> list[Recorded[Event]]:
        """A run after *after*; projections and handlers that stand at the same place share it, decoded once."""
        if self._recent[0] != after or not self._recent[1]:
            self._recent = (after, self.ports.store.read(after, limit))
        return self._recent[1]

    def _apply(self, projection: Projection, standing: Standing, events: Sequence[Recorded[Event]]) -> None:
        skips = self._skips_of(projection)
        try:
            mine = [r for r in events if projection.takes(r.draft.type) and r.position not in skips]
            self._standings[projection.name] = self.ports.views.apply(projection, standing, mine, events[-1].position)
        except Conflict:
            self._standings.pop(projection.name)  # flipped, rolled back or run by another: look again
        except (Unavailable, MLifeError) as e:
            if e.status in (503, 507):
                raise
            self._isolate(projection, standing, events, e)
        except Exception as e:  # noqa: BLE001 - a fold is anybody's code: find the event, stop, say so
            self._isolate(projection, standing, events, e)

    def _isolate(
        self, projection: Projection, standing: Standing, events: Sequence[Recorded[Event]], fault: Exception
    ) -> None:
        """Fold what comes before the event at fault, then stop there."""
        if len(events) > 1:
            half = len(events) // 2
            self._apply(projection, standing, events[:half])
            after = self._standings.get(projection.name)
            if after is not None and after.state == "live":
                self._apply(projection, after, events[half:])
            return
        (culprit,) = events
        error = f"{culprit.draft.type} at position {culprit.position}: {type(fault).__name__}: {fault}"
        log.error("projection %s stopped at %s", projection.name, error)
        self.ports.views.stop(standing, error)
        self._standings[projection.name] = Standing(
            standing.name, standing.version, standing.generation, standing.position, "stopped", error
        )

    def _skips_of(self, projection: Projection) -> set[int]:
        skips = self._skips.get(projection.name)
        if skips is None:
            skips = self._skips[projection.name] = skips_of(self.ports, projection)
        return skips

    # --- handlers ---

    def _handle_all(self) -> bool:
        positions = self._handler_positions()
        busy = self._retry_asked()
        seen = min((s.position for s in self._standings.values()), default=0)
        groups: dict[int, list[Handler]] = {}
        for h in handlers.values():
            if positions[h.name] < seen:
                groups.setdefault(positions[h.name], []).append(h)
        for after, group in sorted(groups.items()):
            events = [r for r in self._events(after, LIVE_RUN) if r.position <= seen]
            if not events:
                continue
            for h in group:
                for fact in h.facts(events):
                    self._handle(h, fact)
            moved = {h.name: events[-1].position for h in group}
            self.book.move(moved)
            positions.update(moved)
            busy = True
        return busy

    def _handler_positions(self) -> dict[str, int]:
        if self._positions is None:
            known = self.book.positions()
            start = max(known.values(), default=0)  # a handler that is new to an old home does not fire over its past
            self._positions = {name: known.get(name, start) for name in handlers}
            self.book.move(self._positions)
        for name in handlers.keys() - self._positions.keys():
            self._positions[name] = max(self._positions.values(), default=0)
        return self._positions

    def _handle(self, h: Handler, fact: Recorded[Event]) -> None:
        key = fact.draft.key
        parked = self._parked_keys(h.name)
        if key in parked:
            self.book.park(DeadLetter(h.name, key, fact.position, 0, ""))
            return
        error = self._try(h, fact)
        if error is not None:
            parked.add(key)
            log.error("handler %s parked %s at %d: %s", h.name, key, fact.position, error)
            self.book.park(DeadLetter(h.name, key, fact.position, TRIES, error))

    def _try(self, h: Handler, fact: Recorded[Event]) -> str | None:
        """Handle *fact*, several times if need be; None, or why it failed."""
        error = "the process died while it was handled"
        while (attempt := self.book.attempt(h.name, fact.position)) <= TRIES:
            try:
                h.run(fact, acting(self.executor, self.ports, h.name, fact))
            except Refused as e:
                return str(e)
            except Unavailable:
                self.book.attempt(h.name, fact.position, -1)  # an outage is nobody's fault: try again later
                raise
            except Exception as e:  # noqa: BLE001 - a handler is anybody's code: it is retried, then parked with the reason
                error = f"{type(e).__name__}: {e}"
                if attempt < TRIES:
                    time.sleep(BACKOFF[min(attempt, len(BACKOFF)) - 1])
            else:
                return None
        return error

    def _parked_keys(self, name: str) -> set[str]:
        keys = self._parked.get(name)
        if keys is None:
            keys = self._parked[name] = self.book.parked_keys(name)
        return keys

    def _retry_asked(self) -> bool:
        """Try again what a person asked for, in order, until one of the key fails again."""
        asked = self.book.letters(retry_only=True)
        failed: set[tuple[str, str]] = set()
        for letter in asked:
            h = handlers.get(letter.handler)
            if h is None or (letter.handler, letter.key) in failed:
                continue
            (fact,) = self.ports.store.read(letter.position - 1, 1)
            error = self._try(h, fact)
            if error is None:
                self.book.unpark(letter.handler, letter.position)
            else:
                failed.add((letter.handler, letter.key))
                self.book.park(DeadLetter(letter.handler, letter.key, letter.position, TRIES, error))
        if asked:
            self._parked.clear()
        return bool(asked)

    # --- timers ---

    def _run_timers(self) -> bool:
        if time.monotonic() - self._timers_at < TIMER_SECONDS:
            return False
        self._timers_at = time.monotonic()
        busy = False
        now = self.executor.clock.now()
        for t in timers.values():
            with self.ports.views.read() as read:
                rows = read.all(t.due(now).limit(1_000))
            for row in rows:
                occasion = (t.name, *row)
                if occasion not in self._timers_done:
                    own = self.executor.as_(actor=f"timer {t.name}")
                    try:
                        t.run(row, Do(own, self.ports, ":".join(map(str, occasion))))
                    except MLifeError as e:
                        log.error("timer %s failed for %s: %s", t.name, tuple(row), e)
                    self._timers_done.add(occasion)
                    busy = True
        return busy


def skips_of(ports: Ports, projection: Projection) -> set[int]:
    """Positions that *projection* passes over by a person's decision."""
    state = Skips(projection.name)
    for recorded in ports.store.read_stream(f"projection/{projection.name}"):
        state.apply(recorded.event)
    return state.positions
