"""
From nodes to a condition on rows.

Negation is pushed down to the terms and each term is made to answer yes or no, never NULL: what is not known does not
match a term, and does match its negation.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from sqlalchemy import Boolean, ColumnElement, and_, false, literal, not_, or_, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import OperatorType

from mlife.core.errors import Misconfigured
from mlife.core.query.fields import Field, Searchable
from mlife.core.query.nodes import And, Exact, Missing, Node, Not, Or, Prefix, Present, Range, Term, Text, Value
from mlife.core.query.problem import QueryError, Span
from mlife.core.query.values import (
    DATE_FORMS,
    Moment,
    bound,
    not_a_choice,
    one_of,
    read_choice,
    read_flag,
    read_moment,
    read_number,
)
from mlife.core.query.versions import family_bounds, is_numbered, version_key


def compile_query(ast: Node, searchable: Searchable, now: datetime) -> ColumnElement[bool]:
    """
    The condition that *ast* puts on a row. Values reach the database as parameters only.

    Args:
        ast: what `parse` gave.
        searchable: the fields.
        now: what ages (7d) and today are counted from; with a time zone.

    Raises:
        QueryError: an unknown field, a value of the wrong kind, an operator that the field has not.
    """
    return _Compiler(searchable, aware(now)).condition(ast, negative=False)


def aware(now: datetime) -> datetime:
    """*now*, which must have a time zone."""
    if now.tzinfo is None:
        raise Misconfigured(f"the clock gave {now.isoformat()} without a time zone", remedy="hand over UTC")
    return now


class starts_with(FunctionElement[bool]):  # noqa: N801 - SQL functions are written like this in expressions
    """
    A column's text begins with a prefix; case counts, and an index on the column is used.

    It is a range: SQLite's LIKE ignores case, and PostgreSQL uses no index for one whose pattern it does not know yet.
    Where the order of text depends on a collation, the order of bytes is asked for.
    """

    type = Boolean()
    inherit_cache = True
    name = "starts_with"

    def __init__(self, column: ColumnElement[Any], prefix: str) -> None:
        super().__init__(column, literal(prefix), literal(prefix + "\U0010ffff"))

    def self_group(self, against: OperatorType | None = None) -> Self:  # noqa: ARG002 - SQLAlchemy's own signature
        """Itself: it stands in parentheses, and the `= 1` that is put after a function would hide the index."""
        return self


@compiles(starts_with)
def _as_range(element: starts_with, compiler: SQLCompiler, **kw: Any) -> str:
    column, low, high = (compiler.process(c, **kw) for c in element.clauses)
    return f"({column} >= {low} AND {column} < {high})"


@compiles(starts_with, "postgresql")
def _as_range_of_bytes(element: starts_with, compiler: SQLCompiler, **kw: Any) -> str:
    column, low, high = (compiler.process(c, **kw) for c in element.clauses)
    return f'({column} COLLATE "C" >= {low} AND {column} COLLATE "C" < {high})'


@dataclass(frozen=True)
class _Compiler:
    """Turns the nodes of one query into SQL."""

    searchable: Searchable
    now: datetime

    def condition(self, node: Node, *, negative: bool) -> ColumnElement[bool]:
        if isinstance(node, Not):
            return self.condition(node.child, negative=not negative)
        if isinstance(node, Text):
            return self._words([node], negative=negative)
        if isinstance(node, Term):
            return self._term(node, negative=negative)
        parts = [self.condition(c, negative=negative) for c in node.children if not isinstance(c, Text)]
        words = [c for c in node.children if isinstance(c, Text)]
        if isinstance(node, And):
            # One look into the index of words for all of them.
            parts += [self._words(words, negative=negative)] if words else []
        else:
            parts += [self._words([w], negative=negative) for w in words]
        return _any(parts) if isinstance(node, Or) is not negative else _all(parts)

    def _words(self, words: list[Text], *, negative: bool) -> ColumnElement[bool]:
        if self.searchable.text is None:
            raise QueryError(
                f"{self.searchable.name} have no full text to look for {words[0].value[:40]} in",
                words[0].span,
                expected=f"write field:value; the fields are {', '.join(f.name for f in self.searchable.fields)}",
            )
        found = self.searchable.text(words)
        return not_(found) if negative else found

    def _term(self, term: Term, *, negative: bool) -> ColumnElement[bool]:
        field = self.searchable.expect_field(term.name, term.name_span)
        if term.op not in field.operators:
            raise QueryError(
                f"{field.name} can't be compared with {term.op}",
                term.span,
                expected=f"use one of {' '.join(field.operators)}",
            )
        read = _READERS[field.kind](field, self.now)
        negative = negative is not (term.op == "!=")
        if term.op not in {":", "!="}:
            return _answer(field, read.compare(term.op, _exact(term.values[0])), negative=negative)
        parts = [
            _known(field, yes=isinstance(v, Present) is not negative) for v in term.values if _is_about_presence(v)
        ]
        exact = [read.value(v) for v in term.values if isinstance(v, Exact) and read.equals]
        conditions = [one_of(field.column, exact)] if exact else []
        conditions += [
            read.matches(v)
            for v in term.values
            if not (_is_about_presence(v) or (isinstance(v, Exact) and read.equals))
        ]
        parts += [_answer(field, c, negative=negative) for c in conditions]
        return _all(parts) if negative else _any(parts)


def _is_about_presence(value: Value) -> bool:
    return isinstance(value, Missing | Present)


def _exact(value: Value) -> Exact:
    assert isinstance(value, Exact), "the parser lets a comparison have one plain value only"
    return value


def _any(parts: list[ColumnElement[bool]]) -> ColumnElement[bool]:
    return or_(*parts) if parts else false()


def _all(parts: list[ColumnElement[bool]]) -> ColumnElement[bool]:
    return and_(*parts) if parts else true()


def _answer(field: Field, condition: ColumnElement[bool], *, negative: bool) -> ColumnElement[bool]:
    """*condition* on the field's column, or its negation, as a yes or no about the row."""
    if field.via is not None:
        return not_(field.via(condition)) if negative else field.via(condition)
    if not negative:
        return condition
    return or_(field.column.is_(None), not_(condition)) if is_nullable(field.column) else not_(condition)


