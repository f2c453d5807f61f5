"""How the log on SQLite decides, under its lock, what each caller of one commit gets."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from mlife.core.errors import Conflict
from mlife.core.events import Draft
from mlife.core.ports import Append, Appended

T = TypeVar("T")


class Judge:
    """Known ids and stream heads, looked up once for all of *appends*, then kept in step with what is placed."""

    def __init__(self, db: sqlite3.Connection, appends: Sequence[Append]) -> None:
        self._db = db
        self._next = head(db) + 1
        self._places, self._taken = look_up(db, [d[0] for a in appends for d in a.drafts])
        self._heads: dict[str, int] = {}
        self.rows: list[tuple[Any, ...]] = []
        self.hashes: list[tuple[int, int]] = []
        self.shared: list[tuple[bytes, int]] = []

    def judge(self, append: Append) -> Appended | Conflict:
        """The answer for *append*; what survives is added to `rows`."""
        places = self._places
        if append.whole and append.drafts[0].id in places:
            return Appended([places.get(d.id, 0) for d in append.drafts], [True] * len(append.drafts))
        for stream, expected in append.expected.items():
            actual = self._head(stream)
            if actual != expected:
                return Conflict(stream, expected, actual)
        positions: list[int] = []
        known: list[bool] = []
        for draft in append.drafts:
            place = places.get(draft[0])
            known.append(place is not None)
            positions.append(self._place(draft) if place is None else place)
        return Appended(positions, known)

    def _place(self, draft: Draft) -> int:
        event_id, stream, single = draft[0], draft[1], draft[2]
        position = self._next
        self._next += 1
        version = 1
        if not single:
            version = self._heads[stream] = self._head(stream) + 1
        self.rows.append((position, version, *draft))
        self._places[event_id] = position
        short = _short(event_id)
        if short in self._taken:
            self.shared.append((event_id, position))
        else:
            self._taken.add(short)
            self.hashes.append((short, position))
        return position

    def _head(self, stream: str) -> int:
        head = self._heads.get(stream)
        if head is None:
            found = self._db.execute("SELECT max(version) FROM events WHERE single = 0 AND stream = ?", (stream,))
            self._heads[stream] = head = int(found.fetchone()[0] or 0)
        return head


def _short(event_id: bytes) -> int:
    """The first 64 bits of an id, signed as SQLite wants them."""
    return int.from_bytes(event_id[:8], "big", signed=True)


def look_up(db: sqlite3.Connection, event_ids: Sequence[bytes]) -> tuple[dict[bytes, int], set[int]]:
    """Which of *event_ids* are known, and where; and the 64-bit hashes among theirs that another id has taken."""
    shorts = [_short(i) for i in event_ids]
    hits: dict[int, int] = {}
    for some in slices(shorts):
        marks = ", ".join("?" * len(some))
        hits.update(
            db.execute(
                f"SELECT hash, position FROM ids_young WHERE hash IN ({marks}) "
                f"UNION ALL SELECT hash, position FROM ids_old WHERE hash IN ({marks})",
                (*some, *some),
            )
        )
    if not hits:
        return {}, set()
    places: dict[bytes, int] = {}
    for some in slices(list(hits.values())):
        marks = ", ".join("?" * len(some))
        places.update(db.execute(f"SELECT id, position FROM events WHERE position IN ({marks})", some))
    wanted = set(event_ids)
    places = {i: p for i, p in places.items() if i in wanted}
    strangers = [i for i, short in zip(event_ids, shorts, strict=True) if short in hits and i not in places]
    for some_ids in slices(strangers):
        marks = ", ".join("?" * len(some_ids))
        places.update(db.execute(f"SELECT id, position FROM ids_shared WHERE id IN ({marks})", some_ids))
    return places, set(hits)


def slices(items: Sequence[T], size: int = 1_000) -> Iterator[list[T]]:
    """*items* in lists of *size*; the last is padded with its own last item, so that few statements are prepared."""
    for start in range(0, len(items), size):
        some = list(items[start : start + size])
        padded = 1 << (len(some) - 1).bit_length()
        yield some + some[-1:] * (min(padded, size) - len(some))


def head(db: sqlite3.Connection) -> int:
    """The last position; 0 for an empty log."""
    return int(db.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()[0])
