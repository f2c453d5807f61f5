"""An object of an S3 server as a file: read in ranges, healed when the connection breaks, held against its digest."""

from __future__ import annotations

import hashlib
import io
import re
import time
from contextlib import suppress
from typing import Any, BinaryIO, Final, cast

from minio.error import S3Error

from mlife.adapters.s3 import S3
from mlife.adapters.s3_faults import is_missing
from mlife.core.errors import Corrupt, NotFound, Unavailable

FIRST: Final = 1 << 18
"""Bytes that are asked for at first: most files are smaller, and some readers want only the beginning."""

CHUNK: Final = 1 << 20
HEAL_SECONDS: Final = 8.0
"""How long a connection that broke off is mended before the reader is told."""


def open_object(s3: S3, name: str, sha256: str | None) -> ObjectFile:
    """
    The object *name* of the bucket, buffered.

    Args:
        sha256: what its digest must be; it is compared whenever all of it was read in order. None: it may be any.

    Raises:
        NotFound: there is no such object; `Misconfigured` if there is no such bucket.
    """
    return ObjectFile(_Ranges(s3, name, sha256), buffer_size=FIRST)


class ObjectFile(io.BufferedReader):
    """What `open_object` gives; `size` in bytes, and the `etag` that it had."""

    raw: _Ranges

    @property
    def size(self) -> int:
        return self.raw.size

    @property
    def etag(self) -> str:
        return self.raw.etag

    def as_binary(self) -> BinaryIO:
        return cast("BinaryIO", self)


class _Ranges(io.RawIOBase):
    def __init__(self, s3: S3, name: str, sha256: str | None) -> None:
        self._s3, self._name, self._sha256 = s3, name, sha256
        self._at = self._until = 0
        self._digest, self._digested = hashlib.sha256(), 0
        self._response: Any = None
        self.size, self.etag = self._begin()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        at = max(0, start + offset)
        if at != self._at:
            self._drop()
            if at == 0:
                self._digest, self._digested = hashlib.sha256(), 0
        self._at = at
        return at

    def readinto(self, buffer: Any) -> int:
        """
        Read on.

        Raises:
            Unavailable: the server is away, for longer than it took to mend the connection.
            Corrupt: these would be the last bytes, and all of them together are not what was stored.
        """
        room = memoryview(buffer).cast("B")
        wanted = min(len(room), self.size - self._at)
        if wanted <= 0:
            return 0
        piece = self._piece(wanted)
        self._compare(piece)
        room[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self.read(CHUNK) or b"", b""))

    def close(self) -> None:
        if not self.closed:
            self._drop()
        super().close()

    # --- the server ---

    def _begin(self) -> tuple[int, str]:
        """Ask for the beginning; size and ETag of the whole."""
        try:
            self._response = self._ask(0, FIRST)
        except S3Error as e:
            if e.code == "InvalidRange":  # an empty object has no first byte
                self._compare(b"")
                return 0, ""
            if is_missing(e):
                raise NotFound(f"no file {self._name} in {self._s3.shown}", remedy="put it first") from e
            raise
        headers = self._response.headers
        whole = re.search(r"/(\d+)$", headers.get("Content-Range", ""))
        size = int(whole[1] if whole else headers["Content-Length"])
        self._until = min(FIRST, size) if whole else size
        if not size:
            self._compare(b"")
        return size, headers.get("ETag", "").strip('"')

    def _ask(self, offset: int, length: int) -> Any:
        with self._s3.translated():
            return self._s3.client.get_object(self._s3.address.bucket, self._name, offset=offset, length=length)

    def _piece(self, wanted: int) -> bytes:
        """Up to *wanted* bytes, and at least one."""
        broken_at: float | None = None
        while True:
            try:
                piece = self._try(wanted)
                if piece:
                    return piece
                raise Unavailable(f"the files' server {self._s3.shown} breaks off {self._name} at byte {self._at:,}")
            except Unavailable:
                self._drop()
                now = time.monotonic()
                broken_at = broken_at or now
                if now - broken_at > HEAL_SECONDS:
                    raise
                time.sleep(0.2)

    def _try(self, wanted: int) -> bytes:
        try:
            if self._response is None or self._at >= self._until:
                self._drop()
                self._response, self._until = self._ask(self._at, 0), self.size
            with self._s3.translated():
                return bytes(self._response.read(min(wanted, self._until - self._at)))
        except S3Error as e:  # it was there a moment ago
            raise Unavailable(f"{self._s3.shown} has lost {self._name} while it was read ({e.code})") from e

    def _drop(self) -> None:
        if self._response is not None:
            with suppress(OSError):  # a connection that is broken already
                self._response.close()
            self._response.release_conn()
            self._response = None

    def _compare(self, piece: bytes) -> None:
        """Go on digesting if *piece* follows what was digested; at the end of the object, compare."""
        if self._sha256 is None or self._at != self._digested:
            return
        self._digest.update(piece)
        self._digested += len(piece)
        if self._digested < getattr(self, "size", 0):
            return
        found = self._digest.hexdigest()
        if found != self._sha256:
            raise Corrupt(
                f"file {self._sha256} in {self._s3.shown} is not what was stored: its digest is {found}",
                remedy="put the original file again",
            )
