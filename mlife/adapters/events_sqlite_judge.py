"""What the log on SQLite must know to judge callers: which ids it has, where, and how long streams are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from mlife.adapters.events_judge import Judge
from mlife.core.ports import Append

T = TypeVar("T")


class SqliteJudge(Judge):
    """A `Judge` of *appends* that has looked up their ids at once, and looks up streams when it is asked for them."""

    def __init__(self, db: sqlite3.Connection, appends: Sequence[Append]) -> None:
        places, self._taken = look_up(db, [d[0] for a in appends for d in a.drafts])
        super().__init__(head(db), places, lambda stream: _version(db, stream))

    def new_ids(self) -> tuple[list[tuple[int, int]], list[tuple[bytes, int]]]:
        """
        The rows of the two tables of ids that belong to `rows`.

        First 64 bits and position, sorted; and whole id and position, where the 64 bits are another id's.
        """
        hashes: list[tuple[int, int]] = []
        shared: list[tuple[bytes, int]] = []
        for row in self.rows:
            short = _short(row[2])
            if short in self._taken:
                shared.append((row[2], row[0]))
            else:
                self._taken.add(short)
                hashes.append((short, row[0]))
        hashes.sort()
        return hashes, shared


def _version(db: sqlite3.Connection, stream: str) -> int:
    found: Any = db.execute("SELECT max(version) FROM events WHERE single = 0 AND stream = ?", (stream,)).fetchone()
    return int(found[0] or 0)


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
