"""Files' way from one store to another: both list theirs in order, and what is missing is copied and verified."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol

from mlife.core.errors import Corrupt
from mlife.core.ports import Blobs

THREADS = 4
"""Files on their way at once: most are small, and each waits for a disk or a network."""

AHEAD = 64
"""Files that are begun before the first of them has arrived."""

CHUNK = 1 << 20


class Shelf(Blobs, Protocol):
    """A store of files that can tell what it has."""

    def __iter__(self) -> Iterator[str]:
        """The SHA-256 of every file, in ascending order."""


@dataclass(frozen=True, slots=True)
class Files:
    """
    What became of files.

    Args:
        count: files of the source. copied: of these, not in the target before; bytes: of the copied ones.
        absent: not in the target (when it was only looked at). damaged: there, and not what their name says.
    """

    count: int = 0
    copied: int = 0
    bytes: int = 0
    absent: int = 0
    damaged: tuple[str, ...] = ()

    def and_then(self, later: Files) -> Files:
        """Both passes together."""
        return replace(later, copied=self.copied + later.copied, bytes=self.bytes + later.bytes)


def copy_files(
    source: Shelf, target: Shelf, tell: Callable[[str, int, int], None], *, only_look: bool = False
) -> Files:
    """
    Bring every file of *source* that *target* lacks.

    Args:
        only_look: copy nothing; read the target's files instead and hold them against their names.

    Raises:
        Corrupt: a file of the source is not what its name says.
    """
    work = _checked if only_look else _copied
    found = Files()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="mlife-files") as pool:
        waiting: deque[Future[Files]] = deque()
        try:
            for done, (name, is_there) in zip(count(1), _merged(source, target), strict=False):
                waiting.append(pool.submit(work, source, target, name, is_there))
                while len(waiting) > AHEAD:
                    found = _sum(found, waiting.popleft().result())
                tell("comparing files" if only_look else "copying files", done, done)
            while waiting:
                found = _sum(found, waiting.popleft().result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return found


def not_there(names: Iterable[str], store: Shelf) -> tuple[str, ...]:
    """Those of *names* that *store* does not list."""
    left = set(names)
    if left:
        left.difference_update(store)
    return tuple(sorted(left))


def _merged(source: Shelf, target: Shelf) -> Iterator[tuple[str, bool]]:
    """Each file of *source*, and whether *target* has it; neither list is ever held whole."""
    theirs = iter(target)
    at = next(theirs, "")
    for name in source:
        while at and at < name:
            at = next(theirs, "")
        yield name, at == name


def _copied(source: Shelf, target: Shelf, name: str, is_there: bool) -> Files:  # noqa: FBT001 - a column of `_merged`
    if is_there:
        return Files(1)
    with source.open(name) as stream:
        stored = target.put(stream)
    if stored.sha256 != name:
        raise Corrupt(f"file {name} has been changed: its digest is {stored.sha256} now", remedy="put it again")
    return Files(1, 1, stored.size)


def _checked(source: Shelf, target: Shelf, name: str, is_there: bool) -> Files:  # noqa: ARG001, FBT001 - as `_copied`
    if not is_there:
        return Files(1, absent=1)
    sha256 = hashlib.sha256()
    try:
        with target.open(name) as stream:
            while some := stream.read(CHUNK):
                sha256.update(some)
    except Corrupt:  # a store that is elsewhere compares by itself
        return Files(1, damaged=(name,))
    return Files(1, damaged=() if sha256.hexdigest() == name else (name,))


def _sum(a: Files, b: Files) -> Files:
    return Files(
        a.count + b.count, a.copied + b.copied, a.bytes + b.bytes, a.absent + b.absent, (*a.damaged, *b.damaged)
    )
