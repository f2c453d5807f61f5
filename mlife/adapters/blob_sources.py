"""What is put into a store of files, read once: piece by piece, with a limit, and with its digests."""

from __future__ import annotations

import hashlib
import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from mlife.core.errors import Invalid, NotFound, shortened
from mlife.core.ports import StoredFile

CHUNK = 1 << 20
IN_MEMORY = 4 << 20
"""Bytes of a stream that can't seek which are kept in memory before they go to a temporary file."""


class TooLarge(Invalid):
    """A file above the size limit."""

    status = 413
    title = "File too large"


@contextmanager
def opened(source: bytes | Path | BinaryIO) -> Iterator[BinaryIO]:
    """
    *source* as a stream; one that was a stream is not closed.

    Raises:
        NotFound: it is a path without a readable file.
    """
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif isinstance(source, Path):
        with _opened_file(source) as stream:
            yield stream
    else:
        yield source


def _opened_file(path: Path) -> BinaryIO:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe may never speak, a device never end
            raise NotFound(f"{shortened(str(path))} is no file", remedy="name a file, or put a whole folder")
        return path.open("rb")
    except OSError as e:
        raise NotFound(f"can't read {path}: {e.strerror}", remedy="check the path") from e


class Measured:
    """
    The pieces of *source*, whose digests are known when it has been read to its end.

    Args:
        most: the largest size in bytes; None for any.
    """

    def __init__(self, source: BinaryIO, most: int | None) -> None:
        self._source, self._most = source, most
        self._sha256, self._md5, self._size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0

    def __iter__(self) -> Iterator[bytes]:
        """
        Each piece, at most `CHUNK` bytes.

        Raises:
            TooLarge: there are more bytes than *most*. Invalid: the source broke off.
        """
        while piece := read_from(self._source, CHUNK):
            self._size += len(piece)
            if self._most is not None and self._size > self._most:
                raise TooLarge(
                    f"the file has more than {self._most:,} bytes", remedy="store a smaller file or raise the limit"
                )
            self._sha256.update(piece)
            self._md5.update(piece)
            yield piece

    @property
    def stored(self) -> StoredFile:
        """What was read."""
        return StoredFile(self._sha256.hexdigest(), self._md5.hexdigest(), self._size)


def read_from(source: BinaryIO, size: int) -> bytes:
    """
    Up to *size* bytes; none at the end.

    Raises:
        Invalid: the source broke off.
    """
    try:
        return source.read(size)
    except OSError as e:
        raise Invalid(f"the file broke off while it was read: {e.strerror or e}", remedy="send it again") from e


class Compared(io.RawIOBase):
    """What is sent of a stream that was measured: its last bytes are given only if the digest is still right."""

    def __init__(self, stream: BinaryIO, stored: StoredFile) -> None:
        self._stream, self._stored = stream, stored
        self._digest, self._size = hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        piece = read_from(self._stream, size if size >= 0 else CHUNK)
        self._digest.update(piece)
        self._size += len(piece)
        is_last = self._size >= self._stored.size
        if (not piece and self._stored.size) or (is_last and self._digest.hexdigest() != self._stored.sha256):
            raise Invalid("the file changed while it was read", remedy="send it again when nobody writes to it")
        return piece


@contextmanager
def read_twice(stream: BinaryIO, most: int | None) -> Iterator[tuple[BinaryIO, StoredFile]]:
    """
    What *stream* holds from where it stands, and a stream of it to read once more; at the end it stands at its end.

    Raises:
        TooLarge, Invalid: see `Measured`.
    """
    measured = Measured(stream, most)
    if _can_seek(stream):
        start = stream.tell()
        for _ in measured:
            pass
        end = stream.tell()
        stream.seek(start)
        yield stream, measured.stored
        stream.seek(end)
        return
    with SpooledTemporaryFile(IN_MEMORY) as copy:
        for piece in measured:
            copy.write(piece)
        copy.seek(0)
        yield cast("BinaryIO", copy), measured.stored


def _can_seek(stream: BinaryIO) -> bool:
    try:
        return stream.seekable()
    except AttributeError:  # what only reads is a stream, too
        return False
