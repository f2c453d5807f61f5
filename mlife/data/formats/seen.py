"""
Which keys were seen before, and where: a hash table of 24 bytes a place, since a set of a million keys takes 100 MB.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b


class Seen:
    """
    Remembers for each key the number (from 1) that it was first seen with.

    Keys are told apart by 128 bits of BLAKE2b: nobody can make two that are taken for one.
    """

    def __init__(self) -> None:
        self._count = 0
        self._reserve(1 << 10)

    def first(self, key: str, number: int) -> int | None:
        """The number *key* was first seen with; None, and *number* is kept, if it is new."""
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        high, low = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")
        at = self._place(high, low)
        if self._numbers[at]:
            return self._numbers[at]
        self._highs[at], self._lows[at], self._numbers[at] = high, low, max(number, 1)
        self._count += 1
        if self._count * 3 > len(self._numbers) * 2:
            self._grow()
        return None

    def _place(self, high: int, low: int) -> int:
        mask = len(self._numbers) - 1
        at = low & mask
        while self._numbers[at] and not (self._lows[at] == low and self._highs[at] == high):
            at = (at + 1) & mask
        return at

    def _reserve(self, places: int) -> None:
        self._highs, self._lows, self._numbers = (array("Q", bytes(8 * places)) for _ in range(3))

    def _grow(self) -> None:
        kept = zip(self._highs, self._lows, self._numbers, strict=True)
        self._reserve(len(self._numbers) * 2)
        for high, low, number in kept:
            if number:
                at = self._place(high, low)
                self._highs[at], self._lows[at], self._numbers[at] = high, low, number