def _known(field: Field, *, yes: bool) -> ColumnElement[bool]:
    """Is there a value?"""
    if field.via is not None:
        present = field.via(field.column.is_not(None))
        return present if yes else not_(present)
    return field.column.is_not(None) if yes else field.column.is_(None)


def is_nullable(column: ColumnElement[Any]) -> bool:
    """May *column* hold NULL? Yes for an expression, of which nothing is known."""
    return bool(getattr(column, "nullable", True))


class _Reader:
    """
    How one kind of field reads and compares values.

    Args:
        equals: a plain value is looked up by equality, so that a list of them becomes one IN.
    """

    equals = True

    def __init__(self, field: Field, now: datetime) -> None:
        self.field, self.column, self.now = field, field.column, now

    def value(self, value: Exact) -> Any:
        return value.text

    def compare(self, op: str, value: Exact) -> ColumnElement[bool]:
        return self.ordered(op, self.value(value))

    def ordered(self, op: str, value: Any) -> ColumnElement[bool]:
        compared: ColumnElement[bool] = _COMPARE[op](self.column, bound(value, self.column))
        return compared

    def matches(self, value: Value) -> ColumnElement[bool]:
        """A value that equality can't express: a prefix, a range, a stretch of time."""
        if isinstance(value, Range) and "<" in self.field.operators:
            return self.between(value)
        raise self.unusable(value)

    def between(self, value: Range) -> ColumnElement[bool]:
        low, high = (self.value(e) if e else None for e in ends(value))
        self.in_order(low, high, value)
        parts = [self.ordered(">=", low)] if low is not None else []
        parts += [self.ordered("<=", high)] if high is not None else []
        return and_(*parts)

    def in_order(self, low: Any, high: Any, value: Range) -> None:
        if low is not None and high is not None and low > high:
            raise QueryError(
                f"{value} ends before it begins",
                value.span,
                expected=f"write {self.field.name}:{value.high}..{value.low}",
            )

    def unusable(self, value: Value) -> QueryError:
        what = "a range" if isinstance(value, Range) else "a word with *"
        return QueryError(
            f"{self.field.name} is a {self.field.kind} and takes no {what.removeprefix('a ')}",
            value.span,
            expected=f'write a single value, or put {value} in quotes ("{value}") if it is one',
        )


class _Texts(_Reader):
    def matches(self, value: Value) -> ColumnElement[bool]:
        return starts_with(self.column, value.text) if isinstance(value, Prefix) else super().matches(value)


class _Choices(_Reader):
    def value(self, value: Exact) -> str:
        return read_choice(value.text, value.span, self.field)

    def compare(self, op: str, value: Exact) -> ColumnElement[bool]:
        choices = self.field.choices or ()
        rank = choices.index(self.value(value))
        return self.column.in_([c for i, c in enumerate(choices) if _COMPARE[op](i, rank)])

    def between(self, value: Range) -> ColumnElement[bool]:
        choices = self.field.choices or ()
        low, high = (choices.index(self.value(e)) if e else None for e in ends(value))
        self.in_order(low, high, value)
        return self.column.in_(choices[low : None if high is None else high + 1])

    def matches(self, value: Value) -> ColumnElement[bool]:
        if not isinstance(value, Prefix):
            return super().matches(value)
        found = [c for c in self.field.choices or () if c.lower().startswith(value.text.lower())]
        if not found:
            raise not_a_choice(f"{value.text}*", value.span, self.field)
        return self.column.in_(found)


