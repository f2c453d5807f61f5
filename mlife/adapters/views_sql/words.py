"""Full text: what a word is, in both sizes."""

from __future__ import annotations

from typing import Final

TOKENIZER: Final = "unicode61 remove_diacritics 2"
"""SQLite's: words are letters and digits of any script, without their case and without accents."""


def asked_words(terms: str) -> list[tuple[str, bool]]:
    """The words of *terms*, all of which a text must have, and whether each is only the beginning of one (`mas*`)."""
    return [(bare, word.endswith("*")) for word in terms.split() if (bare := word.rstrip("*"))]
