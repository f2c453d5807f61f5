"""
Copies of files on this machine, verified before they get their names; the least recently used make room.

Any number of processes share one folder. A copy appears in one step (rename) after its bytes are on the disk. Room is
made by one process at a time, and never by removing a copy that was asked for within the hour or that somebody holds
by a link of his own; so the folder may be larger than its limit while much is in use.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final
from uuid import uuid4

from mlife.core.errors import HomeUnusable

CHUNK: Final = 1 << 20
IN_USE_SECONDS: Final = 3600.0
"""A copy that was asked for is left alone for this long."""

TOUCH_SECONDS: Final = 60.0
SHARE_UNSEEN: Final = 0.05
"""Of the limit: what this process may add before it looks at the whole folder again."""

SHARE_KEPT: Final = 0.9
"""Of the limit: what is kept when room is made."""


class FileCache:
    """
    Args:
        folder: made when the first copy comes.
        most: bytes that are kept, about.
        in_use: seconds for which a copy that was asked for is left alone.
    """

    def __init__(self, folder: Path, most: int, *, in_use: float = IN_USE_SECONDS) -> None:
        self._folder, self._most, self._in_use = folder, most, in_use
        self._incoming = folder / "incoming"
        self._unseen: int | None = None
        self._lock = threading.Lock()

    def find(self, sha256: str) -> Path | None:
        """The copy of that file, which is now in use; None if there is none."""
        path = self._path(sha256)
        try:
            if time.time() - path.stat().st_mtime > TOUCH_SECONDS:
                os.utime(path)
        except FileNotFoundError:
            return None
        except OSError as e:
            if e.errno not in {errno.EROFS, errno.EACCES, errno.EPERM}:
                raise _unusable(self._folder, e) from e
        return path

    def keep(self, sha256: str, source: BinaryIO) -> Path:
        """
        Copy *source*, whose reading fails if it is not what its digest says.

        Raises:
            HomeUnusable: the disk is full or read-only.
        """
        path = self._path(sha256)
        partial = self._incoming / uuid4().hex
        try:
            self._incoming.mkdir(parents=True, exist_ok=True)
            try:
                size = _write(source, partial)
                path.parent.mkdir(parents=True, exist_ok=True)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        except OSError as e:
            raise _unusable(self._folder, e) from e
        self._count(size)
        return path

    def forget(self, sha256: str) -> None:
        """Remove the copy of that file."""
        self._path(sha256).unlink(missing_ok=True)

    def sizes(self) -> Iterator[tuple[float, int, Path]]:
        """Of each copy that nobody holds by a link: when it was last asked for, bytes, place."""
        for path in self._folder.glob("[0-9a-f][0-9a-f]/*"):
            with suppress(FileNotFoundError):
                found = path.stat()
                if found.st_nlink == 1:
                    yield found.st_mtime, found.st_size, path

    # --- room ---

    def _count(self, size: int) -> None:
        with self._lock:
            first = self._unseen is None
            self._unseen = (self._unseen or 0) + size
            if not first and self._unseen < self._most * SHARE_UNSEEN:
                return
            self._unseen = 0
        self._make_room()

    def _make_room(self) -> None:
        try:
            lock = os.open(self._incoming / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._remove_oldest()
                self._remove_leftovers()
            except BlockingIOError:  # another process is at it
                return
            finally:
                os.close(lock)
        except OSError as e:
            raise _unusable(self._folder, e) from e

    def _remove_oldest(self) -> None:
        copies = sorted(self.sizes())
        total = sum(size for _, size, _ in copies)
        if total <= self._most:
            return
        unused_since = time.time() - self._in_use
        for asked, size, path in copies:
            if total <= self._most * SHARE_KEPT or asked > unused_since:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _remove_leftovers(self) -> None:
        """What a killed process was copying: a living one writes all the time."""
        for partial in self._incoming.iterdir():
            with suppress(FileNotFoundError):
                if partial.name != ".lock" and time.time() - partial.stat().st_mtime > IN_USE_SECONDS:
                    partial.unlink()

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256


def hold(path: Path, at: Path) -> Path:
    """*at*, made as another name of the bytes at *path*; where that can't be, as a copy."""
    try:
        at.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            try:
                os.link(path, at)
            except OSError as e:
                if e.errno not in {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP}:
                    raise
                _copy(path, at)
    except OSError as e:
        raise _unusable(at.parent, e) from e
    return at


def _copy(path: Path, at: Path) -> None:
    partial = at.with_name(f".{uuid4().hex}")
    shutil.copyfile(path, partial)
    partial.replace(at)


def _write(source: BinaryIO, partial: Path) -> int:
    with partial.open("xb") as target:
        size = 0
        while piece := source.read(CHUNK):
            target.write(piece)
            size += len(piece)
        target.flush()
        os.fchmod(target.fileno(), 0o444)
        os.fsync(target.fileno())
    return size


def _unusable(folder: Path, error: OSError) -> HomeUnusable:
    remedy = "make it writable for this user"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        remedy = "free some space, or let fewer files be kept here: cache=… in MLIFE_FILES"
    return HomeUnusable(f"can't keep files in {folder}: {error.strerror or error}", remedy=remedy)
