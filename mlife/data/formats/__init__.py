"""
Documents (tables of labelled files) as CSV, JSON, NDJSON and XML: any form to any other without loss.

Readers stream: a million-row document with one bad row gives 999,999 rows and one refusal, in constant memory but for
24 to 48 bytes a row by which repeated rows are found. A CSV's types and the defence against formulas are described in
`csv_form.py`, the XML in `xml_form.py`; what a value may be in `values.py` and `annotation.py`.

What has no meaning is made uniform when a row is read, whatever the form: white space around paths, labels and names;
upper-case digests; times in other zones; an empty known column, which is no value. So what comes out of one form is
equal to what comes out of any other.

Source: the paper's DAM section; the contract's section "A document".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import PurePath
from typing import BinaryIO

from mlife.core.errors import Invalid, Refusal
from mlife.data.formats.annotation import check_annotation
from mlife.data.formats.csv_form import read_csv, write_csv
from mlife.data.formats.json_form import read_json, read_ndjson, write_json, write_ndjson
from mlife.data.formats.rows import KNOWN, REQUIRED, Raw, Row, check_row, refusal
from mlife.data.formats.seen import Seen
from mlife.data.formats.values import JSON, Fault, Limits
from mlife.data.formats.xml_form import read_xml, write_xml

__all__ = [
    "JSON",
    "KNOWN",
    "REQUIRED",
    "Fault",
    "Form",
    "Limits",
    "Row",
    "check_annotation",
    "check_row",
    "form_of",
    "read_document",
    "write_document",
]


class Form(StrEnum):
    """A data exchange format of documents."""

    CSV = "csv"
    JSON = "json"
    NDJSON = "ndjson"
    XML = "xml"


MEDIA_TYPES = {
    Form.CSV: "text/csv; charset=utf-8",
    Form.JSON: "application/json",
    Form.NDJSON: "application/x-ndjson",
    Form.XML: "application/xml",
}

_READERS: dict[Form, Callable[[BinaryIO, Limits], Iterator[Raw | Refusal]]] = {
    Form.CSV: read_csv,
    Form.JSON: read_json,
    Form.NDJSON: read_ndjson,
    Form.XML: read_xml,
}
_WRITERS: dict[Form, Callable[[Iterable[Row]], Iterator[bytes]]] = {
    Form.CSV: write_csv,
    Form.JSON: write_json,
    Form.NDJSON: write_ndjson,
    Form.XML: write_xml,
}
_SUFFIXES = {
    "csv": Form.CSV,
    "tsv": Form.CSV,
    "json": Form.JSON,
    "ndjson": Form.NDJSON,
    "jsonl": Form.NDJSON,
    "xml": Form.XML,
}


def form_of(name: str) -> Form:
    """
    The form of a document called *name*, by its ending; `csv` or `text/csv` by themselves are understood too.

    Raises:
        Invalid: the ending says nothing.
    """
    plain = name.partition(";")[0].strip().lower()
    for form, media_type in MEDIA_TYPES.items():
        if plain == media_type.partition(";")[0]:
            return form
    form_or_none = _SUFFIXES.get(PurePath(plain).suffix.removeprefix(".") or plain)
    if form_or_none is None:
        raise Invalid(
            f"can't tell the form of {name!r}", remedy="end it in .csv, .json, .ndjson or .xml, or name the form"
        )
    return form_or_none


def read_document(stream: BinaryIO, form: Form | str, *, limits: Limits | None = None) -> Iterator[Row | Refusal]:
    """
    The rows of a document in order, each judged by itself; a row repeated (same MD5 and path) is refused.

    Args:
        stream: the bytes. CSV whose free columns declare no kind is read twice; a stream that can't seek is copied to
            a temporary file for that.
        form: `json` takes NDJSON too.
        limits: how large its parts may be.
    """
    limits = limits or Limits()
    seen = Seen()
    try:
        for found in _READERS[Form(form)](stream, limits):
            row = found if isinstance(found, Refusal) else check_row(found[1], found[0], limits)
            if isinstance(row, Row) and (first := seen.first(f"{row.md5}\0{row.path}", row.line)):
                row = Refusal(row.line, "path", row.path, f"repeats line {first} (same MD5 and path)", "each file once")
            yield row
    except Fault as fault:
        yield refusal(1, fault)


def write_document(rows: Iterable[Row], form: Form | str) -> Iterator[bytes]:
    """The rows as a document, in chunks of about 64 KiB."""
    return _WRITERS[Form(form)](rows)
