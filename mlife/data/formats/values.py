"""
What a single value of a document may be, whichever form it came in.

Each check returns the value in its canonical spelling or raises `Fault`; only `rows.py` turns a fault into a refusal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import PurePosixPath
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from mlife.core.errors import Invalid, shortened

Scalar: TypeAlias = str | int | float | bool | None
JSON: TypeAlias = "Scalar | list[JSON] | dict[str, JSON]"

LEAST_INT, GREATEST_INT = -(2**63), 2**63 - 1
LEAST_YEAR, GREATEST_YEAR = 1900, 2100

_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_MD5 = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_DRIVE = re.compile(r"[A-Za-z]:")
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_LINKS = frozenset({"s3", "gs", "http", "https"})


@dataclass(frozen=True, slots=True)
class Limits:
    """
    How large a document's parts may be. The readers hold at most a few rows, so these bound their memory.

    Args:
        cell: characters in one value.
        row: bytes in one row as it stands in the document.
        columns: free columns of one row.
        name: characters in a column's name.
        depth: nesting of a JSON value.
        now: times more than a day after it are refused; None asks no clock and refuses years after 2100.
    """

    cell: int = 1 << 20
    row: int = 4 << 20
    columns: int = 256
    name: int = 128
    depth: int = 16
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands where a value should be that the parser could not take; the check of the row names its field."""

    text: str
    problem: str
    expected: str


class Fault(Invalid):
    """
    A value that a document can't have.

    Args:
        field: dotted path, e.g. `annotation.boxes[2].width`.
        value: what stood there; None shows nothing.
    """

    def __init__(self, field: str, value: object, problem: str, expected: str) -> None:
        super().__init__(f"{field} {problem}", remedy=f"expected {expected}" if expected else "")
        self.field, self.problem, self.expected = field, problem, expected
        self.shown = "" if value is None else shortened(value.text if isinstance(value, Unreadable) else value)


def check_text(value: object, field: str, limits: Limits) -> str:
    """Any text: valid Unicode, no NUL (databases refuse it), not longer than a cell."""
    if not isinstance(value, str):
        raise wrong_type(value, field, "text")
    if len(value) > limits.cell:
        raise Fault(field, value, f"has {len(value):,} characters", f"at most {limits.cell:,}")
    if not value.isascii() or "\0" in value:
        found = _NO_TEXT.search(value)
        if found:
            raise Fault(field, value, _no_text_problem(found[0]), "valid UTF-8 text")
    return value


def _no_text_problem(character: str) -> str:
    if character == "\0":
        return "contains a NUL character"
    # Readers decode with `surrogateescape`, so a byte that is not UTF-8 arrives as U+DC80 to U+DCFF.
    if "\udc80" <= character <= "\udcff":
        return f"contains the byte 0x{ord(character) - 0xDC00:02x}, which is not UTF-8"
    return "contains half of a surrogate pair"


def check_word(value: object, field: str, limits: Limits) -> str | None:
    """Text of a known column: one line, trimmed; empty is None."""
    if value is None:
        return None
    text = check_text(value, field, limits).strip()
    found = _CONTROL.search(text)
    if found:
        raise Fault(field, value, f"contains the control character U+{ord(found[0]):04X}", "text on one line")
    return text or None


def check_path(value: object, field: str, limits: Limits) -> str:
    """
    A relative path with forward slashes, or an s3, gs, http or https link.

    Back slashes become forward ones, and `./` and `//` go, so that one file has one spelling. Nothing that could
    leave the folder it is read from is let through.
    """
    text = check_word(value, field, limits)
    if text is None:
        raise Fault(field, None, "is empty", "the path of a file")
    if len(text) > 1024:
        raise Fault(field, text, f"has {len(text):,} characters", "at most 1,024")
    if "://" in text:
        return _check_link(text, field)
    text = text.replace("\\", "/")
    if text.startswith("/"):
        raise Fault(field, value, "is an absolute path", "a path relative to the document's files")
    if _DRIVE.match(text):
        raise Fault(field, value, "names a drive", "a path relative to the document's files")
    if _SCHEME.match(text):
        raise Fault(
            field, value, "looks like a link of an unknown kind", "a relative path or an s3, gs or http(s) link"
        )
    if text.endswith(("/", "/.")) or text == ".":
        raise Fault(field, value, "names a folder", "the path of a file")
    path = PurePosixPath(text)
    if ".." in path.parts:
        raise Fault(field, value, "leaves its folder by '..'", "a path without '..'")
    return str(path)


def _check_link(text: str, field: str) -> str:
    expected = "an s3, gs, http or https link to a file"
    try:
        parts = urlsplit(text)
    except ValueError:
        raise Fault(field, text, "is no valid link", expected) from None
    if parts.scheme not in _LINKS or not parts.netloc:
        raise Fault(field, text, f"is a link of the kind {parts.scheme!r}", expected)
    if "@" in parts.netloc:
        raise Fault(field, text.replace(parts.netloc, "…"), "carries a user name or password", "a link without them")
    if ".." in re.split(r"[/\\]", unquote(unquote(parts.path))):
        raise Fault(field, text, "leaves its folder by '..'", "a path without '..'")
    return text