class _Flags(_Reader):
    def value(self, value: Exact) -> bool:
        return read_flag(value.text, value.span, self.field)


class _Numbers(_Reader):
    def value(self, value: Exact) -> int | float:
        return read_number(value.text, value.span, self.field)


class _Versions(_Reader):
    def value(self, value: Exact) -> str:
        return version_key(value.text)

    def compare(self, op: str, value: Exact) -> ColumnElement[bool]:
        self._numbered(value)
        return super().compare(op, value)

    def between(self, value: Range) -> ColumnElement[bool]:
        for end in ends(value):
            self._numbered(end)
        return super().between(value)

    def matches(self, value: Value) -> ColumnElement[bool]:
        if not isinstance(value, Prefix):
            return super().matches(value)
        bounds = family_bounds(value.text.removesuffix(".")) if value.text.endswith(".") else None
        if bounds is None:
            raise QueryError(
                f"{value} is no family of versions",
                value.span,
                expected=f"write {self.field.name}:1.4.* for every version that begins with 1.4",
            )
        return and_(self.column >= literal(bounds[0]), self.column < literal(bounds[1]))

    def _numbered(self, value: Exact | None) -> None:
        if value and not is_numbered(value.text):
            raise QueryError(
                f"{value.text[:40]!r} has no number to compare by",
                value.span,
                expected=f"write a version like 1.4, or {self.field.name}:{value} for exactly this one",
            )


class _Free(_Reader):
    """A field whose type the data says: text is found as it is, numbers and dates are also compared in order."""

    def compare(self, op: str, value: Exact) -> ColumnElement[bool]:
        return self._either(lambda reader: reader.compare(op, value), value)

    def matches(self, value: Value) -> ColumnElement[bool]:
        if isinstance(value, Prefix):
            return starts_with(self.column, value.text)
        return self._either(lambda reader: reader.matches(value), value)

    def _either(self, ask: Callable[[_Reader], ColumnElement[bool]], value: Value) -> ColumnElement[bool]:
        """As a number, as a date, or both: 2026 may be either."""
        readers: list[_Reader] = []
        if self.field.amount is not None:
            readers.append(_Numbers(replace(self.field, kind="number", column=self.field.amount), self.now))
        if self.field.moment is not None:
            readers.append(_Dates(replace(self.field, kind="date", column=self.field.moment), self.now))
        parts: list[ColumnElement[bool]] = []
        for reader in readers:
            with suppress(QueryError):
                parts.append(ask(reader))
        if not parts:
            raise QueryError(
                f"{value} is neither a number nor a date",
                value.span,
                expected=f"write {self.field.name}>=10, {self.field.name}>7d, or {self.field.name}:word",
            )
        return or_(*parts)


class _Dates(_Reader):
    equals = False

    def value(self, value: Exact) -> Moment:
        return read_moment(value.text, value.span, self.field, self.now)

    def compare(self, op: str, value: Exact) -> ColumnElement[bool]:
        moment = self.value(value)
        if op == ">" and moment.end:
            return self.ordered(">=", moment.end)
        if op == "<=" and moment.end:
            return self.ordered("<", moment.end)
        return self.ordered(op, moment.start)

    def between(self, value: Range) -> ColumnElement[bool]:
        low, high = ends(value)
        if low and high:
            self.in_order(self.value(low).start, self.value(high).end or self.value(high).start, value)
        parts = [self.compare(">=", low)] if low else []
        parts += [self.compare("<=", high)] if high else []
        return and_(*parts)

    def matches(self, value: Value) -> ColumnElement[bool]:
        if isinstance(value, Prefix):
            raise QueryError(
                f"{self.field.name} is a date and takes no *",
                value.span,
                expected=f"write {DATE_FORMS}; 2026-11 is a month",
            )
        if not isinstance(value, Exact):
            return super().matches(value)
        moment = self.value(value)
        if moment.end:
            return and_(self.compare(">=", value), self.compare("<=", value))
        first, last = sorted((moment.start, self.now)) if moment.relative else (moment.start, moment.start)
        return and_(self.ordered(">=", first), self.ordered("<=", last))


def ends(value: Range) -> tuple[Exact | None, Exact | None]:
    """Both ends of a range, each with the place where it was typed."""
    span = value.span
    low = Exact(value.low, Span(span.source, span.start, span.start + len(value.low))) if value.low else None
    high = Exact(value.high, Span(span.source, span.end - len(value.high), span.end)) if value.high else None
    return low, high


_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_READERS: dict[str, Callable[[Field, datetime], _Reader]] = {
    "text": _Texts,
    "choice": _Choices,
    "flag": _Flags,
    "number": _Numbers,
    "date": _Dates,
    "version": _Versions,
    "free": _Free,
}
