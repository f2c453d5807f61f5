"""
Files in a bucket of an S3 server, through the `minio` client: `sha256/ab/abcd…`, each under the SHA-256 of its content.

**Nothing wrong or half can stand under a content address.** What is put is read once to know its digest (a stream that
can't seek, by way of a temporary file), and read again while it is sent, with the digest compared before the last
bytes leave: a single object is sent as a whole, and the parts of a large one are joined by the server at the end or
not at all. So no temporary object and no copying on the server is needed; memory holds a few parts. Only what clients
put by links comes to `incoming/` first; it is read, and copied by the server on condition that it is still the same.

What is left behind by the dead (parts, uploads) is removed after a day, by whoever next begins something of the kind,
and by `mlife doctor --fix`. A rule of the bucket would do that too, but versitygw has none, and setting ours would
replace the rules that the bucket has.

Reading is verified: a copy on this machine gets its name only when its digest is right, and what is read in order is
compared at its end.
"""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import math
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, cast
from uuid import uuid4

from minio.commonconfig import CopySource
from minio.error import S3Error

from mlife.adapters.blob_sources import Compared, Measured, opened, read_twice
from mlife.adapters.file_cache import FileCache, hold
from mlife.adapters.s3 import S3, address_of
from mlife.adapters.s3_faults import is_missing, no_bucket
from mlife.adapters.s3_leftovers import remove_leftovers
from mlife.adapters.s3_links import signed
from mlife.adapters.s3_reading import CHUNK, ObjectFile, open_object
from mlife.core.errors import Corrupt, Invalid, MLifeError, NotFound, Refusal, Unavailable, shortened
from mlife.core.ports import StoredFile, UploadLink

log = logging.getLogger("mlife.files")

PART: Final = 8 << 20
"""Bytes of a part; a file that has no more is sent as one object."""

MOST_PARTS: Final = 10_000
PARALLEL: Final = 3
"""Parts on their way at once; each stands in memory, and one more that is being read."""

TRIES: Final = 3
KNOWN_SECONDS: Final = 60.0
KNOWN_MOST: Final = 50_000
SWEEP_SECONDS: Final = 3600.0
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_UPLOAD: Final = re.compile(r"[0-9a-f]{32}")


