"""
From bytes to items: NDJSON, a JSON array or object, CloudEvents (structured, batched), told apart by looking.

Each item comes with its line (its place in an array), and what can't be read comes as the reason why, so that one bad
line never costs the good ones.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from mlife.badcases.intake.refusal import Unfit
from mlife.core.errors import Invalid

JSON = Any
Item = tuple[int, JSON]
"""A line from 1 and what stood there: parsed JSON, or an `Unfit`."""

LARGEST_DOCUMENT = 32_000_000
"""Bytes of one JSON array or object, which must be in memory whole; NDJSON may be of any length."""
MOST_CONTAINERS = 2_000_000
"""Objects and arrays in it: each takes a hundred bytes of memory, though it may be two bytes long."""
LONGEST_LINE = 16_000_000
"""Bytes of a line that is parsed to name the field at fault; a longer one is refused unread."""
EXPECTED_LINE = "one JSON object a line, as UTF-8"
EXPECTED_MESSAGE = "a report as JSON (UTF-8), or a CloudEvent in structured mode with a report as its data"
_BOM = b"\xef\xbb\xbf"


class Reader:
    """
    Takes bytes as they come and gives items as soon as they are whole, in memory that does not grow with the input.

    Only an array, an object over several lines or a batch of CloudEvents is held until its end.
    """

    def __init__(self) -> None:
        self._line = 0
        self._rest = bytearray()
        self._as_lines: bool | None = None

    def feed(self, some: bytes) -> list[Item]:
        """
        The items that *some* completes.

        Raises:
            Invalid: an array that is too long to be held.
        """
        self._rest += some
        if self._as_lines is None:
            self._as_lines = self._decide()
        if not self._as_lines:
            self._check_length()
            if not self._as_lines:
                return []
        end = self._rest.rfind(b"\n")
        if end < 0:
            return self._overlong()
        whole = bytes(memoryview(self._rest)[:end])
        del self._rest[: end + 1]
        return self._lines(whole)

    def finish(self) -> Iterable[Item]:
        """
        The items of what is left.

        Raises:
            Invalid: a document of more objects and arrays than may be held.
        """
        rest, self._rest = bytes(self._rest), bytearray()
        if self._line == 0:
            rest = rest.removeprefix(_BOM)
        if not self._as_lines and rest.strip():
            if rest.count(b"[") + rest.count(b"{") > MOST_CONTAINERS:
                raise _too_large(f"of more than {MOST_CONTAINERS:,} objects and arrays")
            try:
                document = orjson.loads(rest)
            except orjson.JSONDecodeError:
                pass  # perhaps NDJSON whose first line is broken: then each line says what is wrong with it
            else:
                return _members(document)
        self._as_lines = True
        return self._lines(rest) if rest else []

    def _decide(self) -> bool | None:
        """Lines or one document? None while it can't be told."""
        head = self._rest.removeprefix(_BOM).lstrip()
        first, newline, _ = head.partition(b"\n")
        if not newline:
            return False if head[:1] == b"[" else None
        if head[:1] == b"[":
            return False
        try:
            orjson.loads(first)
        except orjson.JSONDecodeError:
            return not (first.strip() == b"{" or first.rstrip().endswith((b",", b"{", b"[", b":")))
        return True

    def _check_length(self) -> None:
        if len(self._rest) <= LARGEST_DOCUMENT:
            return
        if self._rest.removeprefix(_BOM).lstrip()[:1] == b"[":
            raise _too_large(f"of more than {LARGEST_DOCUMENT // 1_000_000} MB")
        self._as_lines = True

    def _overlong(self) -> list[Item]:
        """A line without end is refused as soon as it is too long; what follows of it is thrown away."""
        if len(self._rest) <= LONGEST_LINE:
            return []
        self._rest = bytearray(b"x" * (LONGEST_LINE + 1))  # still too long when its end comes
        return []

    def _lines(self, whole: bytes) -> list[Item]:
        if self._line == 0:
            whole = whole.removeprefix(_BOM)
        items: list[Item] = []
        line = self._line
        for text in whole.split(b"\n"):
            line += 1
            try:
                items.append((line, orjson.loads(text)))
            except orjson.JSONDecodeError as e:
                if text.strip():
                    items.append((line, _broken(text, e)))
        self._line = line
        return items


