"""
XML, of this shape.

    <document>
      <row>
        <path>faces/1.png</path> <md5>…</md5> <annotation>sad</annotation>
        <column name="lux" type="int">12</column>
      </row>
    </document>

Known columns are elements. Free columns are `column` elements with a `type`: str (default), int, float, bool, null,
json. Any other element inside a row is a free column of text, so that other programs' files can be read. Text that XML
can't hold (control characters) is written as `json`.

A document type declaration is refused outright, so no entity is ever declared, expanded or fetched. XML that is not
well formed can't be read on from the fault: the rows before it are kept, and the refusal says that reading
stopped there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO
from xml.parsers import expat

from mlife.core.errors import Refusal
from mlife.data.formats.cells import KINDS, LABELS, dump_json, kind_of, read_cell, read_known, write_cell, write_known
from mlife.data.formats.rows import KNOWN, OPTIONAL, REQUIRED, Raw, Row, column_name, refusal, refused
from mlife.data.formats.streams import CHUNK
from mlife.data.formats.values import JSON, Fault, Limits

_ILLEGAL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_SPECIAL = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"})
_SHAPE = "<document> with <row> elements that hold <path>, <md5>, <annotation> and <column name=…>"


def read_xml(stream: BinaryIO, limits: Limits) -> Iterator[Raw | Refusal]:
    """The rows of an XML document, unchecked."""
    reader = _Reader(limits)
    reading = True
    while reading:
        reading = reader.feed(stream.read(CHUNK))
        yield from reader.found
        reader.found.clear()


class _Stop(Fault):
    """The document is not read any further."""


class _Reader:
    """Collects rows from the parser's events. Depth 1 is the document, 2 a row, 3 a column."""

    def __init__(self, limits: Limits) -> None:
        self.found: list[Raw | Refusal] = []
        self._limits = limits
        self._depth = 0
        self._row: dict[str, object] = {}
        self._line = 1
        self._fault: Fault | None = None
        self._column: tuple[str, str] = ("", "")
        self._text: list[str] = []
        self._length = 0
        self._fed = 0
        parser = self._parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._refuse_declaration
        parser.EntityDeclHandler = self._refuse_declaration
        parser.ExternalEntityRefHandler = self._refuse_declaration

    def feed(self, chunk: bytes) -> bool:
        """Take *chunk* in, the empty one being the end. False when there is nothing more to read."""
        self._fed += len(chunk)
        try:
            self._parser.Parse(chunk, not chunk)
            if self._fed - self._parser.CurrentByteIndex > self._limits.row:
                raise _Stop("", None, f"has a tag of more than {self._limits.row:,} bytes", _SHAPE)
        except _Stop as stop:
            self._stopped(self._parser.CurrentLineNumber, stop.problem, stop.expected)
        except expat.ExpatError as e:
            self._stopped(e.lineno, f"is not well formed: {expat.ErrorString(e.code)}", "well-formed XML")
        except (LookupError, ValueError) as e:
            self._stopped(1, f"has an encoding that can't be read ({e})", "UTF-8")
        else:
            return bool(chunk)
        return False

    def _stopped(self, line: int, problem: str, expected: str) -> None:
        self.found.append(refused(line, problem + "; reading stopped here", expected))

    def _refuse_declaration(self, *_: object) -> int:
        raise _Stop("", None, "declares a document type or an entity", "XML without <!DOCTYPE …>")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._text, self._length = [], 0
        if self._depth == 2:
            self._row, self._fault, self._line = {}, None, self._parser.CurrentLineNumber
            for name, text in attributes.items():
                self._judge(self._add, name, "str", text)
        elif self._depth == 3:
            self._judge(self._begin_column, tag, attributes)
        elif self._depth == 4:
            self._judge(self._refuse_inner, tag)
        elif self._depth > 64:
            raise _Stop("", None, "is nested more than 64 levels deep", _SHAPE)

    def _end(self, _tag: str) -> None:
        if self._depth == 3:
            self._judge(self._add, *self._column, "".join(self._text))
        elif self._depth == 2:
            self.found.append(refusal(self._line, self._fault) if self._fault else (self._line, self._row))
        self._depth -= 1
        self._text, self._length = [], 0

    def _characters(self, text: str) -> None:
        if self._depth >= 3:
            self._length += len(text)
            if self._length <= self._limits.cell:
                self._text.append(text)
            else:
                self._judge(self._refuse_long, text)
        elif text.strip():
            if self._depth == 2:
                self._judge(self._refuse_loose, text)
            else:
                self.found.append(refused(self._parser.CurrentLineNumber, "is text outside of a row", _SHAPE, text))

    def _judge(self, step: Callable[..., None], *values: object) -> None:
        """Do *step* unless the row is spoilt already; what is wrong then spoils the row, not the document."""
        if self._fault is None:
            try:
                step(*values)
            except Fault as fault:
                self._fault = fault

    def _begin_column(self, tag: str, attributes: dict[str, str]) -> None:
        name = attributes.get("name") if tag == "column" else tag
        if name is None:
            raise Fault("column", None, "has no name", '<column name="…">')
        self._column = (name, attributes.get("type", "str"))
        for other in attributes.keys() - {"name", "type"}:
            raise Fault(name, attributes[other], f"has the attribute {other!r}", "no attributes but name and type")

    def _add(self, name: str, kind: str, text: str) -> None:
        column = column_name(name, self._limits)
        if column in self._row:
            raise Fault(column, text, "is there twice", "each column once")
        if len(self._row) > self._limits.columns + len(KNOWN):
            raise Fault("", None, f"has more than {self._limits.columns} free columns", "fewer columns")
        if column in KNOWN:
            self._row[column] = read_known(column, text)
        elif kind == "null":
            self._row[column] = None
        elif kind in KINDS:
            self._row[column] = read_cell(text, kind)
        else:
            raise Fault(column, kind, "is no type of column", f"one of {', '.join(KINDS)}, null")

    def _refuse_inner(self, tag: str) -> None:
        raise Fault(self._column[0], f"<{tag}>", "has an element inside", 'text; nested values as type="json"')

    def _refuse_long(self, text: str) -> None:
        raise Fault(self._column[0], text, f"has more than {self._limits.cell:,} characters", "less")

    def _refuse_loose(self, text: str) -> None:
        raise Fault("", text, "is text outside of a column", _SHAPE)


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def write_xml(rows: Iterable[Row]) -> Iterator[bytes]:
    """The rows as XML."""
    gathered = ['<?xml version="1.0" encoding="UTF-8"?>\n<document>\n']
    size = 0
    for row in rows:
        text = f"  <row>{''.join(_elements(row))}</row>\n"
        gathered.append(text)
        size += len(text)
        if size > CHUNK:
            yield "".join(gathered).encode()
            gathered, size = [], 0
    yield "".join([*gathered, "</document>\n"]).encode()


def _elements(row: Row) -> Iterator[str]:
    for name in (*REQUIRED, *OPTIONAL):
        value = getattr(row, name)
        if value is not None or name in REQUIRED:
            yield f"<{name}>{_known_text(name, value)}</{name}>"
    for name, value in row.extra.items():
        kind, text = _typed(value)
        shown = "" if kind == "str" else f' type="{kind}"'
        yield f'<column name="{_escaped(name)}"{shown}>{text}</column>'


def _known_text(name: str, value: str | int | dict[str, JSON] | None) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return _json_text(value)
    return _escaped(write_known(value) if name in LABELS else str(value))


def _typed(value: JSON) -> tuple[str, str]:
    if value is None:
        return "null", ""
    kind = kind_of(value)
    if kind == "json" or (isinstance(value, str) and _ILLEGAL.search(value)):
        return "json", _json_text(value)
    return kind, _escaped(write_cell(value, kind))


def _json_text(value: JSON) -> str:
    text = dump_json(value)
    return _escaped(json.dumps(value) if _ILLEGAL.search(text) else text)


def _escaped(text: str) -> str:
    return text.translate(_SPECIAL)