def check_md5(value: object, field: str, limits: Limits) -> str:
    """32 hexadecimal digits, in lower case."""
    text = check_word(value, field, limits)
    if text is None or not _MD5.fullmatch(text := text.lower()):
        raise Fault(field, value, "is no MD5" if text else "is empty", "32 hexadecimal digits")
    return text


def check_sha256(value: object, field: str, limits: Limits) -> str | None:
    """64 hexadecimal digits, in lower case; the prefix `sha256:` is taken off."""
    text = check_word(value, field, limits)
    if text is not None and not _SHA256.fullmatch(text := text.lower().removeprefix("sha256:")):
        raise Fault(field, value, "is no SHA-256", "64 hexadecimal digits")
    return text


def check_size(value: object, field: str, _limits: Limits) -> int | None:
    """A number of bytes."""
    if value is None:
        return None
    number = check_number(value, field)
    if not isinstance(number, int) or number < 0:
        raise Fault(field, value, "is no size", "a whole number of bytes, 0 or more")
    return number


def check_media_type(value: object, field: str, limits: Limits) -> str | None:
    """`image/png` and the like, in lower case."""
    text = check_word(value, field, limits)
    if text is not None and not _MEDIA_TYPE.fullmatch(text := text.lower()):
        raise Fault(field, value, "is no media type", "a media type such as image/png")
    return text


def check_time(value: object, field: str, limits: Limits) -> str | None:
    """
    A moment as RFC 3339 UTC (`2026-11-24T03:00:00Z`), to the microsecond.

    A time without zone is taken as UTC, a date as its midnight: that is what spreadsheets write.
    """
    text = check_word(value, field, limits)
    if text is None:
        return None
    expected = "a time such as 2026-11-24T03:00:00Z"
    if not _TIME.fullmatch(text):
        raise Fault(field, value, "is no time", expected)
    year = int(text[:4])
    if not LEAST_YEAR <= year <= GREATEST_YEAR:
        raise Fault(field, value, f"is in the year {year}", f"a year from {LEAST_YEAR} to {GREATEST_YEAR}")
    try:
        moment = datetime.fromisoformat(text.upper().replace(",", "."))
    except ValueError as e:
        raise Fault(field, value, f"is no time: {e}", expected) from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if limits.now is not None and moment > limits.now + timedelta(days=1):
        raise Fault(field, value, "is in the future", "a time that has been")
    return moment.isoformat().replace("+00:00", "Z")


def check_number(value: object, field: str) -> int | float:
    """A finite number; whole numbers fit into 64 bits, as every database and JSON reader expects."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(value, field, "a number")
    if isinstance(value, int) and not LEAST_INT <= value <= GREATEST_INT:
        raise Fault(field, "" if abs(value) > 10**40 else value, "is too large", "a whole number of at most 64 bits")
    if not isfinite(value):
        raise Fault(field, value, "is not finite", "a finite number")
    return value


def check_json(value: object, field: str, limits: Limits, depth: int = 0) -> JSON:
    """Any JSON value whose numbers and texts every form can carry."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return check_text(value, field, limits)
    if isinstance(value, int | float):
        return check_number(value, field)
    if depth >= limits.depth:
        raise Fault(field, None, "is nested too deeply", f"at most {limits.depth} levels")
    if isinstance(value, list):
        return [check_json(item, f"{field}[{i}]", limits, depth + 1) for i, item in enumerate(value)]
    if isinstance(value, dict):
        return {
            check_text(k, field, limits): check_json(v, f"{field}.{shortened(k, 40)}", limits, depth + 1)
            for k, v in value.items()
        }
    raise wrong_type(value, field, "a JSON value")


def check_name(name: str, limits: Limits) -> str:
    """A free column's name: short, one line, trimmed."""
    text = name.strip()
    if not text:
        raise Fault("", None, "has a column without a name", "a name for every column")
    if len(text) > limits.name:
        raise Fault(shortened(text, 40), text, f"is a name of {len(text):,} characters", f"at most {limits.name}")
    found = _CONTROL.search(text)
    if found:
        raise Fault(shortened(text, 40), text, f"has U+{ord(found[0]):04X} in its name", "a name on one line")
    return text


def wrong_type(value: object, field: str, expected: str) -> Fault:
    """The fault of a value that is not *expected*, or that its parser could not take."""
    if isinstance(value, Unreadable):
        return Fault(field, value, value.problem, value.expected)
    kinds = {type(None): "null", bool: "true or false", list: "a list", dict: "an object", str: "text"}
    return Fault(field, value, f"is {kinds.get(type(value), 'a number')}", expected)
