"""
What query tables are made of, beyond plain SQLAlchemy: moments, text indexes, and which projection owns a table.

Tables are declared once, under their plain name, in a feature's `views.py`. Where they really live (a projection's
version and generation are part of the physical name) is the views adapter's affair.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Dialect, MetaData, Row, TypeDecorator, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import Boolean

from mlife.core.events import from_micros, to_micros

metadata = MetaData()
"""Of every query table of every feature."""

AnyRow = Row[*tuple[Any, ...]]
"""A row of as many columns as it has: which ones, the reader of the statement knows."""


class Moment(TypeDecorator[datetime]):
    """A UTC moment, stored as microseconds since 1970; projections write the number, queries see a datetime."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | int | None, dialect: Dialect) -> int | None:
        """To the number; a number passes."""
        return to_micros(value) if isinstance(value, datetime) else value

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """To the moment."""
        return None if value is None else from_micros(value)


class TextIndex:
    """
    A full-text index beside a table, by the table's integer key (FTS5 here, `tsvector` on PostgreSQL).

    Args:
        name: plain name, as for a table.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        indexes[name] = self

    def matches(self, key: ColumnElement[int], terms: str) -> ColumnElement[bool]:
        """Rows whose text has every word of *terms*; a word that ends in `*` is a prefix."""
        return TextMatch(self.name, key, terms)


indexes: dict[str, TextIndex] = {}
"""Every declared text index by its name."""


class TextMatch(ColumnElement[bool]):
    """`key` is among the rows of the index that match; compiled for each database."""

    inherit_cache = False
    type = Boolean()
    _is_implicitly_boolean = True
    """It is a condition already: SQLAlchemy would write `… IN (…) = 1`, which no index can answer."""

    def __init__(self, index: str, key: ColumnElement[int], terms: str) -> None:
        self.index, self.row, self.terms = index, key, terms

    @property
    def _from_objects(self) -> Any:
        return self.row._from_objects  # noqa: SLF001 - how SQLAlchemy's own elements tell which tables they need


def fts5_query(terms: str) -> str:
    """*terms* in FTS5's syntax, with every word quoted, so that nothing in it is an operator."""
    words = []
    for word in terms.split():
        prefix = word.endswith("*")
        bare = word.rstrip("*").replace('"', '""')
        if bare:
            words.append(f'"{bare}"{"*" if prefix else ""}')
    return " ".join(words) or '""'


@compiles(TextMatch)
def _fts5(element: TextMatch, compiler: SQLCompiler, **kw: Any) -> str:
    key = compiler.process(element.row, **kw)
    terms = compiler.process(literal(fts5_query(element.terms)), **kw)
    return f"{key} IN (SELECT rowid FROM {element.index} WHERE {element.index} MATCH {terms})"