class MinioBlobs:
    """
    The `Blobs` port on an S3 server, shared by any number of threads and processes. The server is not asked at once.

    Args:
        url: as `MLIFE_FILES` has it; see `address_of`.
        cache: folder of what is kept on this machine; `files` in it holds copies of files.
        limit: the largest file that `put` takes, in bytes; None for any.

    Raises:
        Misconfigured: the URL is wrong.
    """

    def __init__(self, url: str, *, cache: Path, limit: int | None = None) -> None:
        self._s3 = S3(address_of(url))
        self._bucket = self._s3.address.bucket
        self._cache = FileCache(cache / "files", self._s3.address.cache_bytes)
        self._limit = limit
        self._seen: dict[str, float] = {}
        self._has_bucket = False
        self._swept = 0.0
        self._lock = threading.Lock()

    # --- writing ---

    def put(self, source: bytes | Path | BinaryIO, *, limit: int | None = None) -> StoredFile:
        """
        Keep the bytes of *source*, durably, before answering; putting them twice changes nothing.

        A file that is there but is not what was stored any more is put right.

        Raises:
            TooLarge, NotFound, Invalid, HomeUnusable: as the port says; nothing is kept.
            Unavailable: the server is away. Misconfigured: it refuses us.
        """
        with opened(source) as stream, read_twice(stream, self._limit if limit is None else limit) as (again, stored):
            if not self._is_whole(stored):
                self._send(again, stored)
        self._know(stored.sha256)
        self._mend_copy(stored.sha256)
        return stored

    def _mend_copy(self, sha256: str) -> None:
        """Let a damaged copy on this machine go."""
        copy = self._cache.find(sha256)
        if copy is not None:
            with suppress(FileNotFoundError), copy.open("rb") as found:
                if not _is_named(found, sha256):
                    self._cache.forget(sha256)

    def _send(self, stream: BinaryIO, stored: StoredFile) -> None:
        part = max(PART, math.ceil(stored.size / MOST_PARTS))
        if stored.size > part:
            self._sweep()
        with _no_state(), self._s3.translated():
            self._s3.client.put_object(
                self._bucket,
                self._s3.address.object_of(stored.sha256),
                cast("BinaryIO", Compared(stream, stored)),
                stored.size,
                part_size=part,
                num_parallel_uploads=PARALLEL,
            )

    def _is_whole(self, stored: StoredFile) -> bool:
        """
        Does the server have these bytes? Read and not only measured: to put a file again is how a damaged one is
        mended.
        """
        try:
            with self._object(stored.sha256) as there:
                if there.size != stored.size:
                    return False
                while there.read(CHUNK):
                    pass
        except (NotFound, Corrupt):
            return False
        return True

    # --- reading ---

    def open(self, sha256: str, *, verify: bool = False) -> BinaryIO:
        """
        The bytes, from the copy on this machine if there is one.

        Args:
            verify: compare them before; if there is no copy, or a damaged one, it is fetched.

        Raises:
            NotFound: no such file. Corrupt: it is not what was stored, said here with *verify*, else at its end.
            HomeUnusable: with *verify*, no copy can be made.
        """
        for _ in range(TRIES):
            copy = self.path(sha256) if verify else self._copy(sha256)
            if copy is None:
                return self._object(sha256).as_binary()
            with suppress(FileNotFoundError):  # it has just made room
                found = copy.open("rb")
                if not verify or _is_named(found, sha256):
                    return found
                found.close()
                self._cache.forget(sha256)
        raise Corrupt(f"copies of file {sha256} on this machine do not stay as they are", remedy="check the disk")

    def path(self, sha256: str) -> Path | None:
        """A copy on this machine; it stays for an hour at least. Raises NotFound, Corrupt, HomeUnusable."""
        copy = self._copy(sha256)
        if copy is not None:
            return copy
        with self._object(sha256) as stream:
            kept = self._cache.keep(sha256, stream.as_binary())
        self._know(sha256)
        return kept

    def _copy(self, sha256: str) -> Path | None:
        _check_name(sha256)
        return self._cache.find(sha256)

    def hold(self, sha256: str, at: Path) -> Path:
        """*at*, a further name of the copy on this machine. Raises NotFound, Corrupt, HomeUnusable."""
        if at.exists():
            return at
        copy = self.path(sha256)
        assert copy is not None  # this store always gives one
        return hold(copy, at)

    def has(self, sha256: str) -> bool:
        """Are the bytes there? What was seen there within the last minute is not asked for again."""
        if not _SHA256.fullmatch(sha256):
            return False
        if self._seen.get(sha256, 0.0) > time.monotonic() - KNOWN_SECONDS:
            return True
        try:
            self.size(sha256)
        except NotFound:
            return False
        return True

    def size(self, sha256: str) -> int:
        """How many bytes there are. Raises NotFound."""
        _check_name(sha256)
        try:
            with self._s3.translated():
                found = self._s3.client.stat_object(self._bucket, self._s3.address.object_of(sha256))
        except S3Error as e:
            if not is_missing(e):
                raise
            self._check_bucket()
            raise NotFound(f"no file {sha256} in {self._s3.shown}", remedy="put it first") from e
        self._know(sha256)
        return found.size or 0

    def __iter__(self) -> Iterator[str]:
        """The SHA-256 of every file, in ascending order."""
        listed = self._s3.client.list_objects(self._bucket, prefix=self._s3.address.files, recursive=True)
        while True:
            with self._s3.translated():
                found = next(listed, None)
            if found is None:
                return
            name = (found.object_name or "").rpartition("/")[2]
            if _SHA256.fullmatch(name):
                yield name

    def _object(self, sha256: str) -> ObjectFile:
        _check_name(sha256)
        return open_object(self._s3, self._s3.address.object_of(sha256), sha256)

    # --- links ---

    def download_link(self, sha256: str, *, disposition: str, media_type: str, seconds: int) -> str | None:
        """A link to the file, which is not looked for; None if MLIFE_FILES says links=off."""
        _check_name(sha256)
        sent = {"response-content-disposition": disposition, "response-content-type": media_type}
        return self._link("GET", self._s3.address.object_of(sha256), seconds, query=sent)

    def upload_link(self, *, sha256: str, size: int, seconds: int) -> UploadLink | None:
        """
        A link that takes bytes with this size and digest only; None if MLIFE_FILES says links=off.

        Servers that do not know the checksum's header take other bytes of that size: `take_upload` finds out.
        """
        if self._s3.address.links is None:
            return None
        self._sweep()
        upload_id = uuid4().hex
        checksum = {"x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(sha256)).decode()}
        headers = {**checksum, "content-length": str(size)}
        url = self._link("PUT", f"{self._s3.address.incoming}{upload_id}", seconds, headers=headers)
        return UploadLink(upload_id, url or "", checksum, seconds)

    def take_upload(self, upload_id: str, *, sha256: str, size: int) -> StoredFile:
        """
        Keep what was put to a link, once it has been read and is what it should be. May be repeated.

        Raises:
            NotFound: nothing was put there. Invalid: something else was; it is thrown away.
        """
        _check_name(sha256)
        if not _UPLOAD.fullmatch(upload_id):
            raise NotFound(f"there is no upload {shortened(upload_id, 40)}", remedy="ask for a link first")
        name = f"{self._s3.address.incoming}{upload_id}"
        try:
            stored, etag = self._looked_at(name)
            if (stored.sha256, stored.size) != (sha256, size):
                raise _not_what_was_said(stored, sha256, size)
            self._move(name, sha256, etag)
        except NotFound as e:  # perhaps the same was asked twice, and the other was faster
            return self._taken_before(upload_id, sha256, e)
        except Invalid:
            self._remove(name)
            raise
        self._remove(name)  # while the server is away it stays, for the next try
        self._know(sha256)
        return stored

    def _link(self, method: str, name: str, seconds: int, **more: dict[str, str]) -> str | None:
        address = self._s3.address
        if address.links is None:
            return None
        now = datetime.now(UTC)  # what the server holds against its own clock, whatever the home's says
        return signed(address, method, name, base=address.links, at=now, seconds=seconds, **more)

    def _looked_at(self, name: str) -> tuple[StoredFile, str]:
        """Digests and ETag of an upload."""
        with open_object(self._s3, name, None) as stream:
            measured = Measured(stream.as_binary(), None)
            for _ in measured:
                pass
            return measured.stored, stream.etag

    def _taken_before(self, upload_id: str, sha256: str, fault: NotFound) -> StoredFile:
        """The file, if the upload became it earlier: an answer may have been lost on its way."""
        try:
            return self._looked_at(self._s3.address.object_of(sha256))[0]
        except NotFound:
            raise NotFound(
                f"nothing was put to the link of upload {upload_id}", remedy="put the bytes, or ask for a new link"
            ) from fault

    def _move(self, name: str, sha256: str, etag: str) -> None:
        """Let the server copy an upload to its content address, if it is still what was read."""
        source = CopySource(self._bucket, name, match_etag=etag or None)
        try:
            with self._s3.translated():
                self._s3.client.copy_object(self._bucket, self._s3.address.object_of(sha256), source)
        except S3Error as e:
            if is_missing(e):
                raise NotFound("the upload has gone while it was looked at", remedy="send it again") from e
            raise Invalid("the upload was changed while it was looked at", remedy="send it again") from e

    def _remove(self, name: str) -> None:
        try:
            with self._s3.translated():
                self._s3.client.remove_object(self._bucket, name)
        except (MLifeError, S3Error) as e:
            log.info("%s stays until it is swept: %s", name, e)

    # --- what is known, and what is left ---

    def _know(self, sha256: str) -> None:
        self._has_bucket = True
        if len(self._seen) >= KNOWN_MOST:
            self._seen = {}
        self._seen[sha256] = time.monotonic()

    def _check_bucket(self) -> None:
        """A missing object and a missing bucket look the same where no body is sent. Raises Misconfigured."""
        if not self._has_bucket:
            self._has_bucket = self._s3.has_bucket()
            if not self._has_bucket:
                raise no_bucket(self._s3.shown)

    def _sweep(self) -> None:
        """Remove what is left from yesterday, once an hour; not being able to is no reason to refuse a file."""
        with self._lock:
            if self._swept and time.monotonic() - self._swept < SWEEP_SECONDS:
                return
            self._swept = time.monotonic()
        try:
            removed = remove_leftovers(self._s3)
        except MLifeError as e:
            log.info("leftovers of uploads stay in %s for now: %s", self._s3.shown, e)
        else:
            if removed:
                log.info("removed %d leftovers of uploads from %s", removed, self._s3.shown)


@contextmanager
def _no_state() -> Iterator[None]:
    """A block that writes: whatever state the server says that it misses, the same may work when it is tried again."""
    try:
        yield
    except S3Error as e:
        raise Unavailable(f"the files' server lost track of an upload ({e.code})", remedy="send it again") from e


def _is_named(stream: io.BufferedReader, sha256: str) -> bool:
    """Whether *stream* is the file of that digest; it stands at its beginning then."""
    is_right = hashlib.file_digest(stream, "sha256").hexdigest() == sha256
    stream.seek(0)
    return is_right


def _check_name(sha256: str) -> None:
    if not _SHA256.fullmatch(sha256):
        raise NotFound(f"{sha256[:80]!r} is no SHA-256", remedy="give 64 hexadecimal digits in lower case")


def _not_what_was_said(stored: StoredFile, sha256: str, size: int) -> Invalid:
    wrong = [("sha256", sha256, stored.sha256), ("size", str(size), str(stored.size))]
    refusals = tuple(
        Refusal(1, n, said, "is not that of the bytes that came", found) for n, said, found in wrong if said != found
    )
    return Invalid(
        "other bytes came than were announced", remedy="ask for a new link, and send the file again", refusals=refusals
    )
