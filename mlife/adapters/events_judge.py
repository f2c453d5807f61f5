"""How a log decides, under its lock, what each caller of one commit gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlife.core.errors import Conflict
from mlife.core.events import Draft
from mlife.core.ports import Append, Appended


class Judge:
    """
    Judges callers one after the other, in the order in which they came.

    Args:
        head: the last position.
        places: id → position, of those ids of the drafts that the log knows; kept in step with what is placed.
        version_of: the last version of a stream, 0 for a new one.
    """

    def __init__(self, head: int, places: dict[bytes, int], version_of: Callable[[str], int]) -> None:
        self._next = head + 1
        self._places = places
        self._version_of = version_of
        self._versions: dict[str, int] = {}
        self.rows: list[tuple[Any, ...]] = []
        """What is to be written: position, version, then the fields of the draft."""

    def judge(self, append: Append) -> Appended | Conflict:
        """The answer for *append*; what survives is added to `rows`."""
        places = self._places
        if append.whole and append.drafts[0].id in places:
            return Appended([places.get(d.id, 0) for d in append.drafts], [True] * len(append.drafts))
        for stream, expected in append.expected.items():
            actual = self._version(stream)
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
        position = self._next
        self._next += 1
        version = 1
        if not draft[2]:
            stream = draft[1]
            version = self._versions[stream] = self._version(stream) + 1
        self.rows.append((position, version, *draft))
        self._places[draft[0]] = position
        return position

    def _version(self, stream: str) -> int:
        version = self._versions.get(stream)
        if version is None:
            version = self._versions[stream] = self._version_of(stream)
        return version
