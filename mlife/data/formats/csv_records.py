"""
CSV records out of lines, so that a spoilt one costs one line: a quote that is never closed must not swallow the rest.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO

from mlife.core.errors import Refusal
from mlife.data.formats.rows import refused
from mlife.data.formats.streams import Line, chunks, lines
from mlife.data.formats.values import Limits

_SEPARATORS = (",", ";", "\t")
_TOLD = re.compile(r'"?sep=(.)"?,*\s*')
_WELL_FORMED = "cells as RFC 4180 has them: one with a separator, quote or line end in quotes, a quote inside doubled"


class _Feed:
    """Hands lines to the csv reader, remembers those of the current record, and takes some back."""

    def __init__(self, source: Iterator[Line], longest: int) -> None:
        self._source = source
        self._longest = longest
        self._waiting: deque[Line] = deque()
        self._size = 0
        self.taken: list[Line] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.line()
        if line is None:
            raise StopIteration
        self.taken.append(line)
        self._size += len(line.text or "")
        if line.text is None or self._size > self._longest:
            raise csv.Error(f"the row is longer than {self._longest:,} bytes")
        return line.text + "\n"

    def line(self) -> Line | None:
        """The next line as it stands; None at the end."""
        return self._waiting.popleft() if self._waiting else next(self._source, None)

    def put_back(self, *line: Line) -> None:
        """These lines come next."""
        self._waiting.extendleft(reversed(line))

    def begin(self) -> None:
        """A new record starts."""
        self.taken = []
        self._size = 0


class Records:
    """The records of a document."""

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        # A cell may pass the csv module's default of 128 KiB; its setting is the whole process's, so it only grows.
        csv.field_size_limit(max(csv.field_size_limit(), limits.row))
        self._feed = _Feed(lines(chunks(stream), limits.row), limits.row)
        self._reader = csv.reader(self._feed, strict=True)

    def header(self) -> tuple[int, list[str]] | Refusal | None:
        """The first record that is not blank, split at the separator that it tells; None for an empty document."""
        separator = None
        while line := self._feed.line():
            text = line.text or ""
            if separator is None and (told := _TOLD.fullmatch(text)):
                separator = told[1]
            elif line.text is None or text.strip(" \t\r,;"):
                self._feed.put_back(line)
                best = max(_SEPARATORS, key=text.count)
                self._reader = csv.reader(self._feed, strict=True, delimiter=separator or best)
                return self._record(None)
        return None

    def rest(self, width: int) -> Iterator[tuple[int, list[str]] | Refusal]:
        """The next records, of *width* cells and their first line's number; blank ones are left out."""
        while record := self._record(width):
            if isinstance(record, Refusal) or any(record[1]):
                yield record

    def _record(self, width: int | None) -> tuple[int, list[str]] | Refusal | None:
        self._feed.begin()
        try:
            cells = next(self._reader)
        except StopIteration:
            return None
        except csv.Error as e:
            return self._spoilt(str(e), _WELL_FORMED)
        if width is not None and len(cells) != width and any(cells):
            if len(cells) < width or any(cells[width:]):
                return self._spoilt(f"has {len(cells)} cells", f"{width}, as the header has")
            del cells[width:]
        return self._feed.taken[0].number, cells

    def _spoilt(self, problem: str, expected: str) -> Refusal:
        first, *others = self._feed.taken
        self._feed.put_back(*others)
        return refused(first.number, problem, expected, first.text or "")
