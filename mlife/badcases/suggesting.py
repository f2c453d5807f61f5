"""
Badcases that may be one failure: what looks alike, and what is described alike. Only suggested; people decide.

Pure: pictures come as hashes, and who compares them is handed in.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log

from mlife.core.events import derived_id

ALIKE_BITS = 4
"""Bits of 64 in which the hashes of two pictures may differ: unrelated ones differ in about 32."""
ALIKE_WORDS = 0.6
"""Share of the words, weighed by how rare they are, that two badcases' descriptions must have in common."""
FEWEST_WORDS = 3
MOST_OF_ONE = 50
"""Badcases that share a word or a file; what more of them share tells none apart."""
_WORD = re.compile(r"\w{3,}")

Alike = Callable[[list[int], int], list[tuple[int, int, int]]]
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """
    Two badcases that may be one.

    Args:
        suggestion_id: a function of the two.
        why: `same file`, `similar pictures` or `similar words`. likeness: in [0, 1].
        files: SHA-256 of a file of each that led to it; empty for words.
    """

    suggestion_id: str
    one: str
    other: str
    why: str
    likeness: float
    sentence: str
    files: tuple[str, ...] = ()


def suggestion_id(one: str, other: str) -> str:
    """`sug-` and 12 hexadecimal digits, whichever of the two is named first."""
    return f"sug-{derived_id('suggestion', *sorted((one, other))).hex()[:12]}"


def suggest(
    files: Mapping[str, Sequence[str]],
    hashes: Mapping[str, int],
    descriptions: Mapping[str, Sequence[str]],
    dismissed: Collection[str],
    alike: Alike,
) -> list[Suggestion]:
    """
    The pairs that may be one, the most alike first; of several reasons for a pair the strongest.

    Args:
        files: badcase → SHA-256 of files of its reports. hashes: SHA-256 → hash of the picture, where there is one.
        descriptions: badcase → descriptions of its reports.
        dismissed: ids of suggestions that somebody dismissed.
    """
    best: dict[Pair, Suggestion] = {}
    for found in (*_same_files(files), *_similar_pictures(files, hashes, alike), *_similar_words(descriptions)):
        pair = (found.one, found.other)
        if found.suggestion_id not in dismissed and (pair not in best or best[pair].likeness < found.likeness):
            best[pair] = found
    return sorted(best.values(), key=lambda s: (-s.likeness, s.suggestion_id))


def _same_files(files: Mapping[str, Sequence[str]]) -> Iterable[Suggestion]:
    shared: dict[Pair, list[str]] = {}
    for sha256, badcases in _turned(files).items():
        if 1 < len(badcases) <= MOST_OF_ONE:
            for pair in combinations(sorted(badcases), 2):
                shared.setdefault(pair, []).append(sha256)
    for (one, other), common in shared.items():
        said = "the same file is" if len(common) == 1 else f"{len(common)} files are"
        yield Suggestion(
            suggestion_id(one, other), one, other, "same file", 1.0, f"{said} reported in both", tuple(common[:1] * 2)
        )


def _similar_pictures(
    files: Mapping[str, Sequence[str]], hashes: Mapping[str, int], alike: Alike
) -> Iterable[Suggestion]:
    shown = [(b, sha256) for b, mine in sorted(files.items()) for sha256 in mine if sha256 in hashes]
    nearest: dict[Pair, tuple[int, str, str]] = {}
    for at, then, bits in alike([hashes[sha256] for _, sha256 in shown], ALIKE_BITS):
        (one, left), (other, right) = shown[at], shown[then]
        if one == other or left == right:
            continue
        known = nearest.get((one, other))
        if known is None or bits < known[0]:
            nearest[one, other] = (bits, left, right)
    for (one, other), (bits, left, right) in nearest.items():
        said = f"two of their pictures differ in {bits} of 64 bits of their outline"
        yield Suggestion(suggestion_id(one, other), one, other, "similar pictures", 1 - bits / 64, said, (left, right))


def _similar_words(descriptions: Mapping[str, Sequence[str]]) -> Iterable[Suggestion]:
    """The share of words in common, each weighed by how few badcases have it."""
    words = {b: set(_WORD.findall(" ".join(said).casefold())) for b, said in descriptions.items()}
    words = {b: mine for b, mine in words.items() if len(mine) >= FEWEST_WORDS}
    badcases_of = _turned(words)
    weight = {w: log(1 + len(words) / len(badcases)) for w, badcases in badcases_of.items()}
    size = {b: sum(weight[w] for w in mine) for b, mine in words.items()}
    common: Counter[Pair] = Counter()
    for word, badcases in badcases_of.items():
        if 1 < len(badcases) <= MOST_OF_ONE:
            for pair in combinations(sorted(badcases), 2):
                common[pair] += weight[word]  # type: ignore[assignment]  # a counter counts in fractions too
    for (one, other), both in common.items():
        share = both / (size[one] + size[other] - both)
        if share >= ALIKE_WORDS:
            named = sorted(words[one] & words[other], key=lambda w: (-weight[w], w))[:5]
            said = f"they are described alike ({share:.0%}): {', '.join(named)}"
            yield Suggestion(suggestion_id(one, other), one, other, "similar words", share, said)


def _turned(things: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """Thing → the badcases that have it."""
    found: dict[str, set[str]] = {}
    for badcase_id, mine in things.items():
        for thing in mine:
            found.setdefault(thing, set()).add(badcase_id)
    return found
