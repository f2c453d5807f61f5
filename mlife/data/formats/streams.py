"""
From bytes to lines, in constant memory, whatever a program or a person has saved.

UTF-8 with or without a byte order mark and UTF-16 with one are read. A byte that is not UTF-8 spoils its own row only:
text is decoded with `surrogateescape`, and the check of the row refuses what is left of that.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from mlife.data.formats.values import Fault

CHUNK = 1 << 16
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_PACKED = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
}


class Line(NamedTuple):
    """A line without its end, and its number from 1. `text` is None if it was longer than allowed."""

    number: int
    text: str | None


def chunks(stream: BinaryIO) -> Iterator[bytes]:
    """
    The document as UTF-8 bytes (possibly invalid here and there), without byte order mark.

    Raises:
        Fault: it is no text at all, or in an encoding that can't be told.
    """
    first = _read_full(stream)
    for magic, what in _PACKED.items():
        if first.startswith(magic):
            raise Fault("", None, f"is {what}, not a text", "the document itself, as CSV, JSON or XML")
    if first.startswith(_UTF32):
        raise Fault("", None, "is UTF-32", "UTF-8")
    if first.startswith(_UTF16):
        yield from _from_utf16(first, stream)
        return
    if b"\0" in first[:4]:
        raise Fault("", None, "looks like UTF-16 without a byte order mark", "UTF-8")
    yield first.removeprefix(codecs.BOM_UTF8)
    while chunk := stream.read(CHUNK):
        yield chunk


def _read_full(stream: BinaryIO) -> bytes:
    """A first chunk long enough to judge by: a socket may hand out single bytes."""
    first = b""
    while len(first) < CHUNK and (more := stream.read(CHUNK - len(first))):
        first += more
    return first


def _from_utf16(first: bytes, stream: BinaryIO) -> Iterator[bytes]:
    decode = codecs.getincrementaldecoder("utf-16")("surrogatepass").decode
    chunk = first
    while chunk:
        yield decode(chunk).encode("utf-8", "surrogatepass")
        chunk = stream.read(CHUNK)
    try:
        decode(b"", final=True)
    except UnicodeDecodeError:
        yield b"\xff"  # an odd byte at the end: whatever row it is in is refused


def lines(source: Iterable[bytes], longest: int) -> Iterator[Line]:
    """The lines of *source*, ended by LF, CR LF or (old spreadsheets) CR; CR LF keeps its CR."""
    number, tail, skipping, only_cr = 1, b"", False, None
    for raw in source:
        if only_cr is None:
            only_cr = b"\n" not in raw and b"\r" in raw
        *whole, tail = (tail + (raw.replace(b"\r", b"\n") if only_cr else raw)).split(b"\n")
        for line in whole:
            yield Line(number, None if skipping or len(line) > longest else _text(line))
            number, skipping = number + 1, False
        if len(tail) > longest:
            tail, skipping = b"", True
    if tail or skipping:
        yield Line(number, None if skipping or len(tail) > longest else _text(tail))


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")


def text_chunks(source: Iterable[bytes]) -> Iterator[str]:
    """*source* as text, in pieces."""
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    for chunk in source:
        yield decode(chunk)
    yield decode(b"", final=True)