def _broken(text: bytes, fault: orjson.JSONDecodeError) -> JSON:
    """Why a line is no JSON; or what a lenient parser makes of it, so that the field at fault can be named."""
    if len(text) > LONGEST_LINE:
        return Unfit(
            "", text[:100], f"is a line of more than {LONGEST_LINE // 1_000_000} MB", "at most 900 kB a report"
        )
    if text.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in text[:4]:
        return Unfit("", text[:40], "looks like UTF-16", EXPECTED_LINE)
    try:
        decoded = text.decode()
    except UnicodeDecodeError as e:
        return Unfit("", text[max(0, e.start - 20) : e.start + 20], f"is no UTF-8 at byte {e.start + 1}", EXPECTED_LINE)
    try:
        lenient = json.loads(decoded)  # takes NaN, Infinity, 1e400 and half characters, which are refused by field
    except (ValueError, RecursionError):
        lenient = None
    if isinstance(lenient, dict):
        return lenient
    return Unfit("", text[:400].decode(errors="replace"), f"is no JSON: {fault.msg.split(': line')[0]}", EXPECTED_LINE)


def message(value: bytes | None) -> JSON:
    """What stands in a message that holds one item, or an `Unfit`."""
    text = (value or b"").removeprefix(_BOM)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as e:
        if not text.strip():
            return Unfit("", "", "is empty" if value is not None else "is a tombstone", EXPECTED_MESSAGE)
        found = _broken(text, e)
    if isinstance(found, Unfit):
        found.expected = EXPECTED_MESSAGE
    return found


def _too_large(what: str) -> Invalid:
    return Invalid(f"a JSON document {what} is not taken", remedy="send NDJSON, one report a line, of any length")


def _members(document: JSON) -> Iterable[Item]:
    return enumerate(document, 1) if isinstance(document, list) else [(1, document)]


def items_of(payload: bytes | Iterable[JSON]) -> Iterator[Iterable[Item]]:
    """
    The items of *payload*: bytes of any of the forms, or parsed items (dictionaries) as they come.

    Raises:
        Invalid: an array that is too long to be held.
    """
    if isinstance(payload, bytes | bytearray):
        reader = Reader()
        view = memoryview(payload)
        for start in range(0, len(view), 1 << 16):
            yield reader.feed(bytes(view[start : start + (1 << 16)]))
        yield reader.finish()
        return
    some: list[Item] = []
    for item in enumerate(payload, 1):
        some.append(item)
        if len(some) == 1_000:
            yield some
            some = []
    yield some


def unwrapped(item: JSON) -> JSON:
    """
    The report inside a CloudEvent, or *item* itself.

    Raises:
        Unfit: it is neither; or the reason why it could not be read.
    """
    if isinstance(item, Unfit):
        raise item
    if not isinstance(item, dict):
        raise Unfit("", item, "is no JSON object", "a report, or a CloudEvent with a report as its data")
    if "specversion" not in item:
        return item
    if item["specversion"] != "1.0":
        raise Unfit("specversion", item["specversion"], "is not known", "1.0")
    data = item.get("data")
    if data is None and "data_base64" in item:
        try:
            data = orjson.loads(base64.b64decode(item["data_base64"], validate=True))
        except (binascii.Error, orjson.JSONDecodeError, TypeError, ValueError):
            raise Unfit("data_base64", item["data_base64"], "holds no JSON", "a report as JSON, in Base64") from None
    if not isinstance(data, dict):
        raise Unfit("data", "" if data is None else data, "is no JSON object", "the report")
    return data
