"""
How rows are written for others: CSV, NDJSON, Parquet, part by part.

A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a return for a formula. Such a text gets one
apostrophe before it, and so does a text that begins with an apostrophe. So nothing is lost: whoever reads a column of
text takes one leading apostrophe off, and has what was exported. Numbers stay numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import orjson

from mlife.core.errors import Invalid, Misconfigured
from mlife.core.sealing import TEXT as SEALED

Kind = Literal["text", "integer", "number", "moment"]
RISKY = frozenset("=+-@\t\r'")
Open = Callable[[Any], Any]
Rows = Iterable[Sequence[Sequence[Any]]]
"""Parts of rows."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an export; *sealed*: its texts may be, and are opened for whoever may read them."""

    name: str
    kind: Kind
    sealed: bool = False


class ParquetWriter(Protocol):
    """The port of Parquet."""

    def __call__(self, columns: Sequence[tuple[str, str]], parts: Rows) -> Iterator[bytes]:
        """The file, piece by piece; *columns* are names and kinds."""


MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}


def check_format(name: str) -> str:
    """
    *name*, if there is such a format; `json` is NDJSON.

    Raises:
        Invalid: there is none.
    """
    found = {"json": "ndjson", "jsonl": "ndjson"}.get(name, name)
    if found not in MEDIA_TYPES:
        raise Invalid(f"there is no format {name[:40]!r}", remedy=f"choose one of {', '.join(MEDIA_TYPES)}")
    return found


def written(
    format_name: str, columns: Sequence[Column], parts: Rows, opened: Open, parquet: ParquetWriter | None
) -> Iterator[bytes]:
    """
    The export in the form *format_name* (see `check_format`), piece by piece.

    Args:
        opened: makes a sealed text readable.
        parquet: None where no package for it is installed.

    Raises:
        Misconfigured: Parquet is asked for, and there is no writer.
    """
    if any(c.sealed for c in columns):
        parts = _unsealed(columns, parts, opened)
    if format_name == "csv":
        return _csv(columns, parts)
    if format_name == "ndjson":
        return _ndjson(columns, parts)
    if parquet is None:
        raise Misconfigured("Parquet needs the package pyarrow", remedy="pip install 'mlife[parquet]', or ask for CSV")
    return parquet([(c.name, c.kind) for c in columns], parts)


def harmless(text: str) -> str:
    """*text* as a cell that no spreadsheet takes for a formula."""
    return "'" + text if text[:1] in RISKY and text else text


def as_it_was(cell: str) -> str:
    """The text that `harmless` made *cell* of."""
    return cell[1:] if cell[:1] == "'" else cell


def _unsealed(columns: Sequence[Column], parts: Rows, opened: Open) -> Rows:
    """The same rows with their sealed texts readable; parts without one pass as they are."""
    places = [at for at, c in enumerate(columns) if c.sealed]
    for part in parts:
        if not any(isinstance(row[at], str) and row[at].startswith(SEALED) for row in part for at in places):
            yield part
            continue
        plain = [list(row) for row in part]
        for row in plain:
            for at in places:
                row[at] = opened(row[at])
        yield plain


def _csv(columns: Sequence[Column], parts: Rows) -> Iterator[bytes]:
    cells = [_CELLS.get(c.kind) for c in columns]
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\r\n")
    write.writerow([c.name for c in columns])
    for part in parts:
        by_column = zip(cells, zip(*part, strict=True), strict=True)  # a column at a time is twice as fast
        write.writerows(zip(*(made(values) if made else values for made, values in by_column), strict=True))
        yield out.getvalue().encode()
        out.seek(0)
        out.truncate()
    yield out.getvalue().encode()


def _texts(values: Iterable[Any]) -> list[Any]:
    return [harmless(v) if v and v[0] in RISKY else v for v in values]


def _moments(values: Iterable[Any]) -> list[Any]:
    return [v and v.isoformat()[:-6] + "Z" for v in values]  # all are UTC


_CELLS: dict[Kind, Callable[[Iterable[Any]], list[Any]]] = {"text": _texts, "moment": _moments}
"""How the values of a column are written that are not written as they are."""


def _ndjson(columns: Sequence[Column], parts: Rows) -> Iterator[bytes]:
    names = [c.name for c in columns]
    options = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
    for part in parts:
        yield b"".join([orjson.dumps(dict(zip(names, row, strict=True)), option=options) for row in part])
