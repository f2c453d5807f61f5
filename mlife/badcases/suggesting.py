"""
Badcases that may be one failure: the same file, or what embedders find alike. Only suggested; people decide.

Pure: who is near to whom is handed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

from mlife.core.events import derived_id

MOST_OF_ONE = 50
"""Badcases that share a file or a text; what more of them share tells none apart."""
MOST_PAIRS = 5_000
"""Suggestions that are kept of a function, the strongest."""
SAME_FILE = "same file"
ALIKE = {"picture": "similar pictures", "text": "similar descriptions"}

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """
    Two badcases that may be one.

    Args:
        suggestion_id: a function of the two.
        why: `same file`, `similar pictures` or `similar descriptions`. by: the embedder; empty for files.
        likeness: the cosine. strength: where it is between what is just near enough, 0, and the same, 1.
        keys: SHA-256 of the file, or of the text, of each that led to it.
        also: other reasons, in words.
    """

    suggestion_id: str
    one: str
    other: str
    why: str
    by: str
    likeness: float
    strength: float
    sentence: str
    keys: tuple[str, str]
    also: tuple[str, ...] = ()


def suggestion_id(one: str, other: str) -> str:
    """`sug-` and 12 hexadecimal digits, whichever of the two is named first."""
    return f"sug-{derived_id('suggestion', *sorted((one, other))).hex()[:12]}"


def same_files(files: Mapping[str, Sequence[str]]) -> Iterable[Suggestion]:
    """Badcases in which the same file was reported; *files*: badcase → SHA-256 of its files."""
    shared: dict[Pair, list[str]] = {}
    for sha256, badcases in turned(files).items():
        for pair in combinations(badcases, 2):
            shared.setdefault(pair, []).append(sha256)
    for (one, other), common in shared.items():
        said = "the same file is reported in both" if len(common) == 1 else f"{len(common)} files are reported in both"
        first = (common[0], common[0])
        yield Suggestion(suggestion_id(one, other), one, other, SAME_FILE, "", 1.0, 1.0, said, first)


@dataclass(frozen=True, slots=True)
class Finder:
    """By what items were compared: the embedder's name, what it looks at, and the cosine that is near enough."""

    name: str
    label: str
    reads: str
    near: float


def alike(
    finder: Finder, of: Mapping[str, Sequence[str]], near: Iterable[tuple[str, str, float]]
) -> Iterable[Suggestion]:
    """
    What one embedder leads to: of each two badcases the two items that are nearest.

    Args:
        of: SHA-256 of a file or text → the badcases that have it. near: two of those, and their cosine.
    """
    best: dict[Pair, tuple[float, str, str]] = {}
    for left, right, cosine in near:
        for one, other in product(of[left], of[right]):
            pair, keys = ((one, other), (left, right)) if one < other else ((other, one), (right, left))
            if one != other and (pair not in best or best[pair][0] < cosine):
                best[pair] = (cosine, *keys)
    what = "pictures" if finder.reads == "picture" else "descriptions"
    room = max(1 - finder.near, 1e-6)
    for (one, other), (cosine, left, right) in best.items():
        said = f"two of their {what} are alike by {finder.label}: cosine {cosine:.2f}"
        strength = min(1.0, max(0.0, (cosine - finder.near) / room))
        why = ALIKE[finder.reads]
        asked = suggestion_id(one, other)
        yield Suggestion(asked, one, other, why, finder.name, cosine, strength, said, (left, right))


def strongest(found: Iterable[Suggestion], most: int = MOST_PAIRS) -> list[Suggestion]:
    """Of several reasons for a pair the strongest, which names the others; the strongest pairs first."""
    by_pair: dict[str, list[Suggestion]] = {}
    for suggestion in found:
        by_pair.setdefault(suggestion.suggestion_id, []).append(suggestion)
    made = []
    for several in by_pair.values():
        several.sort(key=lambda s: (s.why != SAME_FILE, -s.strength, s.by))
        made.append(replace(several[0], also=tuple(s.sentence for s in several[1:])))
    made.sort(key=lambda s: (s.why != SAME_FILE, -s.strength, -len(s.also), s.suggestion_id))
    return made[:most]


def turned(things: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Thing → the badcases that have it, sorted; without those that too many have."""
    found: dict[str, set[str]] = {}
    for badcase_id, mine in things.items():
        for thing in mine:
            found.setdefault(thing, set()).add(badcase_id)
    return {thing: sorted(badcases) for thing, badcases in found.items() if len(badcases) <= MOST_OF_ONE}
