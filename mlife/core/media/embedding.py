"""
Embedders: what turns pictures and texts into vectors, so that similar ones can be found.

An embedder is a plug-in of the group `mlife.embedders`. What it says of itself is read by the server; `open` and what
that gives are called in a process of their own, with limits, because they read strangers' data by anybody's code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from mlife.core.errors import Misconfigured
from mlife.core.media.plugins import EMBEDDERS, named, plugin

Reads: TypeAlias = Literal["picture", "text"]
Embed: TypeAlias = Callable[[Sequence[Any]], Sequence[Sequence[float]]]
"""From pictures (encoded: PNG or WebP) or texts to one row of numbers each, in order."""


@dataclass(frozen=True, slots=True)
class Embedder:
    """
    How items become vectors.

    Args:
        label: what is compared, in a few words: "shapes".
        version: another one makes all vectors anew.
        dimension: how many numbers a vector has.
        near: cosine from which two items are suggested as alike, in (0, 1].
        open: called once in its process; gives the function that embeds.
        side: pixels of the square that a picture is made to fit into before.
    """

    label: str
    reads: Reads
    version: str
    dimension: int
    near: float
    open: Callable[[], Embed]
    side: int = 128

    def kind(self, name: str) -> str:
        """What its vectors are kept as."""
        return f"{name}@{self.version}/{self.dimension}"


def embedder_problem(found: Any) -> str | None:
    """Why something can't be used as an embedder; None: it can."""
    if not isinstance(found, Embedder):
        return f"is a {type(found).__name__} and no Embedder"
    if found.reads not in {"picture", "text"}:
        return f"reads {found.reads!r}, and not picture or text"
    if not 1 <= found.dimension <= MOST_DIMENSIONS:
        return f"has {found.dimension} dimensions; 1 to {MOST_DIMENSIONS:,} are possible"
    return None if 0 < found.near <= 1 else f"is near from {found.near:g} on; a cosine above 0 up to 1 is possible"


MOST_DIMENSIONS = 4_096


def embedders() -> dict[str, Embedder | str]:
    """Name → embedder of all that are installed, or why it can't be used."""
    found: dict[str, Embedder | str] = {}
    for name in sorted(named(EMBEDDERS)):
        try:
            made = plugin(EMBEDDERS, name)
        except Misconfigured as e:
            found[name] = e.message
            continue
        found[name] = embedder_problem(made) or made
    return found


@dataclass(frozen=True, slots=True)
class Unembedded:
    """Why an item has no vector, as the predicate of a sentence about the embedder: "gives NaN"."""

    reason: str


Near: TypeAlias = tuple[int, int, float]
"""Two places and the cosine of what stands there."""


class Likeness(Protocol):
    """Embeds and compares, in a process of its own."""

    def embed(self, name: str, items: Sequence[bytes]) -> Sequence[bytes | Unembedded]:
        """
        A unit vector of each item (little-endian 32-bit floats; empty: it says nothing), or why there is none.

        Raises:
            Misconfigured: the embedder can't be opened.
        """

    def nearest(
        self, vectors: bytes, dimension: int, owners: Sequence[int], *, near: float, most: int
    ) -> Sequence[Near]:
        """
        Of each of the unit *vectors* the *most* nearest with a cosine of at least *near* whose owner is another; exact.

        A pair is given once, the first place first.

        Raises:
            Unavailable: there is no room, or no time, for so many.
        """

    def interrupt(self) -> None:
        """From any thread: whatever is being asked is given up with `Unavailable`, until `rest`."""

    def rest(self) -> None:
        """End the process; it comes back when it is needed."""


def told_of(every: Mapping[str, Embedder | str]) -> list[dict[str, Any]]:
    """Of each installed embedder its name, and what it says of itself or why it can't be used."""
    return [
        {"name": name, "label": "", "reads": "", "version": "", "problem": e}
        if isinstance(e, str)
        else {"name": name, "label": e.label, "reads": e.reads, "version": e.version, "problem": None}
        for name, e in every.items()
    ]
