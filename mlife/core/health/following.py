"""How far behind the log everything is that follows it, and since when: projections, handlers, the relay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from mlife.core.events import to_micros
from mlife.core.handler import DeadLetter, HandlerBook, handlers
from mlife.core.health import Finding
from mlife.core.ports import EventStore
from mlife.core.projection import Standing, Views, projections

LATE_EVENTS = 1_000
LATE_SECONDS = 60.0
"""Whoever is more events behind than the one, and has kept an event waiting for longer than the other, is late."""

Kind = Literal["projection", "handler", "relay"]


@dataclass(frozen=True, slots=True)
class Follower:
    """
    Something that follows the log.

    Args:
        position: the last event that it has dealt with. head: the last event that there is.
        state: `live`, `stopped` (it met an event that it can't take), or `missing` (it was never here).
        error: of a stopped one: why.
        seconds: how long the first event that it has not dealt with has been waiting; 0 if there is none.
    """

    kind: Kind
    name: str
    position: int
    head: int
    state: str = "live"
    error: str = ""
    seconds: float = 0.0

    @property
    def behind(self) -> int:
        """Events that it has not dealt with."""
        return max(0, self.head - self.position)

    @property
    def is_late(self) -> bool:
        """Is it so far behind, for so long, that somebody should look?"""
        return self.behind > LATE_EVENTS and self.seconds > LATE_SECONDS

    @property
    def finding(self) -> Finding:
        """How it is, in words."""
        what = f"{self.kind} {self.name}" if self.name else self.kind
        behind = f"{self.behind} event{'s' * (self.behind != 1)} behind"
        behind += f", the first for {lasting(self.seconds)}" if self.behind else ""
        if self.state == "stopped":
            skip = f"mend it, or `mlife projection skip {self.name} {self.position + 1} --reason …`"
            return Finding(what, "wrong", self.error or "it has stopped", skip)
        if self.state == "missing":
            return Finding(what, "note", "it has not begun yet", BEGINS[self.kind])
        if self.is_late:
            return Finding(what, "wrong", behind, FOLLOWS[self.kind])
        if self.behind > LATE_EVENTS:
            return Finding(what, "note", behind, FOLLOWS[self.kind])
        return Finding(what, "ok", f"at {self.position}" + (f", {behind}" if self.behind else ""))


FOLLOWS: Mapping[Kind, str] = {
    "projection": "see that `mlife up` or `mlife worker projections` runs; if it does, it catches up",
    "handler": "see that `mlife up` or `mlife worker handlers` runs; handlers also wait for projections",
    "relay": "see that `mlife relay` runs and reaches Kafka; what is not published yet is safe in the log",
}
BEGINS: Mapping[Kind, str] = {
    "projection": "`mlife up`, `mlife worker projections`, or any command that writes, fills it",
    "handler": "`mlife up` or `mlife worker handlers` lets it begin",
    "relay": "`mlife relay` lets it begin",
}


def lasting(seconds: float) -> str:
    """*seconds* in the unit that people would say: `40 s`, `12 min`, `5 h`, `3 days`."""
    for unit, size, most in (("s", 1, 120), ("min", 60, 7_200), ("h", 3_600, 172_800)):
        if seconds < most:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def followers(
    store: EventStore, views: Views, book: HandlerBook, *, now: datetime, relay: int | None = None
) -> list[Follower]:
    """
    Everything that follows the log, where it is now.

    Args:
        relay: position up to which events are published; None where nothing is to be published.
    """
    places = book.positions()
    standings = {s.name: s for s in views.standings() if _is_read_here(s)}
    head = store.head()  # asked last: nobody can be beyond it
    found = [*_projections(standings, head), *_handlers(places, head)]
    if relay is not None:
        found.append(Follower("relay", "", relay, head))
    return _with_age(found, store, to_micros(now))


def _projections(standings: Mapping[str, Standing], head: int) -> Iterator[Follower]:
    for name in sorted(projections):
        s = standings.get(name)
        if s is None:
            yield Follower("projection", name, 0, head, "missing")
        else:
            yield Follower("projection", name, s.position, head, s.state, s.error)


def _handlers(places: Mapping[str, int], head: int) -> Iterator[Follower]:
    for name in sorted(handlers):
        yield Follower("handler", name, places.get(name, 0), head, "live" if name in places else "missing")


def _is_read_here(s: Standing) -> bool:
    mine = projections.get(s.name)
    return mine is not None and mine.version == s.version and s.state in {"live", "stopped"}


def _with_age(found: Iterable[Follower], store: EventStore, now: int) -> list[Follower]:
    """Each with the age of the first event that it has not seen; many wait for the same one."""
    ages: dict[int, float] = {}
    made = []
    for f in found:
        if f.behind and f.position not in ages:
            waiting = store.read(f.position, 1)
            ages[f.position] = max(0.0, (now - waiting[0].draft.time) / 1e6) if waiting else 0.0
        made.append(replace(f, seconds=ages[f.position]) if f.behind else f)
    return made


def parked(letters: Sequence[DeadLetter]) -> dict[str, int]:
    """How many facts each handler has parked."""
    return dict(Counter(letter.handler for letter in letters))


def parked_finding(letters: Sequence[DeadLetter]) -> Finding:
    """Dead letters in words."""
    if not letters:
        return Finding("dead letters", "ok", "nothing is parked")
    keys = sorted({f"{d.handler} {d.key}" for d in letters})
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return Finding(
        "dead letters",
        "wrong",
        f"{len(letters)} parked ({', '.join(keys[:3])}{more})",
        "`mlife deadletter list`, then retry or skip",
    )
