"""
Looks at pictures and descriptions beside requests and intake: vectors of what is new, then what is near to what.

One process at a time does it. What it finds is on the shelf, so that pages read and never compute; what is lost there,
or was not finished, is what is missing, and is made in the next pass.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

import orjson

from mlife.badcases.functions import function_id
from mlife.badcases.suggesting import Finder, Suggestion, alike, same_files, strongest, turned
from mlife.badcases.views import suggesting
from mlife.badcases.views.suggesting import Standing
from mlife.core.errors import MLifeError
from mlife.core.media.embedding import Embedder, Likeness, Unembedded, embedders
from mlife.core.ports import Blobs, Locks, Shelf
from mlife.core.projection import Views

log = logging.getLogger("mlife.looking")

LOOK_SECONDS = 5.0
"""Between looks whether there is something new."""
REST_SECONDS, REST_TIMES = 20.0, 20
"""A function is left alone after a pass, so long at least, and so many times as long as the pass took."""
BATCH = 16
TOLD_SECONDS = 1.0
MOST_FAILED = 32
"""Items that an embedder may fail at in a pass; the rest waits for the next."""
HOPELESS = 8
"""Failures without a single vector after which an embedder is not asked any more."""
LONGEST_TEXT = 4_000
NEIGHBOURS = 32
SLICE = 2_000
LOOKED, FOUND, UNREADABLE, FAILED = "looked", "suggestions", "unreadable", "!"
"""Kinds of things on the shelf; the last ends the kind of an embedder's vectors."""


