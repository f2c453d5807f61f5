"""One attempt at a task, and the sentences about its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlife.core.errors import HomeUnusable
from mlife.training.events import TaskQueued
from mlife.training.live import LOG
from mlife.training.outputs import Left
from mlife.training.states import TaskState


@dataclass(frozen=True)
class Attempt:
    """One attempt at one task, held by this worker."""

    task: TaskState
    number: int
    folder: Path

    @property
    def queued(self) -> TaskQueued:
        """How the task was started."""
        assert self.task.queued is not None  # a leased task was queued
        return self.task.queued

    @property
    def output(self) -> Path:
        """Where the code leaves its results."""
        return self.folder / "output"


def key_of(attempt: Attempt, what: str) -> str:
    """The idempotency key of an attempt's command: carried out twice, it is recorded once."""
    return f"task:{attempt.task.id}:{attempt.number}:{what}"


def sentence_of(code: int, tail: list[str]) -> str:
    how = f"was ended by signal {code - 128}" if code > 128 else f"ended with exit code {code}"
    return "\n".join([f"the code {how}", *tail])


def last_lines(folder: Path) -> list[str]:
    """The end of a log that an earlier worker wrote."""
    try:
        with (folder / LOG).open("rb") as f:
            f.seek(max(0, f.seek(0, os.SEEK_END) - 4_000))
            return [line for line in f.read().decode("utf-8", "replace").splitlines() if line.strip()][-12:]
    except OSError:
        return []


def counted(left: Left) -> str:
    return f", {sum(len(r.samples) for r in left.results)} results" if left.results else ""


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise HomeUnusable(
            f"{folder} can't be written ({e.strerror})", remedy="free some space, or make it writable"
        ) from e
