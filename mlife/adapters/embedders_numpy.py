"""The built-in embedders: outlines and shapes of pictures, words of texts. They learn nothing and need numpy alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from io import BytesIO
from math import sqrt
from typing import TYPE_CHECKING

from mlife.core.media.embedding import Embed, Embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BITS = 64
ALIKE_BITS = 4
"""Of 64, in which the outlines of two pictures may differ: those of unrelated ones differ in about 32."""
FLAT = 8
"""Levels of grey, of 256, that a picture must span; one that does not says nothing."""
CELLS, TURNS = 4, 8
"""Cells of a picture along a side, and directions that edges are sorted by."""
PIXELS = 32
SLOTS = 256
"""Numbers that words are hashed to."""
FEWEST_LETTERS = 8
"""A text with fewer says nothing."""
_WORD = re.compile(r"\w+")


def _grey(picture: bytes, size: tuple[int, int]) -> NDArray[np.float32]:
    """Levels of grey, 0 to 255, in *size* (width, height). Transparent pixels count as white."""
    import numpy as np
    from PIL import Image

    with Image.open(BytesIO(picture)) as opened:
        seen = opened.convert("RGBA")
        paper = Image.new("RGBA", seen.size, "white")
        grey = Image.alpha_composite(paper, seen).convert("L").resize(size, Image.Resampling.BOX)
    return np.asarray(grey, dtype=np.float32)


def _open_outline() -> Embed:
    """
    Whether it gets lighter or darker from left to right, in 8 rows of 9 grey squares: 64 bits, as 1 and -1.

    A picture that is scaled, coded anew or a little lighter keeps most. The cosine is 1 - bits that differ / 32.
    """
    import numpy as np

    def embed(pictures: Sequence[bytes]) -> list[list[float]]:
        found = []
        for picture in pictures:
            squares = _grey(picture, (9, 8))
            lighter = np.where(squares[:, 1:] > squares[:, :-1], 1.0, -1.0)
            found.append((lighter.ravel() if np.ptp(squares) >= FLAT else np.zeros(BITS)).tolist())
        return found

    return embed


def _open_shape() -> Embed:
    """
    In which directions edges run, in each of 4 × 4 cells: a histogram of oriented gradients, about its own mean.

    Light and contrast change nothing of it; a shift of a cell does.
    """
    import numpy as np

    def embed(pictures: Sequence[bytes]) -> list[list[float]]:
        return [_shape(_grey(picture, (PIXELS, PIXELS))).ravel().tolist() for picture in pictures]

    def _shape(grey: NDArray[np.float32]) -> NDArray[np.float32]:
        if np.ptp(grey) < FLAT:
            return np.zeros((CELLS, CELLS, TURNS), dtype=np.float32)
        down, across = np.gradient(grey)
        strength = np.hypot(down, across)
        turn = (np.arctan2(down, across) % np.pi) / np.pi * TURNS
        low = np.floor(turn).astype(np.int64)
        share = turn - low
        cell = np.arange(PIXELS) * CELLS // PIXELS
        where = (cell[:, None] * CELLS + cell[None, :]) * TURNS
        found = np.zeros(CELLS * CELLS * TURNS)
        np.add.at(found, where + low % TURNS, strength * (1 - share))
        np.add.at(found, where + (low + 1) % TURNS, strength * share)
        cells = np.sqrt(found.reshape(CELLS, CELLS, TURNS))  # one strong edge must not hide the others
        made: NDArray[np.float32] = (cells - cells.mean()).astype(np.float32)
        return made

    return embed


def _open_words() -> Embed:
    """
    Words and their groups of three letters (two, beyond ASCII), hashed; long words weigh more than short ones.

    So *masks* is near *mask*, the order says nothing, and texts without blanks between words can be compared.
    """
    import numpy as np

    def embed(texts: Sequence[str]) -> list[list[float]]:
        return [_vector(text.casefold()).tolist() for text in texts]

    def _vector(text: str) -> NDArray[np.float64]:
        found = np.zeros(SLOTS)
        words = _WORD.findall(text)
        if sum(map(len, words)) < FEWEST_LETTERS:
            return found
        for word in words:
            weight = min(len(word), 8) / 8
            if word.isascii():  # others may write without blanks, and a run of theirs is never the same twice
                _add(found, f"w {word}", weight)
            inside, size = f" {word} ", 3 if word.isascii() else 2
            groups = [inside[n : n + size] for n in range(len(inside) - size + 1)]
            for group in groups:
                _add(found, group, weight / sqrt(len(groups)))
        return found

    def _add(found: NDArray[np.float64], what: str, weight: float) -> None:
        number = int.from_bytes(blake2b(what.encode(), digest_size=4).digest(), "big")
        found[number % SLOTS] += weight if number >> 31 else -weight

    return embed


OUTLINE = Embedder(
    "light and dark", "picture", "1", BITS, near=1 - ALIKE_BITS / (BITS / 2), open=_open_outline, side=64
)
SHAPE = Embedder("the run of edges", "picture", "1", CELLS * CELLS * TURNS, near=0.93, open=_open_shape)
WORDS = Embedder("their words", "text", "1", SLOTS, near=0.7, open=_open_words)
