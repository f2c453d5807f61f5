"""
SQLAlchemy's PostgreSQL, made to answer as SQLite does where the two differ.

Features state their queries once. What a database is free to choose is chosen alike here, in one place: text is
compared byte by byte, NULL is below everything in an order, every integer has 64 bits, and a sum of integers is one.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any, cast

from psycopg.adapt import Loader
from psycopg.types.numeric import IntDumper
from sqlalchemy import Column, ColumnElement, Integer, Label, String, UnaryExpression
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.base import PGTypeCompiler
from sqlalchemy.dialects.postgresql.psycopg import PGCompiler_psycopg, PGDialect_psycopg
from sqlalchemy.sql.elements import _label_reference
from sqlalchemy.sql.operators import asc_op, desc_op, nulls_first_op, nulls_last_op

if TYPE_CHECKING:
    from psycopg.abc import Buffer
    from psycopg.adapt import Dumper, PyFormat


class Types(PGTypeCompiler):
    """How types are written."""

    def visit_INTEGER(self, type_: Any, **kw: Any) -> str:  # noqa: N802 - SQLAlchemy's own name
        """SQLite's integers have 64 bits, whatever they are called."""
        return "BIGINT"

    visit_SMALLINT = visit_INTEGER  # noqa: N815 - the same

    def visit_FLOAT(self, type_: Any, **kw: Any) -> str:  # noqa: N802 - SQLAlchemy's own name
        """A float by the name that the driver knows it by too."""
        return "DOUBLE PRECISION"

    def visit_TEXT(self, type_: Any, *, type_expression: Any = None, **kw: Any) -> str:  # noqa: N802 - the same
        """A column of text is in the order of its bytes; in a cast nothing may be said of it."""
        return 'TEXT COLLATE "C"' if isinstance(type_expression, Column) else "TEXT"

    visit_VARCHAR = visit_TEXT  # noqa: N815 - the same


class Compiler(PGCompiler_psycopg):
    """How statements are written."""

    inside_functions = 0

    def visit_function(self, func: Any, add_to_result_map: Any = None, **kw: Any) -> str:
        """A function that takes an integer of 32 bits takes none of 64: inside, the driver tells what a value needs."""
        self.inside_functions += 1
        try:
            return super().visit_function(func, add_to_result_map, **kw)
        finally:
            self.inside_functions -= 1

    def render_bind_cast(self, type_: Any, dbapi_type: Any, sqltext: str) -> str:
        """A value's type; text is compared by bytes, also where no column says so."""
        if self.inside_functions and isinstance(dbapi_type, Integer):
            return sqltext
        cast_to: str = super().render_bind_cast(type_, dbapi_type, sqltext)  # type: ignore[no-untyped-call]
        return f'{cast_to} COLLATE "C"' if isinstance(dbapi_type, String) else cast_to

    def order_by_clause(self, select: Any, **kw: Any) -> str:
        """Where a value may be missing, NULL stands where SQLite puts it, unless the query says another place."""
        written = ((self.process(e, **kw), e) for e in select._order_by_clauses)  # noqa: SLF001 - as SQLAlchemy does
        order = ", ".join(text + _place_of_null(e) for text, e in written if text)
        return f" ORDER BY {order}" if order else ""


def _place_of_null(element: ColumnElement[Any]) -> str:
    """What must be said after an element of an order; nothing for a column that has no NULL, as its index says none."""
    if isinstance(element, _label_reference):
        element = element.element
    descending = False
    if isinstance(element, UnaryExpression):
        if element.modifier in (nulls_first_op, nulls_last_op):
            return ""
        if element.modifier in (asc_op, desc_op):
            descending = element.modifier is desc_op
            element = element.element
    if isinstance(element, Label):
        element = element.element
    if not getattr(element, "nullable", True):
        return ""
    return " NULLS LAST" if descending else " NULLS FIRST"


class Dialect(PGDialect_psycopg):
    """PostgreSQL through psycopg 3."""

    statement_compiler = Compiler
    type_compiler_cls = Types
    supports_statement_cache = True

    def do_ping(self, dbapi_connection: Any) -> bool:
        """Is nothing to be read from an idle connection? What a server says unasked is that it has ended it."""
        poll = select.poll()
        poll.register(dbapi_connection.fileno(), select.POLLIN)
        return not poll.poll(0)


class NumberLoader(Loader):
    """Reads `numeric`, which PostgreSQL makes of sums and means of integers, as the number that SQLite gives."""

    def load(self, data: Buffer) -> int | float:
        """An integer where there is nothing after the point."""
        text = bytes(data)
        try:
            return int(text)
        except ValueError:
            return float(text)


class AskedInteger(IntDumper):
    """An integer that is asked for: refused here if it is too large, as the server would end the transaction."""

    def upgrade(self, obj: int, format: PyFormat) -> Dumper:  # noqa: A002 - psycopg's own name
        """The dumper for its size."""
        if not -(2**63) <= obj < 2**63:
            raise OverflowError(obj)
        return super().upgrade(obj, format)


registry.register("postgresql.mlife", __name__, Dialect.__name__)

DIALECT = cast("Any", Dialect)(use_native_hstore=False)
"""For what is compiled without a connection."""
