"""The opaque word that says where a page begins."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from sqlalchemy.types import Boolean, DateTime, Float, Integer, Numeric, TypeEngine

from mlife.core.query.parser import UNREADABLE
from mlife.core.query.problem import QueryError, Span
from mlife.core.query.values import LARGEST_INTEGER

MAX_CHARACTERS = 16_000

_WORD = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Cursor:
    """
    A place in a sorted list.

    Args:
        values: the sort values of the row at that place, the key last.
        now: what ages in the query are counted from.
        back: the page ends before that row instead of beginning after it.
    """

    values: tuple[Any, ...]
    now: datetime
    back: bool = False

    def encode(self, binding: str) -> str:
        """The cursor as text that fits into a URL; *binding* says which query and order it belongs to."""
        body = [binding, self.now.isoformat(), self.back, [_plain(v) for v in self.values]]
        return base64.urlsafe_b64encode(json.dumps([_checksum(body), *body]).encode()).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str, binding: str, types: list[TypeEngine[Any]]) -> Cursor:
        """
        Read a cursor of the same query and order.

        Args:
            text: what the client sent.
            binding: of the query and order that it is used with now.
            types: of the columns sorted by; a value of another type is refused.

        Raises:
            QueryError: it was made for another query or order, was changed, or is no cursor at all.
        """
        body = _unpacked(text)
        if body[0] != binding:
            raise QueryError(
                "this cursor belongs to another query or sort order",
                Span(text, 0, len(text)),
                expected="begin at the first page, or use the query and the sort that it came from",
                part="cursor",
            )
        try:
            _, now, back, values = body
            read = tuple(_typed(v, t) for v, t in zip(values, types, strict=True))
            moment = datetime.fromisoformat(now)
            aware = moment.tzinfo is not None
            moment = moment.astimezone(UTC)
        except (TypeError, ValueError, OverflowError, InvalidOperation):
            _refuse(text)
        if not aware or not isinstance(back, bool) or read[-1] is None:
            _refuse(text)
        return cls(read, moment, back)


def _unpacked(text: str) -> list[Any]:
    """What is in the cursor, once its checksum is right."""
    if len(text) > MAX_CHARACTERS or not _WORD.fullmatch(text):
        _refuse(text)
    try:
        whole = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        intact = isinstance(whole, list) and len(whole) == 5 and whole[0] == _checksum(whole[1:])
    except (ValueError, RecursionError):
        _refuse(text)
    if not intact:
        _refuse(text)
    return list(whole[1:])


def _refuse(text: str) -> NoReturn:
    raise QueryError(
        "this is not a cursor, or it was changed on the way",
        Span(text[:MAX_CHARACTERS], 0, min(len(text), MAX_CHARACTERS)),
        expected="begin at the first page, and take each cursor as it was given",
        part="cursor",
    ) from None


def _checksum(body: list[Any]) -> str:
    """It finds accidents. Who forges it gains nothing: each value is checked, and says only where a page begins."""
    return hashlib.sha256(json.dumps(body).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _typed(value: Any, column: TypeEngine[Any]) -> Any:
    """
    *value* if it can be compared with a column of that type.

    Raises:
        TypeError, ValueError, InvalidOperation: it can't.
    """
    if value is None:
        return None
    if isinstance(column, Boolean):
        return _instance(value, bool)
    if isinstance(column, DateTime):
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC)
    if isinstance(column, Integer | Numeric | Float):
        return _number(value, column)
    text = _instance(value, str)
    if UNREADABLE.search(text):
        raise ValueError("no database takes this")
    return text


def _number(value: Any, column: TypeEngine[Any]) -> int | float | Decimal:
    if isinstance(value, str) and isinstance(column, Numeric) and not isinstance(column, Float):
        exact = Decimal(value)
        if not exact.is_finite() or abs(exact.adjusted()) > 100:
            raise ValueError("out of range")
        return exact
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("not a number")
    if not math.isfinite(value) or (isinstance(value, int) and abs(value) > LARGEST_INTEGER):
        raise ValueError("out of range")
    return value


def _instance(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"not a {kind.__name__}")
    return value
