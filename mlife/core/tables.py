"""
What query tables are made of and asked with, beyond plain SQLAlchemy: moments, text indexes, and expressions that mean
the same on every database.

Tables are declared once, under their plain name, in a feature's `views.py`. Where they really live (a projection's
version and generation are part of the physical name) is the views adapter's affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import BigInteger, ColumnElement, Dialect, Double, MetaData, Row, Text, TypeDecorator, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean, TypeEngine

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
    A full-text index beside a table, by the table's integer key (FTS5 on SQLite, `tsvector` on PostgreSQL).

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
    """`key` is among the rows of the index that match; each adapter compiles it for its database."""

    inherit_cache = False
    type = Boolean()
    _is_implicitly_boolean = True
    """It is a condition already: SQLAlchemy would write `… IN (…) = 1`, which no index can answer."""

    def __init__(self, index: str, key: ColumnElement[int], terms: str) -> None:
        self.index, self.row, self.terms = index, key, terms

    @property
    def _from_objects(self) -> Any:
        return self.row._from_objects  # noqa: SLF001 - how SQLAlchemy's own elements tell which tables they need


_KINDS: Mapping[str, TypeEngine[Any]] = {"text": Text(), "number": Double(), "flag": Boolean()}


class json_value(FunctionElement[Any]):  # noqa: N801 - SQL functions are written like this in expressions
    """
    The value called *name* of a JSON column where it is of *kind*; NULL where it is not, or is not there.

    A cast would be refused by PostgreSQL at the first row that has another kind of value, and be a guess on SQLite.

    Args:
        name: letters, digits, `_`, `-` and `.`.
        kind: `text`, `number` (read as a float) or `flag`.
    """

    inherit_cache = False  # SQLAlchemy's key of a statement would not tell the kinds apart
    name = "json_value"

    def __init__(self, column: ColumnElement[Any], name: str, kind: Literal["text", "number", "flag"]) -> None:
        self.type = _KINDS[kind]
        super().__init__(column, literal(name), literal(f'$."{name}"'))


@compiles(json_value)
def _json_by_name(element: json_value, compiler: SQLCompiler, **kw: Any) -> str:
    column, name, _ = (compiler.process(c, **kw) for c in element.clauses)
    value = f"{column} ->> {name}"
    if isinstance(element.type, Boolean):
        wanted, found = "boolean", f"CAST({value} AS BOOLEAN)"
    elif isinstance(element.type, Double):
        wanted, found = "number", f"CAST({value} AS DOUBLE PRECISION)"
    else:
        wanted, found = "string", f'({value}) COLLATE "C"'
    return f"CASE json_typeof({column} -> {name}) WHEN '{wanted}' THEN {found} END"


@compiles(json_value, "sqlite")
def _json_by_path(element: json_value, compiler: SQLCompiler, **kw: Any) -> str:
    column, _, path = (compiler.process(c, **kw) for c in element.clauses)
    kind, value = f"json_type({column}, {path})", f"json_extract({column}, {path})"
    if isinstance(element.type, Boolean):
        return f"CASE {kind} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END"
    if isinstance(element.type, Double):
        return f"CASE WHEN {kind} IN ('integer', 'real') THEN CAST({value} AS REAL) END"
    return f"CASE {kind} WHEN 'text' THEN {value} END"


class rounded(FunctionElement[float]):  # noqa: N801 - the same
    """
    A float that is not negative, to two places after the point; what is half-way goes up.

    `round` differs: SQLite looks at the decimal digits of a number, PostgreSQL takes no float. This is arithmetic,
    so that a projection writes the same bits on both.
    """

    type = Double()
    inherit_cache = True
    name = "rounded"


@compiles(rounded)
def _by_floor(element: rounded, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(floor(CAST({compiler.process(element.clauses, **kw)} AS DOUBLE PRECISION) * 100 + 0.5) / 100)"


@compiles(rounded, "sqlite")
def _by_cast(element: rounded, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(CAST(({compiler.process(element.clauses, **kw)}) * 100 + 0.5 AS INTEGER) / 100.0)"
