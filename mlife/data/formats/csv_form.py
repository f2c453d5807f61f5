r"""
CSV. Written for spreadsheets to open and for MLife to read back without loss.

A free column carries its kind in the header: `lux:int`, `night:bool`, `note:str`, `weather:json` (see `cells.py`).

- An empty cell is no value. In a kind other than `json`, `\N` is null; in `str`, `\E` is the empty text and a leading
  back slash is doubled. Columns whose cells are of several kinds are written as `json`.
- Text that a spreadsheet would run as a formula (`=`, `+`, `-`, `@`, tab, line end, full-width twins) gets a `'` in
  front, and so does text that looks as if it had one already; reading takes exactly one off. Numbers stay numbers.

A person's CSV needs none of this. `;`, tab or `sep=` files are recognised. A free column without a kind becomes
numbers or booleans only if nothing is lost by it: every cell would be written back as it stands (booleans but for their
case). A column with `007` or `1.10` in it stays text.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from mlife.core.errors import Refusal
from mlife.data.formats.cells import KINDS, LABELS, kind_of, read_cell, read_known, write_cell, write_known
from mlife.data.formats.csv_records import Records
from mlife.data.formats.rows import KNOWN, OPTIONAL, REQUIRED, Raw, Row, column_name, refusal
from mlife.data.formats.streams import CHUNK
from mlife.data.formats.values import GREATEST_INT, JSON, LEAST_INT, Fault, Limits

SPOOL = 8 << 20  # bytes kept in memory before a document that needs two passes goes to a temporary file

_FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")
_NEUTRALISED = re.compile("'+[=+\\-@\t\r\n＝＋－＠]")
_PLAIN_INT = re.compile(r"0|-?[1-9]\d{0,18}", re.ASCII)
_PLAIN_FLOAT = re.compile(r"-?\d+(\.\d+)?(e[+-]\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Column:
    """
    A column of the header.

    Args:
        kind: `known`; one of `KINDS`; or for a column without a declared kind: `text` or `number`.
    """

    name: str
    kind: str


def read_csv(stream: BinaryIO, limits: Limits) -> Iterator[Raw | Refusal]:
    """The rows of a CSV document, unchecked. A free column without a kind costs a first pass over the document."""
    with SpooledTemporaryFile(SPOOL) as spool:
        if not stream.seekable():
            shutil.copyfileobj(stream, spool, CHUNK)
            spool.seek(0)
            stream = cast(BinaryIO, spool)
        start = stream.tell()
        records = Records(stream, limits)
        columns = _columns(records, limits)
        if isinstance(columns, Refusal):
            yield columns
            return
        if any(c.kind == "text" for c in columns):
            columns = _guessed(columns, records)
            stream.seek(start)
            records = Records(stream, limits)
            records.header()
        for record in records.rest(len(columns)):
            if isinstance(record, Refusal):
                yield record
            else:
                yield record[0], _values(columns, record[1])


def _columns(records: Records, limits: Limits) -> list[Column] | Refusal:
    header = records.header()
    if isinstance(header, Refusal):
        return header
    number, names = header or (1, [])
    while names and not names[-1].strip():
        names.pop()
    try:
        columns = [_column(_restored(name), limits) for name in names]
        found = [c.name for c in columns]
        for name in found:
            if found.count(name) > 1:
                raise Fault(name, None, "is there twice in the header", "each column once")
        for name in REQUIRED:
            if name not in found:
                raise Fault(name, "", "is missing in the header", ", ".join(REQUIRED) + " in the first line")
    except Fault as fault:
        return refusal(number, fault)
    return columns


def _column(header: str, limits: Limits) -> Column:
    name, _, kind = header.rpartition(":")
    if kind.strip().lower() not in KINDS or not name.strip():
        name, kind = header, "text"
    name = column_name(name, limits)
    return Column(name, "known" if name in KNOWN else kind.strip().lower())


def _values(columns: list[Column], cells: list[str]) -> dict[str, object]:
    values: dict[str, object] = {}
    for column, cell in zip(columns, cells, strict=False):
        if column.kind == "known":
            values[column.name] = read_known(column.name, _restored(cell)) if cell else None
        elif cell:
            values[column.name] = _free_value(column.kind, cell)
    return values


def _free_value(kind: str, cell: str) -> object:
    if kind == "text":
        return _restored(cell)
    if kind == "number":
        return int(cell) if _PLAIN_INT.fullmatch(cell) else float(cell)
    if kind != "json" and cell == r"\N":
        return None
    if kind != "str":
        return read_cell(cell, kind)
    if cell == r"\E":
        return ""
    return _restored(cell).removeprefix("\\")


# ── columns without a kind ───────────────────────────────────────────────────────────────────────


def _guessed(columns: list[Column], records: Records) -> list[Column]:
    """*columns*, those of kind `text` replaced where every cell allows it."""
    open_kinds = {i: {"bool", "number"} for i, c in enumerate(columns) if c.kind == "text"}
    used: set[int] = set()
    for record in records.rest(len(columns)):
        if isinstance(record, Refusal):
            continue
        for i in list(open_kinds):
            if cell := record[1][i]:
                used.add(i)
                open_kinds[i] &= _kinds_without_loss(cell)
                if not open_kinds[i]:
                    del open_kinds[i]
        if not open_kinds:
            break
    kinds = {i: next(iter(kinds)) for i, kinds in open_kinds.items() if i in used}
    return [replace(c, kind=kinds.get(i, c.kind)) for i, c in enumerate(columns)]


def _kinds_without_loss(cell: str) -> set[str]:
    if cell.lower() in {"true", "false"}:
        return {"bool"}
    if len(cell) > 32:
        return set()
    if _PLAIN_INT.fullmatch(cell) and LEAST_INT <= int(cell) <= GREATEST_INT:
        return {"number"}
    if _PLAIN_FLOAT.fullmatch(cell) and repr(float(cell)) == cell:
        return {"number"}
    return set()


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def write_csv(rows: Iterable[Row]) -> Iterator[bytes]:
    """The rows as CSV. The header needs every row, so rows that can be read only once go to a temporary file."""
    with SpooledTemporaryFile(SPOOL) as spool:
        if not isinstance(rows, list | tuple):
            for row in rows:
                spool.write(row.stored())
            rows = _Spooled(cast(BinaryIO, spool))
        known, free = _survey(rows)
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow([*known, *(_neutral(f"{name}:{kind}") for name, kind in free.items())])
        for row in rows:
            writer.writerow(
                [*(_known_cell(row, n) for n in known), *(_free_cell(row.extra, n, k) for n, k in free.items())]
            )
            if text.tell() > CHUNK:
                yield text.getvalue().encode()
                text.seek(0)
                text.truncate()
        yield text.getvalue().encode()


class _Spooled:
    """Rows in a temporary file, to be read again and again."""

    def __init__(self, spool: BinaryIO) -> None:
        self._spool = spool

    def __iter__(self) -> Iterator[Row]:
        self._spool.seek(0)
        return map(Row.restored, self._spool)


def _survey(rows: Iterable[Row]) -> tuple[list[str], dict[str, str]]:
    """The known columns that have values, and the free ones with the kind that holds all of theirs."""
    filled: set[str] = set(REQUIRED)
    kinds: dict[str, set[str]] = {}
    for row in rows:
        filled.update(name for name in OPTIONAL if getattr(row, name) is not None)
        for name, value in row.extra.items():
            kinds.setdefault(name, set())
            if value is not None:
                kinds[name].add(kind_of(value))
    free = {name: found.pop() if len(found) == 1 else "json" if found else "str" for name, found in kinds.items()}
    return [*REQUIRED, *(name for name in OPTIONAL if name in filled)], free


def _known_cell(row: Row, name: str) -> str:
    value = getattr(row, name)
    if value is None:
        return ""
    return _neutral(write_known(value) if name in LABELS else str(value))


def _free_cell(extra: Mapping[str, JSON], name: str, kind: str) -> str:
    if name not in extra:
        return ""
    value = extra[name]
    if kind == "json":
        return write_cell(value, kind)
    if value is None:
        return r"\N"
    if not isinstance(value, str):
        return write_cell(value, kind)
    if not value:
        return r"\E"
    return "\\" + value if value.startswith("\\") else _neutral(value)


def _neutral(text: str) -> str:
    return "'" + text if _FORMULA.match(text) else text


def _restored(text: str) -> str:
    return text[1:] if _NEUTRALISED.match(text) else text
