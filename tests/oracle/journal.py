"""
What each process tried and what it was told, line by line, in a file of its own.

A line is one `write` in append mode, so `kill -9` loses none that was written. There is no flush to the disk: processes
die here, the machine does not.
"""

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from mlife.core.errors import MLifeError
from mlife.core.events import Draft
from mlife.core.folding import is_outage
from mlife.core.ports import Append, Appended, EventStore, Pending


def print_of(draft: Draft) -> str:
    """A fingerprint of everything that a draft says: a log that changed one byte of it shows."""
    return hashlib.sha256(repr(tuple(draft)).encode()).hexdigest()[:24]


class Journal:
    """The lines of one process, which may have many threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def note(self, what: str, **said: Any) -> None:
        """Write one line; it is kept when this returns."""
        line = orjson.dumps({"what": what, "at": time.monotonic(), **said}) + b"\n"
        assert os.write(self._file, line) == len(line)


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """What the journal at *path* says; the last line may have been cut off by a kill."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield orjson.loads(line)


class Witnessed:
    """An event store whose appends are journalled before they are tried, and again when they are answered."""

    def __init__(self, store: EventStore, journal: Journal) -> None:
        self._store, self._journal, self._numbers = store, journal, count(1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def append(self, append: Append) -> Appended:
        """See `EventStore.append`."""
        number = self._tried(append)
        return self._told(number, lambda: self._store.append(append))

    def submit(self, append: Append) -> Pending:
        """See `EventStore.submit`."""
        number = self._tried(append)
        return _Awaited(self, number, self._told_only_faults(number, append))

    def _tried(self, append: Append) -> int:
        number = next(self._numbers)
        drafts = [[d.id.hex(), print_of(d)] for d in append.drafts]
        self._journal.note("tried", n=number, whole=append.whole, drafts=drafts)
        return number

    def _told_only_faults(self, number: int, append: Append) -> Pending:
        try:
            return self._store.submit(append)
        except MLifeError as e:
            self._fault(number, e)
            raise

    def _told(self, number: int, answer: Any) -> Appended:
        try:
            told: Appended = answer()
        except MLifeError as e:
            self._fault(number, e)
            raise
        self._journal.note("told", n=number, positions=list(told.positions), known=list(told.known))
        return told

    def _fault(self, number: int, fault: MLifeError) -> None:
        """What is no outage is a promise: nothing of this caller was written."""
        self._journal.note(
            "unknown" if is_outage(fault) else "refused", n=number, why=f"{type(fault).__name__}: {fault}"
        )


class _Awaited:
    def __init__(self, witness: Witnessed, number: int, pending: Pending) -> None:
        self._witness, self._number, self._pending = witness, number, pending

    def result(self) -> Appended:
        return self._witness._told(self._number, self._pending.result)


@dataclass
class Attempt:
    """
    One append as its caller saw it.

    Args:
        at: when it was tried, by the machine's monotonic clock.
        drafts: event id and fingerprint of each, in order.
        told_at, positions, known: the answer; None where there was none.
        refused: the store said that nothing was written.
    """

    part: str
    at: float
    whole: bool
    drafts: Sequence[tuple[str, str]]
    told_at: float | None = None
    positions: Sequence[int] = ()
    known: Sequence[bool] = ()
    refused: str = ""

    def __str__(self) -> str:
        return f"append of {self.part} at {self.at:.3f} ({len(self.drafts)} events, first id {self.drafts[0][0]})"


@dataclass
class Saw:
    """What a follower of the log was given: position, event id and fingerprint, in the order in which it was given."""

    part: str
    entries: list[tuple[int, str, str]] = field(default_factory=list)


def attempts(folder: Path) -> list[Attempt]:
    """Every append of every process, from the journals in *folder*."""
    found: list[Attempt] = []
    for path in sorted(folder.glob("*.jsonl")):
        mine: dict[int, Attempt] = {}
        for line in lines(path):
            match line["what"]:
                case "tried":
                    drafts = [(i, p) for i, p in line["drafts"]]
                    mine[line["n"]] = Attempt(path.stem, line["at"], line["whole"], drafts)
                case "told":
                    attempt = mine[line["n"]]
                    attempt.told_at, attempt.positions, attempt.known = line["at"], line["positions"], line["known"]
                case "refused":
                    mine[line["n"]].refused = line["why"]
        found += mine.values()
    return found


def sights(folder: Path) -> list[Saw]:
    """What every follower saw, from the journals in *folder*."""
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        saw = Saw(path.stem)
        for line in lines(path):
            if line["what"] == "saw":
                saw.entries += [(p, i, f) for p, i, f in line["entries"]]
        if saw.entries:
            found.append(saw)
    return found


def reached(folder: Path) -> dict[str, int]:
    """The last position that every follower saw, from the end of its journal."""
    found = {}
    for path in sorted(folder.glob("follower-*.jsonl")):
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 1_000_000))
            whole = [line for line in file.read().splitlines(keepends=True)[1:] if line.endswith(b"\n")]
        found[path.stem] = orjson.loads(whole[-1])["entries"][-1][0] if whole else 0
    return found


def notes(folder: Path, what: str) -> list[dict[str, Any]]:
    """Every line of that kind from the journals in *folder*, with the `part` that wrote it."""
    return [
        {"part": path.stem, **line}
        for path in sorted(folder.glob("*.jsonl"))
        for line in lines(path)
        if line["what"] == what
    ]
