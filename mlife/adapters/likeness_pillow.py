"""
How alike two pictures look, by a hash of 64 bits of each: whether it gets lighter or darker from left to right, in
8 rows of 9 grey squares. A picture that is scaled, recompressed or a little lighter keeps most of its bits.
"""

from __future__ import annotations

from io import BytesIO


def likeness(picture: bytes) -> int:
    """
    The hash of a *picture* that was encoded by us: a thumbnail, never a stranger's file.

    Transparent pixels count as white.
    """
    import numpy as np
    from PIL import Image

    with Image.open(BytesIO(picture)) as opened:
        seen = opened.convert("RGBA")
        paper = Image.new("RGBA", seen.size, "white")
        grey = Image.alpha_composite(paper, seen).convert("L").resize((9, 8), Image.Resampling.BOX)
    squares = np.asarray(grey, dtype=np.int16)
    lighter = squares[:, 1:] > squares[:, :-1]
    return int.from_bytes(np.packbits(lighter).tobytes(), "big")


def alike(hashes: list[int], most: int) -> list[tuple[int, int, int]]:
    """(place, place, differing bits) of each pair of *hashes* that differ in at most *most* bits; exact, all pairs."""
    import numpy as np

    column = np.array(hashes, dtype=np.uint64)
    found: list[tuple[int, int, int]] = []
    for at in range(len(column) - 1):
        bits = np.bitwise_count(column[at + 1 :] ^ column[at])
        found += [(at, at + 1 + int(n), int(bits[n])) for n in np.flatnonzero(bits <= most)]
    return found
