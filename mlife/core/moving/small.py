"""What is small: sealing keys and handlers' book. Both are made equal, so that moving again and moving back work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from mlife.core.errors import Corrupt
from mlife.core.handler import HandlerBook
from mlife.core.ports import Keys

Key = tuple[str, bytes, bytes]
"""Key id, SHA-256 of the subject, key."""


class KeyRing(Keys, Protocol):
    """Sealing keys that can be handed over."""

    def items(self) -> Iterator[Key]:
        """Every key, by its id."""

    def replace(self, keys: Iterable[Key]) -> int:
        """Have *keys* and no others, in one transaction; how many. What was erased elsewhere is erased here too."""


def copy_keys(source: KeyRing, target: KeyRing) -> int:
    """Make *target* hold the keys of *source*, and no others; how many."""
    count = target.replace(source.items())
    if sorted(source.items()) != sorted(target.items()):
        raise Corrupt("the sealing keys are not the same on both sides", remedy="run it again")
    return count


def copy_book(source: HandlerBook, target: HandlerBook) -> tuple[int, int]:
    """
    Make *target* say what *source* says: no handler acts again on what was dealt with.

    Returns:
        How many handlers and how many dead letters.
    """
    places, letters = source.positions(), source.letters()
    target.move(places)
    kept = {(x.handler, x.position) for x in letters}
    for letter in target.letters():
        if (letter.handler, letter.position) not in kept:
            target.unpark(letter.handler, letter.position)
    for letter in letters:
        target.park(letter)
    for handler, key in {(x.handler, x.key) for x in letters if x.retry}:
        target.ask_retry(handler, key)
    return len(places), len(letters)
