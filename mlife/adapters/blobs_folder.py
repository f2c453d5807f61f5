"""
Files in a folder, by the SHA-256 of their content: `ab/cd/abcd…`, read-only once written.

A file appears under its name in one step (rename), after its bytes are on the disk, so a kill or a power cut leaves
either the whole file or none. What an interrupted write leaves in `incoming` is removed at the next start: a writer
holds a lock on its temporary file, so the leftovers of the dead are told from the work of the living, also of other
processes.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from mlife.adapters.blob_sources import Measured, opened
from mlife.core.errors import Corrupt, HomeUnusable, NotFound, shortened
from mlife.core.ports import StoredFile, UploadLink

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the quota is used up", errno.EFBIG: "the file system's limit"}
_CLOSED = {errno.EROFS: "it is read-only", errno.EACCES: "permission denied", errno.EPERM: "permission denied"}


class FolderBlobs:
    """
    The `Blobs` port on a local folder, shared by any number of threads and processes.

    Args:
        root: the folder; made if it is missing.
        limit: the largest file that `put` takes, in bytes; None for any.

    Raises:
        HomeUnusable: the folder can't be made or written.
    """

    def __init__(self, root: Path, *, limit: int | None = None) -> None:
        self._root = root
        self._incoming = root / "incoming"
        self._limit = limit
        try:
            self._incoming.mkdir(parents=True, exist_ok=True)
            self._remove_leftovers()
        except OSError as e:
            raise self._unusable(e) from e

    def put(self, source: bytes | Path | BinaryIO, *, limit: int | None = None) -> StoredFile:
        """
        Keep the bytes of *source*, durably, before answering; putting them twice changes nothing.

        A file that is there but is not what was stored any more is put right.

        Args:
            source: the bytes, or where to read them; a stream is read to its end and not closed.
            limit: the largest size in bytes, in place of the store's own.

        Raises:
            TooLarge: nothing is kept.
            NotFound: *source* is a path without a readable file.
            Invalid: *source* broke off; nothing is kept.
            HomeUnusable: the disk is full or read-only; nothing is kept.
        """
        most = self._limit if limit is None else limit
        with opened(source) as stream:
            try:
                return self._put(stream, most)
            except OSError as e:
                raise self._unusable(e) from e

    def open(self, sha256: str, *, verify: bool = False) -> BinaryIO:
        """
        The bytes, to read.

        Args:
            sha256: 64 hexadecimal digits.
            verify: read the file once before, and compare its digest with its name.

        Raises:
            NotFound: no such file.
            Corrupt: it is not what was stored.
        """
        name = self._name(sha256)
        try:
            stream = name.open("rb")
        except FileNotFoundError as e:
            raise self._missing(sha256) from e
        if verify:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
            if found != sha256:
                stream.close()
                raise Corrupt(
                    f"file {sha256} has been changed on the disk: its digest is {found} now",
                    remedy="put the original file again",
                )
            stream.seek(0)
        return stream

    def path(self, sha256: str) -> Path | None:
        """
        The local path of the bytes; for reading only.

        Raises:
            NotFound: no such file.
        """
        name = self._name(sha256)
        if not name.is_file():
            raise self._missing(sha256)
        return name

    def has(self, sha256: str) -> bool:
        """Are the bytes there?"""
        return self._name(sha256).is_file()

    def hold(self, sha256: str, at: Path) -> Path:
        """
        A local path of the bytes that stays as long as *at* may be needed: the store's own.

        Raises:
            NotFound: no such file.
        """
        name = self._name(sha256)
        if not name.is_file():
            raise self._missing(sha256)
        return name

    def size(self, sha256: str) -> int:
        """
        How many bytes there are.

        Raises:
            NotFound: no such file.
        """
        try:
            return self._name(sha256).stat().st_size
        except FileNotFoundError as e:
            raise self._missing(sha256) from e

    def __iter__(self) -> Iterator[str]:
        """The SHA-256 of every file, in ascending order."""
        for first in sorted(self._root.glob("[0-9a-f][0-9a-f]")):
            for second in sorted(first.glob("[0-9a-f][0-9a-f]")):
                yield from sorted(f.name for f in second.iterdir() if _SHA256.fullmatch(f.name))

    # ── links: none, because nobody but this process serves the folder ───────────────────────────

    def download_link(self, sha256: str, *, disposition: str, media_type: str, seconds: int) -> str | None:
        """None."""
        return None

    def upload_link(self, *, sha256: str, size: int, seconds: int) -> UploadLink | None:
        """None."""
        return None

    def take_upload(self, upload_id: str, *, sha256: str, size: int) -> StoredFile:
        """Raises NotFound: there was no link."""
        raise NotFound(f"there is no upload {shortened(upload_id, 40)}", remedy="send the bytes to POST /api/v1/files")

    # ── writing ──────────────────────────────────────────────────────────────────────────────────

    def _put(self, source: BinaryIO, most: int | None) -> StoredFile:
        temporary, descriptor = self._begin()
        try:
            stored = _copy(source, descriptor, most)
            name = self._name(stored.sha256)
            if not _is_whole(name, stored):
                os.fchmod(descriptor, 0o444)
                os.fsync(descriptor)
                name.parent.mkdir(parents=True, exist_ok=True)
                temporary.replace(name)
            # Also when the file was there: whoever put it may not have come so far yet.
            for folder in (name.parent, name.parent.parent, self._root):
                _sync_folder(folder)
            return stored
        finally:
            temporary.unlink(missing_ok=True)
            os.close(descriptor)

    def _begin(self) -> tuple[Path, int]:
        """A new temporary file, locked for as long as its descriptor is open."""
        while True:
            temporary = self._incoming / uuid4().hex
            descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                return temporary, descriptor
            # Another process's clean-up took it for a leftover in the moment before it was locked.
            os.close(descriptor)

    def _remove_leftovers(self) -> None:
        for leftover in self._incoming.iterdir():
            with suppress(FileNotFoundError, BlockingIOError):  # gone meanwhile, or being written by a living process
                descriptor = os.open(leftover, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    leftover.unlink()
                finally:
                    os.close(descriptor)

    # ── names and errors ─────────────────────────────────────────────────────────────────────────

    def _name(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise NotFound(f"{sha256[:80]!r} is no SHA-256", remedy="give 64 hexadecimal digits in lower case")
        return self._root / sha256[:2] / sha256[2:4] / sha256

    def _missing(self, sha256: str) -> NotFound:
        return NotFound(f"no file {sha256} in {self._root}", remedy="put it first")

    def _unusable(self, error: OSError) -> HomeUnusable:
        why = _FULL.get(error.errno or 0)
        if why:
            return HomeUnusable(f"can't write to {self._root}: {why}", remedy="free some space, then try again")
        why = _CLOSED.get(error.errno or 0)
        if why:
            return HomeUnusable(f"can't write to {self._root}: {why}", remedy="make it writable for this user")
        return HomeUnusable(f"can't use {self._root}: {error.strerror or error}", remedy="check the disk")


def _copy(source: BinaryIO, descriptor: int, most: int | None) -> StoredFile:
    """Write *source* to *descriptor*; both digests in the same pass."""
    measured = Measured(source, most)
    for piece in measured:
        left = memoryview(piece)
        while left:
            left = left[os.write(descriptor, left) :]
    return measured.stored


def _is_whole(name: Path, stored: StoredFile) -> bool:
    """Does *name* hold these bytes? Read and not only measured: to put a file again is how a damaged one is mended."""
    try:
        with name.open("rb") as there:
            if os.fstat(there.fileno()).st_size != stored.size:
                return False
            return hashlib.file_digest(there, "sha256").hexdigest() == stored.sha256
    except FileNotFoundError:
        return False
    except OSError as e:
        if e.errno == errno.EIO:  # the disk can't read it any more
            return False
        raise


def _sync_folder(folder: Path) -> None:
    """Make the names in *folder* survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
