"""
A spool on disk: lines in segments, oldest first, that survive whatever ends the process.

    DIR/lock                      held by the process that has it open (flock: it goes with the process)
    DIR/00000000000000000007.ndjson  a segment: reports, one a line, appended and synced
    DIR/sent.json                 {"segment": 7, "offset": 5120, "dropped": 0}: before that all is answered for
    DIR/rejects.ndjson            what the server refused, with the reason; rejects.old.ndjson: those before

A line counts when it is whole: what a crash cut is cut off at the next start, and its writer was never told that it is
kept. `sent.json` only spares sending again; if it is lost, everything that lies there is sent once more.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mlife.sdk.faults import SdkError, SpoolFull, SpoolTaken

SEGMENT = 1 << 20
"""Bytes from which a new segment is begun; fewer in a small spool, of which an eighth is a segment."""
LONGEST_LINE = 900_000
"""Bytes of one report; a server refuses more."""


@dataclass(frozen=True, slots=True)
class Piece:
    """
    Lines of one segment that may be sent, and where they end.

    Args:
        lines: without their ends.
        ends: offset in the segment after each line.
    """

    segment: int
    lines: Sequence[bytes]
    ends: Sequence[int]


class Segments:
    """
    The folder of a spool. Appending and sending may be done by two threads.

    Args:
        folder: made if it is missing.
        largest: bytes that all segments together may have.
        drop_oldest: when full, the oldest segment goes (and is counted) instead of the new report being refused.

    Raises:
        SpoolTaken: another process has it open.
        SdkError: it can't be written.
    """

    def __init__(self, folder: Path, *, largest: int, drop_oldest: bool) -> None:
        self.folder, self._largest, self._drops = folder, largest, drop_oldest
        self._segment = min(SEGMENT, max(1, largest // 8))
        self._guard = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(folder)
            self._sizes = {int(p.stem): _mended(p) for p in sorted(folder.glob("[0-9]*.ndjson"))}
        except OSError as e:
            raise SdkError(f"the spool {folder} can't be used ({e.strerror}): make it a folder that is writable") from e
        told = _told(folder / "sent.json")
        first = min(self._sizes, default=0)
        self.dropped: int = told.get("dropped", 0)
        same = told.get("segment") == first
        self._sent = (first, min(told.get("offset", 0), self._sizes.get(first, 0)) if same else 0)
        self._last = max([*self._sizes, told.get("segment", 0)])
        self._file: IO[bytes] | None = None
        self._waiting = sum(self._count(n, self._sent[1] if n == first else 0) for n in self._sizes)

    # --- writing ---

    def append(self, lines: Iterable[bytes]) -> int:
        """
        Keep *lines*; when this returns, they are on disk. All or none; how many.

        Raises:
            SpoolFull: there is no room for them.
            SdkError: the disk is full or broken.
        """
        whole = [line + b"\n" for line in lines]
        size = sum(map(len, whole))
        with self._guard:
            if size > self._largest or (size + self.bytes > self._largest and not self._drops):
                raise SpoolFull(
                    f"the spool {self.folder} holds {self.bytes:,} of {self._largest:,} bytes, and {size:,} more do "
                    "not fit: let it be sent, give it more room, or open it with drop_oldest"
                )
            while size + self.bytes > self._largest:
                self._drop()
            self._write(whole, size)
            self._waiting += len(whole)
        return len(whole)

    def _write(self, whole: Sequence[bytes], size: int) -> None:
        if self._file is None or self._sizes.get(self._last, 0) >= self._segment:
            self._begin()
        assert self._file is not None  # begun
        before = self._sizes[self._last]
        try:
            rest = memoryview(b"".join(whole))
            while rest:
                rest = rest[os.write(self._file.fileno(), rest) :]
            os.fsync(self._file.fileno())
        except OSError as e:
            # what the disk has of it is not known: this segment ends where it was good, and another is begun
            broken, self._file = self._file, None
            _cut(broken, before)
            raise SdkError(f"the spool {self.folder} can't be written ({e.strerror}): nothing of this is kept") from e
        self._sizes[self._last] = before + size

    def _begin(self) -> None:
        try:
            if self._file is not None:
                self._file.close()
            self._last += 1
            self._file = self._path(self._last).open("xb", buffering=0)
            self._sizes[self._last] = 0
            _sync_folder(self.folder)
        except OSError as e:
            self._file = None
            raise SdkError(f"the spool {self.folder} can't be written ({e.strerror}): nothing of this is kept") from e

    def _drop(self) -> None:
        """Lose the oldest segment, and count what was not sent of it."""
        oldest = min(self._sizes)
        offset = self._sent[1] if self._sent[0] == oldest else 0
        lost = self._count(oldest, offset)
        self.dropped += lost
        self._waiting -= lost
        self._forget(oldest)
        self._tell()

    # --- sending ---

    @property
    def bytes(self) -> int:
        """Bytes of all segments."""
        return sum(self._sizes.values())

    @property
    def waiting(self) -> int:
        """Reports that no server has answered for."""
        return self._waiting

    def oldest(self, most: int, most_bytes: int) -> Piece | None:
        """Up to *most* lines that were not answered for, the oldest; None if nothing waits."""
        with self._guard:
            if not self._waiting:
                return None
            segment = min(n for n in self._sizes if self._unsent(n))
            start = self._sent[1] if self._sent[0] == segment else 0
            end = self._sizes[segment]
        with self._path(segment).open("rb") as file:
            file.seek(start)
            text = file.read(min(end - start, most_bytes))
            if b"\n" not in text:
                text += file.readline()
        lines = text[: text.rindex(b"\n")].split(b"\n")[:most]
        ends, at = [], start
        for line in lines:
            at += len(line) + 1
            ends.append(at)
        return Piece(segment, lines, ends)

    def answered(self, piece: Piece, rejects: Sequence[Mapping[str, Any]]) -> None:
        """The server told of every line of *piece*; *rejects* are those that it refused, to be kept with the reason."""
        if rejects:
            self._keep(rejects)
        with self._guard:
            if piece.segment not in self._sizes:  # dropped meanwhile
                return
            self._waiting -= len(piece.lines)
            self._sent = (piece.segment, piece.ends[-1])
            for n in [n for n in self._sizes if n < piece.segment]:
                self._forget(n)
            if piece.ends[-1] >= self._sizes[piece.segment]:
                self._forget(piece.segment)
            self._tell()

    def close(self) -> None:
        """Let another process have it."""
        with self._guard:
            if self._file is not None:
                self._file.close()
                self._file = None
            self._lock.close()

    def _unsent(self, segment: int) -> bool:
        sent, offset = self._sent
        return segment > sent or (segment == sent and offset < self._sizes[segment])

    def _forget(self, segment: int) -> None:
        if segment == self._last and self._file is not None:
            self._file.close()
            self._file = None
        del self._sizes[segment]
        self._path(segment).unlink(missing_ok=True)

    def _tell(self) -> None:
        """Written beside and renamed. Not synced: what a crash loses of it is sent again."""
        segment, offset = self._sent
        beside = self.folder / "sent.tmp"
        beside.write_text(json.dumps({"segment": segment, "offset": offset, "dropped": self.dropped}))
        beside.replace(self.folder / "sent.json")

    def _keep(self, rejects: Sequence[Mapping[str, Any]]) -> None:
        path = self.folder / "rejects.ndjson"
        if path.exists() and path.stat().st_size > self._largest // 8:
            path.replace(self.folder / "rejects.old.ndjson")
        with path.open("ab") as file:
            file.writelines(json.dumps(r).encode() + b"\n" for r in rejects)
            file.flush()
            os.fsync(file.fileno())

    def _count(self, segment: int, offset: int) -> int:
        with self._path(segment).open("rb") as file:
            file.seek(offset)
            return file.read().count(b"\n")

    def _path(self, segment: int) -> Path:
        return self.folder / f"{segment:020}.ndjson"


def _locked(folder: Path) -> IO[bytes]:
    file = (folder / "lock").open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise SpoolTaken(
            f"another process has the spool {folder} open: give each process a folder of its own"
        ) from None
    return file


def _mended(path: Path) -> int:
    """The size of a segment, without the line that a crash cut."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LONGEST_LINE - 1))
        tail = file.read()
        whole = size - len(tail) + tail.rfind(b"\n") + 1
        if whole != size:
            file.truncate(whole)
            os.fsync(file.fileno())
    return whole


def _cut(file: IO[bytes], size: int) -> None:
    """
    Cut a segment that could not be written.

    If the disk refuses even that, the next start may find more lines than were said to be kept, and sends them.
    """
    with suppress(OSError):
        os.ftruncate(file.fileno(), size)
    with suppress(OSError):
        file.close()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _told(path: Path) -> dict[str, int]:
    try:
        told = json.loads(path.read_text())
        return {k: v for k, v in told.items() if isinstance(v, int) and v >= 0}
    except (OSError, ValueError, AttributeError):
        return {}
