"""
The runner: feeds projections and handlers from the log, the same in both sizes.

Embedded, one process holds the runner lock of a home and runs everything. In a cluster each worker runs what a bus has
assigned to it (`serve`), beside others. Both wake at once on a commit of their own process and within milliseconds on
another's, and go on wherever the last one stopped: a projection's checkpoint moves with its rows, and a handler's
effects carry derived ids.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mlife.core.beside import BESIDE_SECONDS, in_a_thread, slow
from mlife.core.command import Executor
from mlife.core.control import let_be, skips_of
from mlife.core.errors import Conflict, MLifeError, Refused, Unavailable, in_a_line
from mlife.core.events import Event, Recorded
from mlife.core.feed import Feed
from mlife.core.folding import Unfoldable, fold, is_outage, paced
from mlife.core.handler import DeadLetter, Handler, HandlerBook, Ports, acting, handlers
from mlife.core.projection import Projection, Standing, projections
from mlife.core.rebuild import sweep
from mlife.core.timekeeping import TIMER_SECONDS, Timekeeper

log = logging.getLogger("mlife.runner")

LIVE_RUN = 2_000
"""Most events in one transaction while following; small enough that readers see news soon."""

FLOOD_SECONDS = 2.0
"""While facts keep coming, how long handlers that want the latest of each key wait; projections go first."""

TRIES = 3
BACKOFF = (0.05, 0.25)
"""Seconds before the second and the third try."""

ACT_SECONDS = 0.1
"""How long handlers act until projections have their turn again; one fact of each is always handled."""

HOLD_SECONDS = 0.5
"""How long a handler rests that met an outage; the others go on."""

ELSEWHERE_SECONDS = 0.01
"""How long handlers wait for projections that another process runs, until they look again."""

TIMERS = "timers"
"""What the looking at due moments is called among the names that a runner serves."""


def servable() -> list[str]:
    """Everything that runners run, by name: projections, handlers, and the timers together."""
    return [*projections, *handlers, TIMERS]


@dataclass
class _Gathered:
    """What a handler with `latest_per` has not handled yet: the latest facts of the events up to *reached*."""

    reached: int
    facts: Sequence[Recorded[Event]] = ()


@dataclass
class Runner:
    """
    Projects the log into the query tables and lets handlers act.

    Args:
        lock_wait: seconds between tries to become the runner while another process is.
        is_beside: it serves the slow handlers of another of this process.
    """

    ports: Ports
    executor: Executor
    book: HandlerBook
    lock_wait: float = 0.5
    is_beside: bool = False

    def __post_init__(self) -> None:
        self._moved = threading.Condition()
        self._settled = 0
        self._follows = False
        self._serves: frozenset[str] | None = None
        self._assigned: frozenset[str] | None = None
        self._beside: Runner | None = None
        self.feed = Feed(self.ports.store)
        self._in_vain: set[tuple[str, int]] = set()
        self._forget()

    def run(self, stop: threading.Event) -> None:
        """Follow the log until *stop* is set, whenever the runner lock can be had."""
        while not stop.is_set():
            try:
                with self.ports.locks.hold("runner") as held:
                    if held:
                        self._forget()
                        sweep(self.ports)
                        self._follows = True
                        with self._slow_ones():
                            self._follow(stop)
                        return
            except MLifeError as e:
                log.error("%s", e)  # noqa: TRY400 - it says what happened; the stack adds nothing
            except Exception:
                log.exception("the runner could not begin; it tries again")
            finally:
                self._follows = False
            stop.wait(self.lock_wait)

    def work(self, stop: threading.Event) -> None:
        """Follow the log until *stop* is set, with whatever `serve` says, beside the runners of other processes."""
        with self._moved:
            self._serves = frozenset()
            self._assigned = self._assigned or self._serves
        with self._slow_ones():
            self._follow(stop)

    @contextmanager
    def _slow_ones(self) -> Iterator[None]:
        """Slow handlers have a runner beside this one, for the block."""
        if self.is_beside or not slow():
            yield
            return
        beside = Runner(self.ports, self.executor, self.book, is_beside=True)
        with self._moved:
            beside.serve(slow() if self._assigned is None else slow() & self._assigned, timeout=0)
            self._beside, self.feed.beside = beside, beside.feed
        try:
            with in_a_thread(beside.work, self.ports):
                yield
        finally:
            self._beside = self.feed.beside = None

    def serve(self, names: Iterable[str], *, timeout: float = 10.0) -> bool:
        """
        Run *names* (see `servable`) from now on, and nothing else; from any thread.

        Returns:
            Whether the round that was going on has ended, so that another process may take over what is given up.
        """
        with self._moved:
            wanted = self._assigned = frozenset(names)
            beside = self._beside
            self.ports.store.wake()
            ended = self._moved.wait_for(lambda: self._serves == wanted or self._assigned != wanted, timeout)
        return ended if beside is None else beside.serve(wanted & slow(), timeout=timeout) and ended

    def _take_assignment(self) -> None:
        """Another process may have run meanwhile what is assigned now: read everything anew."""
        with self._moved:
            if self._serves != self._assigned:
                self._serves = self._assigned
                self._forget()
                self._moved.notify_all()

    def _mine(self, name: str) -> bool:
        return (self._serves is None or name in self._serves) and (self._beside is None or name not in slow())

    def _follow(self, stop: threading.Event) -> None:
        pause = BESIDE_SECONDS if self.is_beside else ELSEWHERE_SECONDS
        while not stop.is_set():
            try:
                head = self.ports.store.head()
                if not self.step():
                    self.ports.store.wait(head, TIMER_SECONDS if self._seen_by_all else pause)
            except MLifeError as e:
                self._forget()  # a database may come back as an older copy of itself
                self.feed.forget()
                if is_outage(e) and self._serves is None:
                    raise  # the lock may have gone with the database: it is taken again
                log.error("%s", e)  # noqa: TRY400 - the same
                stop.wait(0.5 if is_outage(e) else 1.0)
            except Exception:
                log.exception("the runner met a fault of MLife's own; it goes on")
                self._forget()
                stop.wait(1.0)

    def _forget(self) -> None:
        """Another process may have run meanwhile: read everything anew."""
        self._standings: dict[str, Standing] = {}
        self._skips: dict[str, set[int]] = {}
        self._positions: dict[str, int] | None = None
        self._parked: dict[str, set[str]] = {}
        self._let_be: dict[str, set[int]] = {}
        self._held: dict[str, float] = {}
        self._gathered: dict[str, _Gathered] = {}
        self._run = LIVE_RUN // 8
        self._moving, self._seen_by_all = False, True
        self._act_at = self._act_until = 0.0
        self._timekeeper = Timekeeper(self.ports)

    def step(self) -> bool:
        """One round: project, handle, look at the timers. True if there was anything to do."""
        self._take_assignment()
        if self._beside is not None:
            self._beside.executor = self.executor
        began = time.monotonic()
        busy = self.project(limit=self._run)
        self._run = min(LIVE_RUN, paced(self._run, time.monotonic() - began))
        busy = self._handle_all() or busy
        if not busy:
            self._tell_settled()
            self.feed.forget()
        return (self._mine(TIMERS) and self._timekeeper.run(self.executor)) or busy

    def slowest(self) -> int:
        """The position up to which all that it serves has dealt with everything."""
        moving = [s.position for s in self._standings.values() if s.state == "live"]
        mine = [at for name, at in (self._positions or {}).items() if self._mine(name)]
        return min([*moving, *mine], default=0)

    def settle(self, timeout: float = 30.0) -> int:
        """
        Wait until projections and handlers have dealt with everything in the log, whichever process runs them.

        Returns:
            The head that was reached.

        Raises:
            Unavailable: it did not happen in *timeout* seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            head = self.ports.store.head()
            if not self._follows:
                self._settled = self._slowest_elsewhere()
            with self._moved:
                beside = self._beside if self._follows else None
                settled = self._settled >= head and (beside is None or beside.slowest() >= head)
                if settled and self.ports.store.head() == head:  # a slow one may have added something meanwhile
                    return head
                left = deadline - time.monotonic()
                if left <= 0:
                    raise self._unsettled(head, timeout)
                self._moved.wait(min(0.05, left))

    def _slowest_elsewhere(self) -> int:
        """As `slowest`, where another process is the runner: as the tables and the book have it."""
        moving = [s.position for s in self.ports.views.standings() if s.state == "live" and _is_read_here(s)]
        places = self.book.positions()
        return min([*moving, *(places.get(name, 0) for name in handlers)], default=0)

    def _unsettled(self, head: int, timeout: float) -> Unavailable:
        behind = {s.name: s.error or s.state for s in list(self._standings.values()) if s.position < head}
        behind |= {name: f"at {at}" for name, at in list((self._positions or {}).items()) if at < head}
        said = "; ".join(f"{name} ({why})" for name, why in behind.items()) or "the runner is not running"
        return Unavailable(f"not everything has been dealt with up to {head} after {timeout:g} s: {said}")

    def _tell_settled(self) -> None:
        slowest = self.slowest()
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
        for projection in self._projections():
            standing = self._standing(projection)
            if standing.state != "live":
                continue
            events = self.feed.after(standing.position, limit)
            if events:
                self._apply(projection, standing, events)
                moved = True
        if moved:
            self.ports.views.notify()
        self._moving = moved
        return moved

    def _standing(self, projection: Projection) -> Standing:
        standing = self._standings.get(projection.name)
        if standing is None or standing.state == "stopped":  # a person may have cleared it, and skipped the event
            standing = self._standings[projection.name] = self.ports.views.prepare(projection)
            self._skips.pop(projection.name, None)
        return standing

    def _projections(self) -> list[Projection]:
        return [p for name, p in list(projections.items()) if self._mine(name)]

    def _apply(self, projection: Projection, standing: Standing, events: Sequence[Recorded[Event]]) -> None:
        name = projection.name
        if name not in self._skips:
            self._skips[name] = skips_of(self.ports.store, name)
        try:
            self._standings[name] = fold(self.ports.views, projection, standing, events, self._skips[name])
        except Conflict:
            self._standings.pop(name, None)  # flipped, rolled back or run by another: look again
        except Unfoldable as e:
            log.error("%s", e)  # noqa: TRY400 - the cause is in it
            self._standings.pop(name, None)
            try:
                self.ports.views.stop(e.standing, e.message)
            except Conflict:
                log.info("projection %s was flipped meanwhile", name)

    # --- handlers ---

    def _handle_all(self) -> bool:
        mine = [h for name, h in handlers.items() if self._mine(name)]
        if not mine:
            return False
        positions = self._handler_positions()
        self._act_until = time.monotonic() + ACT_SECONDS
        busy = self._retry_due()
        seen = self._seen_by_projections()
        if seen is None:
            return busy
        groups: dict[int, list[Handler]] = {}
        for h in mine:
            after = self._gathered[h.name].reached if h.name in self._gathered else positions[h.name]
            if after < seen and self._held.get(h.name, 0.0) <= time.monotonic():
                groups.setdefault(after, []).append(h)
        for after, group in sorted(groups.items()):
            events = [r for r in self.feed.after(after, LIVE_RUN) if r.position <= seen]
            for h in group if events else ():
                if h.latest_per is not None:
                    self._gather(h, after, events)
                    busy = True
                elif (reached := self._handle_run(h, events, positions)) > after:
                    busy = True
                    if reached > positions[h.name]:
                        self._move(h.name, reached, positions)
        return self._handle_gathered(positions) or busy

    def _seen_by_projections(self) -> int | None:
        """How far every projection that moves has folded the log; None: one was flipped or has stopped just now."""
        standings: Iterable[Standing] = self._standings.values()
        if self._serves is not None:  # some are run by other processes: as the tables have it
            standings = [s for s in self.ports.views.standings() if _is_read_here(s)]
        if {s.name for s in standings} != projections.keys():
            self._seen_by_all = False
            return None
        head = self.ports.store.head()
        seen = min((s.position for s in standings if s.state == "live"), default=head)
        self._seen_by_all = self._serves is None or seen >= head
        return seen

    def _gather(self, h: Handler, after: int, events: Sequence[Recorded[Event]]) -> None:
        """Keep the latest facts for *h*, across runs: what it looks at, it looks at once for all of them."""
        gathered = self._gathered.setdefault(h.name, _Gathered(after))
        gathered.facts = h.facts([*gathered.facts, *events])
        gathered.reached = events[-1].position

    def _handle_gathered(self, positions: dict[str, int]) -> bool:
        """Let handlers have what was gathered, unless more is coming in and they had some just now."""
        if not self._gathered or (self._moving and time.monotonic() < self._act_at):
            return False
        gathered, self._gathered = self._gathered, {}
        for name, mine in gathered.items():
            if self._held.get(name, 0.0) > time.monotonic():
                self._gathered[name] = mine
                continue
            reached = self._handle_run(handlers[name], mine.facts, positions) if mine.facts else mine.reached
            if not mine.facts or reached == mine.facts[-1].position:
                reached = mine.reached
            if reached > positions[name]:
                self._move(name, reached, positions)
        self._act_at = time.monotonic() + FLOOD_SECONDS
        return True

    def _handler_positions(self) -> dict[str, int]:
        if self._positions is None:
            known = self.book.positions()
            start = max(known.values(), default=0)  # a handler that is new to an old home does not fire over its past
            self._positions = {name: known.get(name, start) for name in handlers}
            self.book.move({name: start for name in handlers if name not in known})
        for name in handlers.keys() - self._positions.keys():
            self._positions[name] = max(self._positions.values(), default=0)
        return self._positions

    def _move(self, name: str, to: int, positions: dict[str, int]) -> None:
        self.book.move({name: to})
        positions[name] = to

    def _handle_run(self, h: Handler, events: Sequence[Recorded[Event]], positions: dict[str, int]) -> int:
        """Let *h* handle what it takes of *events* while there is time; the position up to which all is dealt with."""
        for fact in h.facts(events):
            try:
                self._handle(h, fact)
            except MLifeError as e:
                if not is_outage(e):
                    raise
                self._hold(h, e)
                return fact.position - 1
            self._move(h.name, fact.position, positions)  # a crash from here on is not this fact's fault
            if time.monotonic() > self._act_until:
                return fact.position  # projections must not wait for handlers; the rest comes in the next round
        return events[-1].position

    def _hold(self, h: Handler, outage: MLifeError) -> None:
        log.warning("handler %s waits: %s", h.name, outage)
        self._held[h.name] = time.monotonic() + HOLD_SECONDS

    def _handle(self, h: Handler, fact: Recorded[Event]) -> None:
        if h.name not in self._let_be:
            self._let_be[h.name] = let_be(self.ports.store, h.name)
        if fact.position in self._let_be[h.name]:
            return  # it is met again where the book was lost
        key = fact.draft.key
        if key in self._parked_keys(h.name):
            self._parked[h.name] = self.book.parked_keys(h.name)  # another process may have skipped the letter
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
        """
        Handle *fact*, several times if need be; None, or why it failed.

        Raises:
            Unavailable, HomeUnusable: an outage, which counts as no try.
        """
        error = "the process died while it was handled"
        while (attempt := self._begin_try(h, fact)) <= TRIES:
            try:
                h.run(fact, acting(self.executor, self.ports, h.name, fact))
            except Refused as e:
                return str(e)
            except Exception as e:  # a handler is anybody's code: it is retried, then parked with the reason
                if is_outage(e):
                    self._in_vain.add((h.name, fact.position))
                    raise
                error = in_a_line(e)
                if attempt < TRIES:
                    time.sleep(BACKOFF[min(attempt, len(BACKOFF)) - 1])
            else:
                return None
        return error

    def _begin_try(self, h: Handler, fact: Recorded[Event]) -> int:
        """Count a try; one before it that met an outage is taken back only now: the book may have been out too."""
        place = (h.name, fact.position)
        is_again = place in self._in_vain
        self._in_vain.add(place)
        attempt = self.book.attempt(*place, 0 if is_again else 1)
        self._in_vain.discard(place)
        return attempt

    def _parked_keys(self, name: str) -> set[str]:
        keys = self._parked.get(name)
        if keys is None:
            keys = self._parked[name] = self.book.parked_keys(name)
        return keys

    def _retry_due(self) -> bool:
        """Try parked keys again where a person asked for it: in order, until a letter of the key fails again."""
        tried = False
        for name, key in self.book.due():
            h = handlers.get(name) if self._mine(name) else None
            if h is None or self._held.get(name, 0.0) > time.monotonic():
                continue
            tried = True
            try:
                self._retry(h, key)
            except MLifeError as e:
                if not is_outage(e):
                    raise
                self._hold(h, e)
        if tried:
            self._parked.clear()
        return tried

    def _retry(self, h: Handler, key: str) -> None:
        for letter in self.book.letters(h.name, key):
            (fact,) = self.ports.store.read(letter.position - 1, 1)
            error = self._try(h, fact)
            if error is not None:
                log.error("handler %s parked %s at %d again: %s", h.name, key, letter.position, error)
                self.book.park(DeadLetter(h.name, key, letter.position, TRIES, error))
                return
            self.book.unpark(h.name, letter.position)


def _is_read_here(standing: Standing) -> bool:
    """Is it a generation that this program reads?"""
    mine = projections.get(standing.name)
    return mine is not None and mine.version == standing.version and standing.state in {"live", "stopped"}
