"""Full text on SQLite: FTS5."""

from __future__ import annotations

from typing import Any

from sqlalchemy import literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from mlife.adapters.views_sql.words import asked_words
from mlife.core.tables import TextMatch


def fts5_query(terms: str) -> str:
    """*terms* in FTS5's syntax, with every word quoted, so that nothing in it is an operator."""
    quoted = ('"' + word.replace('"', '""') + '"' + "*" * is_prefix for word, is_prefix in asked_words(terms))
    return " ".join(quoted) or '""'


@compiles(TextMatch, "sqlite")
def _match(element: TextMatch, compiler: SQLCompiler, **kw: Any) -> str:
    key = compiler.process(element.row, **kw)
    terms = compiler.process(literal(fts5_query(element.terms)), **kw)
    return f"{key} IN (SELECT rowid FROM {element.index} WHERE {element.index} MATCH {terms})"
