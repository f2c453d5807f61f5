"""From the words of a term to values that a column can be compared with."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, DateTime, Double, Float, Integer, Numeric, String, literal

from mlife.core import tables
from mlife.core.query.fields import Field
from mlife.core.query.problem import QueryError, Span

LARGEST_INTEGER = 2**63 - 1

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,17})?|\.[0-9]{1,17})(?:[eE][+-]?[0-9]{1,2})?")
_RELATIVE = re.compile(r"([+-]?)([0-9]{1,6})(min|h|d|w)")
_DATE = re.compile(
    r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2})"
    r"(?:[Tt](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?P<fraction>\.[0-9]{1,6})?)?"
    r"(?P<zone>[Zz]|[+-][0-9]{2}:[0-9]{2})?)?)?)?"
)
_UNITS = {"min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
DATE_FORMS = (
    "a date (2026, 2026-11, 2026-11-24, 2026-11-24T03:00Z), today, yesterday, now, or an age (30min, 12h, 7d, 2w)"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Moment:
    """
    A moment, or the stretch of time that a date names.

    Args:
        start: its first instant, UTC.
        end: the first instant after it; None for a single instant.
        relative: it was written as an age, so that `:` asks for everything between it and now.
    """

    start: datetime
    end: datetime | None = None
    relative: bool = False


def read_number(text: str, span: Span, field: Field) -> int | float:
    """A number of at most 64 bits; no NaN, no infinity."""
    if not _NUMBER.fullmatch(text):
        raise QueryError(
            f"{field.name} is a number, and {text[:40]!r} is none",
            span,
            expected=f"write {field.name}>=10 or {field.name}:1..5",
        )
    return int(text) if re.fullmatch(r"[+-]?[0-9]+", text) else float(text)


def read_flag(text: str, span: Span, field: Field) -> bool:
    word = text.lower()
    if word in {"yes", "true", "1"}:
        return True
    if word in {"no", "false", "0"}:
        return False
    raise QueryError(f"{field.name} is yes or no, not {text[:40]!r}", span, expected=f"write {field.name}:yes")


def read_choice(text: str, span: Span, field: Field) -> str:
    """The choice as it is declared, whatever case it was typed in."""
    choices = field.choices or ()
    found = next((c for c in choices if c.lower() == text.lower()), None)
    if found is None:
        raise not_a_choice(text, span, field)
    return found


def not_a_choice(text: str, span: Span, field: Field) -> QueryError:
    choices = field.choices or ()
    near = difflib.get_close_matches(text.lower()[:80], choices, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return QueryError(
        f"{field.name} is never {text[:40]!r}", span, expected=f"{hint}It is one of {', '.join(choices)}, none or any"
    )


def read_moment(text: str, span: Span, field: Field, now: datetime) -> Moment:
    """
    A date, an age or a word for a day. Days are UTC days.

    Raises:
        QueryError: not in the calendar, or not a date at all.
    """
    now = now.astimezone(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    word = text.lower()
    try:
        if word in {"today", "yesterday"}:
            start = midnight - timedelta(days=word == "yesterday")
            return Moment(start, start + timedelta(days=1))
        if word == "now":
            return Moment(now)
        if age := _RELATIVE.fullmatch(word):
            step = timedelta(**{_UNITS[age[3]]: int(age[2])})
            return Moment(now + step if age[1] == "+" else now - step, relative=True)
        if date := _DATE.fullmatch(text):
            return _date(date)
    except (ValueError, OverflowError) as error:
        raise QueryError(
            f"{text[:40]!r} is not in the calendar", span, expected=f"{field.name} takes {DATE_FORMS}"
        ) from error
    raise QueryError(
        f"{field.name} is a date, and {text[:40]!r} is none", span, expected=f"{field.name} takes {DATE_FORMS}"
    )


def _date(found: re.Match[str]) -> Moment:
    """The stretch that a date names: as long as its last part."""
    year, month, day = int(found["year"]), found["month"], found["day"]
    if month is None:
        return Moment(datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))
    if day is None:
        start = datetime(year, int(month), 1, tzinfo=UTC)
        return Moment(start, (start + timedelta(days=31)).replace(day=1))
    if found["hour"] is None:
        start = datetime(year, int(month), int(day), tzinfo=UTC)
        return Moment(start, start + timedelta(days=1))
    start = datetime.fromisoformat(found.group().upper())
    start = start.replace(tzinfo=start.tzinfo or UTC).astimezone(UTC)
    length = "microseconds" if found["fraction"] else "seconds" if found["second"] else "minutes"
    return Moment(start, start + timedelta(**{length: 1}))


def moment_text(moment: datetime) -> str:
    """The fixed form in which text columns hold a date, so that they sort: 2026-11-24T03:00:00.000000Z."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def bound(value: Any, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """
    *value* as a parameter that can be compared with *column* on any database.

    Numbers are bound wide: a number too large for the column must find nothing, not fail.
    """
    if isinstance(value, datetime):
        return _bound_moment(value, column)
    if isinstance(value, bool):
        return literal(value)
    if isinstance(value, int):
        return literal(value, BigInteger())
    if isinstance(value, float):
        return literal(value, Double())
    return literal(value)


def _bound_moment(value: datetime, column: ColumnElement[Any]) -> ColumnElement[Any]:
    value = value.astimezone(UTC)
    if isinstance(column.type, tables.Moment):
        return literal(value, tables.Moment())
    if isinstance(column.type, String):
        return literal(moment_text(value))
    if isinstance(column.type, Integer):
        return literal((value - _EPOCH) // timedelta(microseconds=1), BigInteger())
    if isinstance(column.type, Numeric | Float):
        return literal((value - _EPOCH).total_seconds(), Double())
    zoned = isinstance(column.type, DateTime) and column.type.timezone
    return literal(value if zoned else value.replace(tzinfo=None), DateTime(timezone=zoned))


def one_of(column: ColumnElement[Any], values: Sequence[Any]) -> ColumnElement[bool]:
    """*column* equals one of *values*."""
    parameters = [bound(v, column) for v in values]
    return column == parameters[0] if len(parameters) == 1 else column.in_(parameters)
