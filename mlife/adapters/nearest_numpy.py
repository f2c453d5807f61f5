"""Exact nearest neighbours by a blocked matrix product."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

ROWS, COLUMNS = 512, 4_096
"""Vectors of a block: what is in memory at a time is its product, 8 MB, and what of it is near."""
MOST_HELD = 2_000_000
"""Neighbours that are held until the best of each item are picked."""

Floats: TypeAlias = NDArray[np.float32]
Places: TypeAlias = NDArray[np.int32]
Pairs: TypeAlias = tuple[Places, Places, Floats]


def nearest(vectors: Floats, owners: Places, *, near: float, most: int) -> Pairs:
    """
    Of each unit vector the *most* nearest with a cosine of at least *near* and another owner, each pair once.

    Of equal cosines beyond the *most* those stay that were met first. Time is n² d / 2 multiplications; memory n d for
    the vectors, n *most* for what is found, and a block.
    """
    n = len(vectors)
    held = _Held(n, near, most)
    for row in range(0, n, ROWS):
        left = vectors[row : row + ROWS]
        for column in range(row - row % COLUMNS, n, COLUMNS):
            right = vectors[column : column + COLUMNS]
            _meet(left @ right.T, row, column, owners, held)
    return held.pairs()


def _meet(cosine: Floats, row: int, column: int, owners: Places, held: _Held) -> None:
    """Take from one block what is near enough for either side."""
    if cosine.max() < held.near:
        return
    rows, columns = cosine.shape
    # what is nearer than the farthest that is held, of whoever has enough
    wanted = (cosine >= held.near) & (
        (cosine > held.floor[row : row + rows, None]) | (cosine > held.floor[None, column : column + columns])
    )
    at, to = np.nonzero(wanted)
    left, right = (at + row).astype(np.int32), (to + column).astype(np.int32)
    other = (left < right) & (owners[left] != owners[right])
    held.take(left[other], right[other], np.minimum(cosine[at[other], to[other]], np.float32(1)))


class _Held:
    """The best neighbours so far, from both sides."""

    def __init__(self, n: int, near: float, most: int) -> None:
        # a little of rounding: the same direction twice must not fail to be 1
        self.near, self.most = np.float32(near - 1e-6), most
        self.floor: Floats = np.full(n, -2, dtype=np.float32)
        self._pieces: list[Pairs] = []
        self._size = 0

    def take(self, left: Places, right: Places, cosine: Floats) -> None:
        if not len(left):
            return
        self._pieces += [(left, right, cosine), (right, left, cosine)]
        self._size += 2 * len(left)
        if self._size > MOST_HELD:
            self._prune()

    def _prune(self) -> None:
        """Keep the best *most* of each item, and know from which cosine on another one would be among them."""
        item, other, cosine = self._together()
        order = np.lexsort((-cosine, item))
        item, other, cosine = item[order], other[order], cosine[order]
        first = np.flatnonzero(np.concatenate(([True], item[1:] != item[:-1])))
        counts = np.diff(np.concatenate((first, [len(item)])))
        rank = np.arange(len(item)) - np.repeat(first, counts)
        kept = rank < self.most
        last = rank == self.most - 1
        self.floor[item[last]] = cosine[last]
        self._pieces = [(item[kept], other[kept], cosine[kept])]
        self._size = int(kept.sum())

    def _together(self) -> Pairs:
        one, other, cosine = zip(*self._pieces, strict=True)
        return np.concatenate(one), np.concatenate(other), np.concatenate(cosine)

    def pairs(self) -> Pairs:
        """Each pair once, the lower place first."""
        if not self._pieces:
            nothing = np.empty(0, dtype=np.int32)
            return nothing, nothing, np.empty(0, dtype=np.float32)
        self._prune()
        item, other, cosine = self._together()
        low, high = np.minimum(item, other), np.maximum(item, other)
        _, once = np.unique(low.astype(np.int64) << 32 | high, return_index=True)
        return low[once], high[once], cosine[once]
