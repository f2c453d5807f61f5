"""Named locks as `flock` on files of one folder: the holder's death releases them at once."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlife.core.errors import HomeUnusable


class FlockLocks:
    """`Locks` in *folder*: `runner` is `<folder>/runner.lock`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _open(self, name: str) -> int:
        path = self._folder / f"{name}.lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as fault:
            raise HomeUnusable(
                f"{path} can't be opened ({fault.strerror})", remedy="make it writable, or choose another --home"
            ) from fault

    @contextmanager
    def hold(self, name: str, *, timeout: float = 0.0) -> Iterator[bool]:
        """See `Locks.hold`."""
        handle = self._open(name)
        try:
            yield _take(handle, timeout)
        finally:
            os.close(handle)

    def is_held(self, name: str) -> bool:
        """See `Locks.is_held`."""
        handle = self._open(name)
        try:  # shared, so that two who ask at once do not take each other for the holder
            return not _tried(handle, fcntl.LOCK_SH)
        finally:
            os.close(handle)


PROBES = 3
"""Tries that even a caller who does not wait makes: `is_held` holds the lock for an instant to see whether it can."""


def _take(handle: int, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    tries = 0
    while not _tried(handle, fcntl.LOCK_EX):
        tries += 1
        if tries >= PROBES and time.monotonic() >= deadline:
            return False
        time.sleep(0.001 if tries < PROBES else 0.005)
    return True


def _tried(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
