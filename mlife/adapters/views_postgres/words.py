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

LONGEST_WORD: Final = 500
"""Characters of a word that count; PostgreSQL takes 2,046 bytes."""

LAST_PLACE: Final = 16_383
"""Places of words beyond it are not told apart."""


class Tokenizer:
    """SQLite's tokenizer, in memory; one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._db.execute(f"CREATE VIRTUAL TABLE texts USING fts5(text, content='', tokenize='{TOKENIZER}')")
        self._db.execute("CREATE VIRTUAL TABLE words USING fts5vocab(texts, instance)")

    def asked(self, texts: Sequence[str], question: str) -> list[tuple[Any, ...]]:
        """What *question* finds in `words`: the `term`s of each text (`doc`, from 0), folded, with their `offset`s."""
        rows = ((number, text[:LONGEST_TEXT]) for number, text in enumerate(texts))
        with self._lock:
            self._db.execute("BEGIN")
            try:
                self._db.executemany("INSERT INTO texts (rowid, text) VALUES (?, ?)", rows)
                return self._db.execute(question).fetchall()
            finally:
                self._db.execute("ROLLBACK")


@lru_cache(maxsize=1)
def tokenizer() -> Tokenizer:
    """The one of this process."""
    return Tokenizer()


WORD: Final = f"'''' || substr(term, 1, {LONGEST_WORD}) || ''''"
"""A word as PostgreSQL reads it. It has letters and digits only: nothing in it must be escaped."""


def tsvectors(texts: Sequence[str]) -> list[str]:
    """Each of *texts* as the literal of a `tsvector`."""
    made = [""] * len(texts)
    places = f"group_concat({WORD} || ':' || min(offset + 1, {LAST_PLACE}), ' ')"
    for number, literal_of_text in tokenizer().asked(texts, f"SELECT doc, {places} FROM words GROUP BY doc"):
        made[number] = literal_of_text
    return made


def tsquery(terms: str) -> str:
    """
    *terms* as the literal of a `tsquery`: every one of them, in any order; one that ends in `*` is a prefix.

    A term of several words (`half-worn`) is a phrase. Empty: nothing is asked that any text could have.
    """
    asked = asked_words(terms)
    phrases: dict[int, list[str]] = {}
    found = tokenizer().asked([word for word, _ in asked], f"SELECT doc, {WORD} FROM words ORDER BY doc, offset")
    for number, word in found:
        phrases.setdefault(number, []).append(word)
    return " & ".join(f"({' <-> '.join(words)}{':*' * asked[number][1]})" for number, words in phrases.items())


@compiles(TextMatch, "postgresql")
def _match(element: TextMatch, compiler: SQLCompiler, **kw: Any) -> str:
    query = tsquery(element.terms)
    if not query:
        return "false"
    key, asked = compiler.process(element.row, **kw), compiler.process(literal(query), **kw)
    return f"{key} IN (SELECT key FROM {element.index} WHERE words @@ CAST({asked} AS tsquery))"
