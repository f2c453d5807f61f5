"""The log's way from one home to another: append in order, read back, compare."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import orjson

from mlife.core.errors import Corrupt, Refused
from mlife.core.events import Event, Recorded
from mlife.core.folding import without_gc
from mlife.core.ports import Append, EventStore

RUN_BYTES = 8 << 20
RUN_EVENTS = (200, 5_000)
"""Events that are read at once: so many that their bytes come to about this, between these limits."""

Events = Sequence[Recorded[Event]]


class End(Protocol):
    """One end of the way."""

    @property
    def name(self) -> str: ...

    @property
    def store(self) -> EventStore: ...

    @property
    def names_files(self) -> Callable[[Recorded[Event]], Iterable[str]]: ...


class Chain:
    """
    SHA-256 over rows in order, each as a JSON array on a line of its own.

    The array: position, version, id, stream, single, type, key, time, source, correlation, causation, actor,
    traceparent, SHA-256 of the stored bytes, digest as stored; bytes as hexadecimal text. So it can be computed from
    either store by anybody.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._sha256 = hashlib.sha256()
        self.position = 0

    def add(self, events: Events) -> list[bytes]:
        """
        Go on by consecutive *events*; their lines.

        Raises:
            Corrupt: a gap, or bytes that their digest does not cover.
        """
        lines = []
        for r in events:
            d = r.draft
            self.position += 1
            found = hashlib.sha256(d.data).digest()
            if r.position != self.position or found != d.digest:
                raise self._damaged(r)
            lines.append(
                orjson.dumps(
                    (r.position, r.version, d.id.hex(), d.stream, d.single, d.type, d.key, d.time, d.source,
                     d.correlation_id, d.causation_id and d.causation_id.hex(), d.actor, d.traceparent,
                     found.hex(), d.digest.hex()),
                    option=orjson.OPT_APPEND_NEWLINE,
                )
            )  # fmt: skip
        self._sha256.update(b"".join(lines))
        return lines

    def _damaged(self, r: Recorded[Event]) -> Corrupt:
        problem = (
            f"it is followed by {r.position}"
            if r.position != self.position
            else f"the bytes of {r.draft.type} are not those that its digest covers"
        )
        at = self.position - (r.position != self.position)
        return Corrupt(f"{self._name} is damaged at position {at}: {problem}", remedy="restore it from a backup")

    @property
    def digest(self) -> str:
        """The digest so far, in hexadecimal."""
        return self._sha256.hexdigest()


class Trail:
    """
    How far both logs are known to be equal.

    Args:
        names: files that the events so far name.
    """

    def __init__(self, source: End, target: End) -> None:
        self._source, self._target = source, target
        self._mine, self._theirs = Chain(source.name), Chain(target.name)
        self._size = 1_000
        self.names: set[str] = set()
        self.seconds = 0.0
        """Spent on copying events."""

    @property
    def position(self) -> int:
        """Up to here they are equal."""
        return self._theirs.position

    def compare(self, to: int, tell: Callable[[str, int, int], None]) -> None:
        """
        Compare what both have, up to position *to*.

        Raises:
            Refused: an event differs, or the source has fewer.
        """
        head = self._source.store.head()
        if to > head:
            raise Refused(
                f"{self._target.name} has {to} events and {self._source.name} has {head}: it is no beginning of it",
                remedy="name a target that is empty, or one into which the same home was being moved",
            )
        while self.position < to:
            tell("comparing events", self.position, to)
            mine = self._read(to)
            theirs = self._target.store.read(self.position, len(mine))
            self._take(mine, theirs)
        tell("comparing events", to, to)

    def copy(self, to: int, tell: Callable[[str, int, int], None]) -> None:
        """
        Append what comes next to the target, up to position *to*, and read it back.

        Raises:
            Refused: somebody else writes to the target.
        """
        began = time.monotonic()
        while self.position < to:
            mine = self._read(to)
            pending = self._target.store.submit(Append([r.draft for r in mine], whole=False))
            appended = pending.result()
            if list(appended.positions) != [r.position for r in mine]:
                raise Refused(
                    f"{self._target.name} got an event of its own at {self.position + 1}: somebody writes to it",
                    remedy="end what runs there, make an empty store, and begin again; the source is as it was",
                )
            self._take(mine, self._target.store.read(self.position, len(mine)))
            tell("copying events", self.position, to)
        self.seconds += time.monotonic() - began

    def proved(self) -> str:
        """
        The digest that both sides have.

        Raises:
            Corrupt: they have two.
        """
        if self._mine.digest != self._theirs.digest:
            raise Corrupt(f"the digests of {self._source.name} and {self._target.name} differ", remedy="begin again")
        return self._theirs.digest

    def _read(self, to: int) -> Events:
        events = self._source.store.read(self.position, min(self._size, to - self.position))
        if not events:
            raise Corrupt(
                f"{self._source.name} ends at position {self.position}, and its head was {to} before",
                remedy="restore it from a backup",
            )
        average = sum(len(r.draft.data) for r in events) // len(events) + 200
        self._size = min(max(RUN_BYTES // average, RUN_EVENTS[0]), RUN_EVENTS[1])
        return events

    def _take(self, mine: Events, theirs: Events) -> None:
        with without_gc():
            left, right = self._mine.add(mine), self._theirs.add(theirs)
        for source in mine:
            self.names.update(self._source.names_files(source))
        if left == right:
            return
        at = next((n for n, (one, other) in enumerate(zip(left, right, strict=False)) if one != other), len(right))
        raise Refused(
            f"at position {mine[at].position} {self._source.name} has {mine[at]!r}, and {self._target.name} has "
            f"{theirs[at]!r}" if at < len(theirs) else f"{self._target.name} has lost position {mine[at].position}",
            remedy="name a target that is empty, or one into which the same home was being moved",
        )  # fmt: skip
