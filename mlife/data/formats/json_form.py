"""
JSON: an array of objects, or one object a line (NDJSON). A document that is said to be JSON may be either.

An array is read piece by piece. An item that is broken is refused by itself: where it ends is told by its brackets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO

import orjson

from mlife.core.errors import Refusal
from mlife.data.formats.cells import decoder, parse_json
from mlife.data.formats.rows import Raw, Row, refused
from mlife.data.formats.streams import CHUNK, chunks, lines, text_chunks
from mlife.data.formats.values import Limits, Unreadable

_OBJECT = 'an object such as {"path": "a.png", "md5": "…", "annotation": "sad"}'
_NOT_SPACE = re.compile(r"[^ \t\r\n]")
_MARK = re.compile(r'["{}\[\],]')
_REST_OF_STRING = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


def read_json(stream: BinaryIO, limits: Limits) -> Iterator[Raw | Refusal]:
    """The rows of a JSON array or of NDJSON, unchecked; the first character tells which it is."""
    source = chunks(stream)
    blank = []
    for chunk in source:
        blank.append(chunk)
        if start := chunk.strip():
            pieces = chain(blank, source)
            yield from _Array(text_chunks(pieces), limits).items() if start[:1] == b"[" else _objects(pieces, limits)
            return


def read_ndjson(stream: BinaryIO, limits: Limits) -> Iterator[Raw | Refusal]:
    """The rows of NDJSON, unchecked. Blank lines are left out."""
    return _objects(chunks(stream), limits)


def _objects(source: Iterable[bytes], limits: Limits) -> Iterator[Raw | Refusal]:
    for number, text in lines(source, limits.row):
        if text is None:
            yield refused(number, f"is longer than {limits.row:,} bytes", "shorter lines")
        elif text.strip():
            yield _judged(parse_json(text), number, text)


def _judged(value: object, line: int, text: str) -> Raw | Refusal:
    if isinstance(value, dict):
        return line, value
    if isinstance(value, Unreadable):
        return refused(line, value.problem, value.expected, value.text)
    return refused(line, "is no object", _OBJECT, text)


class _Array:
    """Reads a JSON array of objects from pieces of text; `_text[_at:]` is what is not read yet."""

    def __init__(self, pieces: Iterator[str], limits: Limits) -> None:
        self._pieces = pieces
        self._longest = limits.row
        self._text = ""
        self._at = 0

    def items(self) -> Iterator[Raw | Refusal]:
        """The items, each with its place in the list, from 1."""
        self._next_mark()
        self._at += 1
        place = 0
        while (mark := self._next_mark()) != "]":
            place += 1
            if not mark:
                yield refused(max(place - 1, 1), "the list is never closed: the document is cut off", "a closing ]")
                return
            yield refused(place, "is empty", _OBJECT) if mark == "," else self._item(place)
            if self._next_mark() == ",":
                self._at += 1
        self._at += 1
        if self._next_mark():
            yield refused(place + 1, "stands after the end of the list", "nothing", self._text[self._at :])

    def _more(self) -> bool:
        """Forget what is read and take in as much again as is left, so that a long item costs linear time."""
        rest = self._text[self._at :]
        added: list[str] = []
        size = 0
        while size <= len(rest) and (piece := next(self._pieces, None)) is not None:
            added.append(piece)
            size += len(piece)
        self._text, self._at = "".join([rest, *added]), 0
        return bool(added)

    def _next_mark(self) -> str:
        """Go to the next character that is no white space; empty at the end."""
        while not (found := _NOT_SPACE.search(self._text, self._at)):
            self._at = len(self._text)
            if not self._more():
                return ""
        self._at = found.start()
        return found[0]

    def _item(self, place: int) -> Raw | Refusal:
        try:
            value, end = decoder.raw_decode(self._text, self._at)
        except (ValueError, RecursionError):
            return self._slow_item(place)  # broken, or not all here yet
        after = _NOT_SPACE.search(self._text, end)
        if after is None or after[0] not in ",]":
            return self._slow_item(place)
        text, self._at = self._text[self._at : self._at + 400], end
        return _judged(value, place, text)

    def _slow_item(self, place: int) -> Raw | Refusal:
        extent, scanned, too_long, start = _Extent(), self._at, False, ""
        while (end := extent.find(self._text, scanned)) is None:
            start = start or self._text[self._at : self._at + 400]
            scanned = extent.scanned
            if scanned - self._at > self._longest:
                too_long, self._at = True, scanned
            scanned -= self._at
            if not self._more():
                text, self._at = self._text[self._at :], len(self._text)
                last = parse_json(text)  # whole, if only the closing bracket is missing
                if isinstance(last, dict) and not too_long:
                    return place, last
                return refused(place, "is cut off", "the whole document", start)
        text, self._at = self._text[self._at : end], end
        if too_long:
            return refused(place, f"is longer than {self._longest:,} characters", "shorter items", start)
        return _judged(parse_json(text), place, text)


class _Extent:
    """Finds where an item ends, at a `,` or `]` outside of its strings and brackets, over several pieces of text."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self.scanned = 0

    def find(self, text: str, at: int) -> int | None:
        """The place in *text* where the item ends; None if it goes on after `scanned`."""
        while True:
            if self._in_string:
                closed = _REST_OF_STRING.match(text, at)
                if not closed:
                    # A back slash at the end belongs to the character that comes next.
                    tail = len(text) - max(at, len(text.rstrip("\\")))
                    self.scanned = len(text) - tail % 2
                    return None
                at, self._in_string = closed.end(), False
            mark = _MARK.search(text, at)
            if not mark:
                self.scanned = len(text)
                return None
            if self._ends(mark[0]):
                return mark.start()
            at = mark.end()

    def _ends(self, mark: str) -> bool:
        if mark == '"':
            self._in_string = True
        elif mark in "{[":
            self._depth += 1
        elif self._depth == 0:
            return mark in ",]"
        elif mark in "}]":
            self._depth -= 1
        return False


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def write_json(rows: Iterable[Row]) -> Iterator[bytes]:
    """The rows as a JSON array, one item a line."""
    return _joined(chain([b"[\n"], _separated(rows), [b"\n]\n"]))


def write_ndjson(rows: Iterable[Row]) -> Iterator[bytes]:
    """The rows as NDJSON."""
    return _joined(orjson.dumps(row.as_json()) + b"\n" for row in rows)


def _separated(rows: Iterable[Row]) -> Iterator[bytes]:
    separator = b""
    for row in rows:
        yield separator + orjson.dumps(row.as_json())
        separator = b",\n"


def _joined(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Parts gathered into chunks that are worth sending."""
    gathered = bytearray()
    for part in parts:
        gathered += part
        if len(gathered) > CHUNK:
            yield bytes(gathered)
            gathered.clear()
    yield bytes(gathered)