@dataclass(slots=True)
class Seen:
    """
    How far one embedder is with a function.

    Args:
        items: pictures, or descriptions. seen: of which there is a vector.
        absent: whose bytes are not here. unreadable: no pictures, or damaged. failed: at which the embedder failed.
        problem: why it found nothing, or stopped. reasons: of failures, some.
    """

    name: str
    label: str = ""
    reads: str = ""
    items: int = 0
    seen: int = 0
    absent: int = 0
    unreadable: int = 0
    failed: int = 0
    problem: str | None = None
    reasons: list[str] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Is there nothing that the next pass could add, as things are?"""
        return self.problem is not None or self.seen + self.absent + self.unreadable + self.failed >= self.items


@dataclass(slots=True)
class Look:
    """How far a function is. `badcases`: that are compared. `seconds`: that the last whole pass took; None: not yet."""

    badcases: int = 0
    embedders: list[Seen] = field(default_factory=list)
    seconds: float | None = None
    suggestions: int = 0


Tell = Callable[[Look], None]


class Looker:
    """
    Computes what suggestions are read from; `run` is a thread's.

    Args:
        images: makes thumbnails of strangers' pictures, in its own process.
    """

    def __init__(self, views: Views, blobs: Blobs, locks: Locks, shelf: Shelf, likeness: Likeness, images: Any) -> None:
        self._views, self._blobs, self._locks, self._shelf = views, blobs, locks, shelf
        self._likeness, self._images = likeness, images
        self._positions: dict[str, int] = {}
        self._rest: dict[str, float] = {}

    def run(self, stop: threading.Event) -> None:
        """Look on until *stop* is set."""
        while not stop.wait(LOOK_SECONDS):
            try:
                self.look_at_all(stop)
            except MLifeError as e:
                log.warning("pictures can't be looked at: %s", e)
            except Exception:
                log.exception("looking at pictures met a fault of MLife's own; it goes on")

    def hurry(self) -> None:
        """From any thread: give up what is being compared. What was found is kept, the rest is made another time."""
        self._likeness.interrupt()

    def look_at_all(self, stop: threading.Event) -> None:
        """One pass over every function in which something may be new, unless another process is at it."""
        with self._locks.hold("looking") as held:
            if not held:
                return
            try:
                self._forget_old_versions()
                with self._views.read() as read:
                    position, functions = read.position, suggesting.functions(read)
                for system, function in functions:
                    if not stop.is_set() and self._is_due(function_id(system, function), position):
                        self.look(system, function, stop)
            finally:
                self._likeness.rest()

    def _is_due(self, key: str, position: int) -> bool:
        asked = not self._shelf.has(LOOKED, [key])  # never, or somebody wants it anew
        return asked or (self._positions.get(key) != position and self._rest.get(key, 0.0) <= time.monotonic())

    def look(self, system: str, function: str, stop: threading.Event, tell: Tell | None = None) -> Look:
        """
        One pass over a function; the caller holds the lock `looking`.

        Args:
            stop: when it is set, what was found so far is kept, and the rest is left. tell: hears how far it is.
        """
        began, key = time.monotonic(), function_id(system, function)
        with self._views.read() as read:
            position = read.position
            ids, chosen = suggesting.compared(read, system, function), suggesting.chosen(read, system, function)
        standing = self._standing(ids)
        finder = _Pass(self, key, standing, stop, tell)
        done = finder.run({n: e for n, e in embedders().items() if chosen is None or n in chosen})
        taken = time.monotonic() - began
        finder.look.seconds = taken if done else None
        finder.keep()
        if done:
            self._positions[key] = position
        self._rest[key] = time.monotonic() + max(REST_SECONDS, REST_TIMES * taken)
        return finder.look

    def _standing(self, ids: Sequence[str]) -> dict[str, Standing]:
        found: dict[str, Standing] = {}
        for some in suggesting.slices(ids):
            with self._views.read() as read:
                found |= suggesting.standing_for(read, some)
        return found

    def _forget_old_versions(self) -> None:
        there = {n: e.kind(n) for n, e in embedders().items() if isinstance(e, Embedder)}
        for kind in self._shelf.kinds():
            name, at, _ = kind.partition("@")
            if at and name in there and kind not in {there[name], there[name] + FAILED}:
                self._shelf.drop(kind)


class _Pass:
    """One pass over one function."""

    def __init__(
        self, looker: Looker, key: str, standing: Mapping[str, Standing], stop: threading.Event, tell: Tell | None
    ) -> None:
        self._blobs, self._images = looker._blobs, looker._images  # noqa: SLF001 - a part of it
        self._shelf, self._likeness = looker._shelf, looker._likeness  # noqa: SLF001
        self._key, self._standing, self._stop, self._tell = key, standing, stop, tell
        self.look = Look(len(standing))
        self._absent: set[str] = set()
        self._is_whole = True
        self._told_at = 0.0

    def run(self, chosen: Mapping[str, Embedder | str]) -> bool:
        """Embed what is missing, then compare. False: it was stopped before."""
        self.look.embedders = [_seen_of(name, e) for name, e in chosen.items()]
        for seen in self.look.embedders:
            embedder = chosen[seen.name]
            if isinstance(embedder, Embedder):
                try:
                    self._embed(seen, embedder)
                except MLifeError as e:
                    self._blame(seen, e)
        if self._stop.is_set():
            return False
        digest = self._digest(chosen)
        kept = self._shelf.get(FOUND, [self._key]).get(self._key)
        before = orjson.loads(kept) if kept else {}
        if before.get("digest") == digest:
            self.look.suggestions = len(before["suggestions"])
            return True
        found = self._compare(chosen)
        if self._stop.is_set():
            return False
        self.look.suggestions = len(found)
        # without a digest it is compared anew next time
        said = {"digest": digest if self._is_whole else "", "suggestions": [asdict(s) for s in found]}
        body = orjson.dumps(said)
        self._shelf.put(FOUND, {self._key: body})
        return True

    def _blame(self, seen: Seen, fault: MLifeError) -> None:
        """Unless it was interrupted because somebody wants us to stop."""
        if not self._stop.is_set():
            seen.problem = fault.message

    # --- vectors ---

    def _items(self, embedder: Embedder) -> dict[str, str]:
        """SHA-256 → text, or nothing for a picture, of what an embedder is to look at."""
        if embedder.reads == "picture":
            return {s: "" for one in self._standing.values() for s in one.files}
        return {_text_key(t): t for one in self._standing.values() for t in one.texts}

    def _embed(self, seen: Seen, embedder: Embedder) -> None:
        items, kind = self._items(embedder), embedder.kind(seen.name)
        keys = sorted(items)
        seen.items = len(keys)
        there = self._shelf.has(kind, keys)
        failed = self._shelf.get(kind + FAILED, keys)
        unreadable = self._shelf.has(UNREADABLE, keys) if embedder.reads == "picture" else set()
        seen.seen, seen.failed, seen.unreadable = len(there), len(failed), len(unreadable)
        _say(seen, [reason.decode() for reason in failed.values()])
        missing = [key for key in keys if key not in there and key not in failed and key not in unreadable]
        already = seen.failed
        for some in _chunks(missing, BATCH):
            if _is_hopeless(seen):
                seen.problem = f"failed {seen.failed} times and gave nothing: {'; '.join(seen.reasons)}"
                return
            if self._stop.is_set() or seen.failed - already >= MOST_FAILED:
                return
            self._embed_some(seen, embedder, {key: items[key] for key in some})
            self._tell_now_and_then()
        if _is_hopeless(seen):
            seen.problem = f"failed {seen.failed} times and gave nothing: {'; '.join(seen.reasons)}"

    def _embed_some(self, seen: Seen, embedder: Embedder, items: Mapping[str, str]) -> None:
        kind = embedder.kind(seen.name)
        ready: dict[str, bytes] = {}
        for key, text in items.items():
            body = text[:LONGEST_TEXT].encode() if embedder.reads == "text" else self._small(seen, key, embedder.side)
            if body is not None:
                ready[key] = body
        made = dict(zip(ready, self._likeness.embed(seen.name, list(ready.values())), strict=False))
        good = {key: v for key, v in made.items() if isinstance(v, bytes)}
        bad = {key: v.reason for key, v in made.items() if isinstance(v, Unembedded)}
        self._shelf.put(kind, good)
        self._shelf.put(kind + FAILED, {key: reason.encode() for key, reason in bad.items()})
        seen.seen += len(good)
        seen.failed += len(bad)
        _say(seen, list(bad.values()))

    def _small(self, seen: Seen, key: str, side: int) -> bytes | None:
        """A picture coded anew by us; None: its bytes are not here, or it is none."""
        if key in self._absent or not self._blobs.has(key):
            self._absent.add(key)  # the next embedder need not ask a store that is elsewhere
            seen.absent += 1
            return None
        path = self._blobs.path(key)
        if path is None:
            with self._blobs.open(key) as content:
                small = self._images.thumbnail(content.read(), (side, side))
        else:
            small = self._images.thumbnail(path, (side, side))
        body: bytes | None = getattr(small, "body", None)
        if body is None:
            seen.unreadable += 1
            self._shelf.put(UNREADABLE, {key: str(small.problem).encode()})
        return body

    # --- what is near to what ---

    def _compare(self, chosen: Mapping[str, Embedder | str]) -> list[Suggestion]:
        found = list(same_files({b: one.files for b, one in self._standing.items()}))
        for seen in self.look.embedders:
            embedder = chosen[seen.name]
            if isinstance(embedder, Embedder) and seen.seen:
                try:
                    found += self._alike(seen, embedder)
                except MLifeError as e:
                    self._blame(seen, e)
                    self._is_whole = False
        return strongest(found)

    def _alike(self, seen: Seen, embedder: Embedder) -> list[Suggestion]:
        pictures = embedder.reads == "picture"
        of = turned(
            {b: one.files if pictures else [_text_key(t) for t in one.texts] for b, one in self._standing.items()}
        )
        keys, owners, rows = [], [], []
        numbers: dict[tuple[str, ...], int] = {}
        for some in _chunks(sorted(of), SLICE):
            for key, vector in sorted(self._shelf.get(embedder.kind(seen.name), some).items()):
                if len(vector) == 4 * embedder.dimension:  # one that is blank says nothing
                    keys.append(key)
                    rows.append(vector)
                    owners.append(numbers.setdefault(tuple(of[key]), len(numbers)))
        near = self._likeness.nearest(b"".join(rows), embedder.dimension, owners, near=embedder.near, most=NEIGHBOURS)
        finder = Finder(seen.name, embedder.label, embedder.reads, embedder.near)
        pairs = ((keys[i], keys[j], cosine) for i, j, cosine in near)
        same = [] if pictures else [(key, key, 1.0) for key in keys if len(of[key]) > 1]
        return list(alike(finder, of, [*same, *pairs]))

    def _digest(self, chosen: Mapping[str, Embedder | str]) -> str:
        """What suggestions are a function of."""
        made = [(n, e.kind(n), e.near) if isinstance(e, Embedder) else (n, e) for n, e in sorted(chosen.items())]
        seen = [(s.name, s.seen) for s in self.look.embedders]
        standing = {b: [*one.files, *map(_text_key, one.texts)] for b, one in self._standing.items()}
        return sha256(orjson.dumps([made, seen, standing], option=orjson.OPT_SORT_KEYS)).hexdigest()

    # --- how far it is ---

    def _tell_now_and_then(self) -> None:
        if time.monotonic() - self._told_at >= TOLD_SECONDS:
            self._told_at = time.monotonic()
            self.keep()

    def keep(self) -> None:
        """Let pages see how far it is."""
        self._shelf.put(LOOKED, {self._key: orjson.dumps(asdict(self.look))})
        if self._tell is not None:
            self._tell(self.look)


def _seen_of(name: str, embedder: Embedder | str) -> Seen:
    if isinstance(embedder, str):
        return Seen(name, problem=embedder)
    return Seen(name, embedder.label, embedder.reads)


def _is_hopeless(seen: Seen) -> bool:
    return seen.failed >= HOPELESS and not seen.seen


def _say(seen: Seen, reasons: Sequence[str]) -> None:
    """Some of the reasons, each once."""
    seen.reasons = list(dict.fromkeys([*seen.reasons, *reasons]))[:3]


def _text_key(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _chunks(keys: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (keys[at : at + size] for at in range(0, len(keys), size))
