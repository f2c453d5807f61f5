"""
What a running task tells while it runs: progress and log, in files of its run folder. They are not events.

`<runs>/<task id>/<attempt>/` holds `task.json` (the manifest), `output/`, `log.txt`, `progress.json`, and what MLife
needs to go on after a crash.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from mlife.core.errors import shortened

LOG = "log.txt"
PROGRESS = "progress.json"
LOG_LIMIT = 10_000_000
"""Bytes of a log that are kept."""

BEAT = 2.0
"""Seconds between two signs of life of a worker."""

SILENT = 15.0
"""Seconds without one after which a worker counts as gone."""

_PROGRESS_LINE = re.compile(rb"MLIFE progress (\S+)(?: (.*))?")
_WRITE_EVERY = 0.2
_LONGEST_LINE = 64_000


@dataclass(frozen=True, slots=True)
class Live:
    """
    How a running task stands.

    Args:
        share: in [0, 1]. text: what the code said beside it.
        started, at: Unix times of the attempt's begin and of the last sign of life.
        log_bytes: how long the log is.
    """

    attempt: int
    share: float = 0.0
    text: str = ""
    started: float = 0.0
    at: float = 0.0
    log_bytes: int = 0

    @property
    def seconds(self) -> float:
        """How long the attempt has been running."""
        return max(0.0, self.at - self.started)

    @property
    def silent(self) -> bool:
        """Has the worker given no sign of life for a while?"""
        return time.time() - self.at > SILENT


def run_folder(runs: Path, task_id: str, attempt: int) -> Path:
    """The folder of one attempt."""
    return runs / task_id / str(attempt)


def live(runs: Path, task_id: str, attempt: int) -> Live | None:
    """How the attempt stands; None when this machine knows nothing of it."""
    try:
        said = json.loads((run_folder(runs, task_id, attempt) / PROGRESS).read_bytes())
        return Live(**said)
    except (OSError, ValueError, TypeError):
        return None


def log_since(runs: Path, task_id: str, attempt: int, after: int, limit: int = 200_000) -> tuple[bytes, int] | None:
    """Whole lines of a running attempt's log from byte *after*, and the byte after them; None when there is no log."""
    try:
        with (run_folder(runs, task_id, attempt) / LOG).open("rb") as f:
            return lines_after(f, after, limit)
    except OSError:
        return None


def lines_after(log: BinaryIO, after: int, limit: int) -> tuple[bytes, int]:
    """At most *limit* bytes of *log* from *after*, cut at the end of a line if there is one."""
    log.seek(after)
    found = log.read(limit)
    end = found.rfind(b"\n") + 1
    whole = found[:end] if end else (found if len(found) == limit else b"")
    return whole, after + len(whole)


class LiveLog:
    """
    Writes the log of one attempt and keeps its progress.

    Args:
        folder: of the attempt.
        limit: bytes that are kept; after that a last line says so, and only progress is followed.
    """

    def __init__(self, folder: Path, attempt: int, *, limit: int = LOG_LIMIT) -> None:
        self._folder = folder
        self._file = (folder / LOG).open("wb", buffering=0)
        self._left = limit
        self._limit = limit
        self._rest = b""
        self._live = Live(attempt, started=time.time(), at=time.time())
        self._written = 0.0
        self._changed = True
        self._size = 0
        self.tail: deque[str] = deque(maxlen=12)
        self.beat()

    def feed(self, data: bytes) -> None:
        """Take output as it comes."""
        self._keep(data)
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()[-_LONGEST_LINE:]
        for line in lines:
            self._look(line)

    def end(self) -> None:
        """The output is over."""
        if self._rest:
            self._look(self._rest)
            self._rest = b""
        self._changed = True
        self._write()
        self._file.close()

    def say(self, text: str) -> None:
        """Add a line of MLife's own."""
        self._file.write(f"MLife: {text}\n".encode())

    def beat(self) -> None:
        """Give a sign of life when it is time; show news at once, but not more often than a reader can see."""
        silent = time.time() - self._written
        if silent > BEAT or (self._changed and silent > _WRITE_EVERY):
            self._write()

    def _write(self) -> None:
        now = time.time()
        self._live = Live(self._live.attempt, self._live.share, self._live.text, self._live.started, now, self._size)
        path = self._folder / PROGRESS
        partial = path.with_name(f".{path.name}")
        partial.write_text(json.dumps(asdict(self._live)))
        partial.replace(path)
        self._written, self._changed = now, False

    def _keep(self, data: bytes) -> None:
        if self._left <= 0:
            return
        kept = data[: self._left]
        self._left -= len(kept)
        self._file.write(kept)
        self._size += len(kept)
        self._changed = True
        if self._left <= 0:
            self._file.write(b"\n")
            self.say(f"the log has more than {self._limit:,} bytes; what follows is not kept")

    def _look(self, line: bytes) -> None:
        said = _PROGRESS_LINE.fullmatch(line.rstrip(b"\r"))
        if said is not None and self._moved(said[1], said[2] or b""):
            return
        text = line.decode("utf-8", "replace").rstrip()
        if text.strip():
            self.tail.append(shortened(text, 300))

    def _moved(self, share: bytes, text: bytes) -> bool:
        try:
            value = float(share)
        except ValueError:
            return False
        if not math.isfinite(value):
            return False
        said = shortened(text.decode("utf-8", "replace").strip(), 200)
        self._live = Live(
            self._live.attempt, min(1.0, max(0.0, value)), said, self._live.started, self._live.at, self._size
        )
        self._changed = True
        return True
