"""
Full text on PostgreSQL: the words of a text as `tsvector`, what is asked for as `tsquery`.

PostgreSQL's own parser finds other words than SQLite's (it keeps `half-worn` and `a@b.c` whole, and what a letter is
depends on the database's locale), and its `unaccent` is an extension. So that a search finds the same rows in both
sizes, the tokenizer of SQLite splits and folds the text in both.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from mlife.adapters.views_sql.words import TOKENIZER, asked_words
from mlife.core.tables import TextMatch

LONGEST_TEXT: Final = 100_000
"""Characters of a text that can be found by; a `tsvector` has at most a megabyte."""

LONGEST_WORD: Final = 2_000
"""Bytes of a word that count; PostgreSQL takes 2,046."""

LAST_PLACE: Final = 16_383
"""Places of words beyond it are not told apart."""


class Tokenizer:
    """SQLite's tokenizer, in memory; one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._db.execute(f"CREATE VIRTUAL TABLE texts USING fts5(text, content='', tokenize='{TOKENIZER}')")
        self._db.execute("CREATE VIRTUAL TABLE words USING fts5vocab(texts, instance)")

    def words(self, texts: Sequence[str]) -> list[list[tuple[int, str]]]:
        """The words of each of *texts*, folded, with their places from 0; in no particular order."""
        found: list[list[tuple[int, str]]] = [[] for _ in texts]
        with self._lock:
            self._db.execute("BEGIN")
            try:
                self._db.executemany(
                    "INSERT INTO texts (rowid, text) VALUES (?, ?)",
                    ((n, t[:LONGEST_TEXT]) for n, t in enumerate(texts)),
                )
                for number, place, word in self._db.execute("SELECT doc, offset, term FROM words"):
                    found[number].append((place, word))
            finally:
                self._db.execute("ROLLBACK")
        return found


@lru_cache(maxsize=1)
def tokenizer() -> Tokenizer:
    """The one of this process."""
    return Tokenizer()


def tsvectors(texts: Sequence[str]) -> list[str]:
    """Each of *texts* as the literal of a `tsvector`. Words are letters and digits: nothing in them needs a quote."""
    return [
        " ".join(f"'{_cut(word)}':{min(place + 1, LAST_PLACE)}" for place, word in words)
        for words in tokenizer().words(texts)
    ]


def tsquery(terms: str) -> str:
    """
    *terms* as the literal of a `tsquery`: every one of them, in any order; one that ends in `*` is a prefix.

    A term of several words (`half-worn`) is a phrase. Empty: nothing is asked that any text could have.
    """
    asked = asked_words(terms)
    phrases = []
    for (_, is_prefix), words in zip(asked, tokenizer().words([word for word, _ in asked]), strict=True):
        if words:
            phrase = " <-> ".join(f"'{_cut(word)}'" for _, word in sorted(words))
            phrases.append(f"({phrase}{':*' * is_prefix})")
    return " & ".join(phrases)


def _cut(word: str) -> str:
    return word if len(word) <= LONGEST_WORD // 4 else word.encode()[:LONGEST_WORD].decode(errors="ignore")


@compiles(TextMatch, "postgresql")
def _match(element: TextMatch, compiler: SQLCompiler, **kw: Any) -> str:
    query = tsquery(element.terms)
    if not query:
        return "false"
    key, asked = compiler.process(element.row, **kw), compiler.process(literal(query), **kw)
    return f"{key} IN (SELECT key FROM {element.index} WHERE words @@ CAST({asked} AS tsquery))"
