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
        with self.hold(name) as held:
            return not held


def _take(handle: int, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.005)
        else:
            return True
