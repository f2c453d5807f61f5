"""For devices that are offline, killed and switched off: reports wait on disk until a server has them."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mlife.sdk.client import Answer, Client, line_of
from mlife.sdk.faults import Away, SdkError
from mlife.sdk.segments import LONGEST_LINE, Piece, Segments

if TYPE_CHECKING:
    import httpx

LONGEST_PAUSE = 300.0
"""Seconds between two tries of a server that stays away; one that asks for more is asked after this."""


@dataclass(frozen=True, slots=True)
class Standing:
    """
    How a spool stands.

    Args:
        waiting, bytes: reports on disk that no server has answered for, and the bytes of their segments.
        accepted, known, refused: what the server told of the reports that this process sent.
        dropped: reports that were lost to make room, since the spool was made; only with `drop_oldest`.
        trouble: why nothing is sent right now; empty if nothing is wrong.
    """

    waiting: int
    bytes: int
    accepted: int
    known: int
    refused: int
    dropped: int
    trouble: str


class Spool:
    """
    Keeps reports on disk and sends them in the background.

    `report` returns when the report is on disk: from then on it survives kill -9 and power loss, and it is sent until a
    server has answered for it: taken, known already, or refused, which is kept with the reason in `rejects.ndjson`.
    What may have been sent is sent again; by the content's id the server counts it once.

    Args:
        folder: of this spool; one process at a time.
        url, token: of the server. Without a *url* reports are only kept, for `mlife badcase spool` to send.
        largest: bytes that reports may take on disk. A full spool refuses new reports (`SpoolFull`).
        drop_oldest: a full spool loses its oldest reports instead, an eighth of it at once, and counts them.
        linger: seconds that a report may wait for others to travel with.
        batch: reports per request.
        timeout: seconds per request.
        transport: of httpx.

    Raises:
        SpoolTaken: another process has it open.
    """

    LARGEST_BATCH = 4_000_000

    def __init__(
        self,
        folder: str | os.PathLike[str],
        url: str | None = None,
        *,
        token: str | None = None,
        largest: int = 256_000_000,
        drop_oldest: bool = False,
        linger: float = 1.0,
        batch: int = 500,
        timeout: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._segments = Segments(Path(folder), largest=largest, drop_oldest=drop_oldest)
        self._linger, self._batch = linger, max(1, batch)
        self._total = Answer()
        self._refused = 0
        self._trouble = ""
        self._not_before, self._is_asked = 0.0, False
        self._changed = threading.Condition()
        self._hurried = self._closed = False
        self._client: Client | None = None
        if url is not None:
            self._client = Client(url, token=token, attempts=1, timeout=timeout, transport=transport)
            self._sender = threading.Thread(target=self._send_all, name="mlife-spool", daemon=True)
            self._sender.start()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def report(self, report: Mapping[str, Any]) -> None:
        """
        Keep one report; its fields are those of docs/reports.md.

        Raises:
            SpoolFull: there is no room; nothing is lost that was kept before.
            SdkError: it is no JSON or too long, or the disk can't be written.
        """
        self.report_many([report])

    def report_many(self, reports: Iterable[Mapping[str, Any]]) -> int:
        """Keep many reports, all or none; one wait for the disk. How many. Raises as `report`."""
        if self._closed:
            raise SdkError("the spool is closed: open it again")
        kept = self._segments.append([_line(report) for report in reports])
        with self._changed:
            self._changed.notify_all()
        return kept

    @property
    def standing(self) -> Standing:
        """How it stands now."""
        s, t = self._segments, self._total
        return Standing(s.waiting, s.bytes, t.accepted, t.known, self._refused, s.dropped, self._trouble)

    def flush(self, timeout: float = 60.0) -> Standing:
        """
        Send what lies here now, and wait for it. A server that asked to be left alone is left alone.

        Raises:
            SdkError: it was not all sent within *timeout* seconds; it is kept, and sending goes on.
        """
        end = time.monotonic() + timeout
        with self._changed:
            self._hurried = True
            if not self._is_asked:
                self._not_before = 0.0
            self._changed.notify_all()
            while self._segments.waiting and self._client is not None and not self._closed:
                left = end - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            self._hurried = False
        if waiting := self._segments.waiting:
            why = self._trouble or ("the spool has no url" if self._client is None else "there was no time")
            raise SdkError(f"{waiting} reports are not sent yet, and are kept: {why}")
        return self.standing

    def close(self, timeout: float = 5.0) -> None:
        """Try for at most *timeout* seconds to send what is left; the rest stays on disk for the next time."""
        if self._closed:
            return
        if self._client is not None and self._segments.waiting and timeout > 0 and not self._trouble:
            try:
                self.flush(timeout)
            except SdkError as e:
                self._trouble = str(e)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._client is not None:
            self._sender.join()
            self._client.close()
        self._segments.close()

    # --- the sender's thread ---

    def _send_all(self) -> None:
        failures = 0
        while self._is_time():
            piece = self._segments.oldest(self._batch, self.LARGEST_BATCH)
            if piece is None:
                continue
            try:
                self._send(piece)
            except SdkError as e:
                failures += 1
                self._leave_alone(e, failures)
            except OSError as e:
                failures += 1
                self._leave_alone(
                    SdkError(f"the spool {self._segments.folder} can't be read or written: {e}"), failures
                )
            else:
                failures, self._trouble = 0, ""
            with self._changed:
                self._changed.notify_all()

    def _is_time(self) -> bool:
        """Wait until there is something to send and a reason to send it now; False: closed."""
        with self._changed:
            begun: float | None = None
            while not self._closed:
                now = time.monotonic()
                pause = self._not_before - now
                if self._segments.waiting:
                    begun = now if begun is None else begun
                    full = self._hurried or self._segments.waiting >= self._batch
                    pause = max(pause, 0.0 if full else begun + self._linger - now)
                    if pause <= 0:
                        return True
                    self._changed.wait(pause)
                else:
                    self._changed.wait()
        return False

    def _send(self, piece: Piece) -> None:
        assert self._client is not None  # the thread runs only with one
        try:
            answer = self._client.report_lines(piece.lines)
        except SdkError as e:
            if e.status != 413 or len(piece.lines) == 1:
                if e.status != 413:
                    raise
                answer = Answer(refused=[{"line": 1, "problem": "is longer than the server takes"}])
            else:
                half = len(piece.lines) // 2  # a proxy with limits of its own
                self._send(Piece(piece.segment, piece.lines[:half], piece.ends[:half]))
                self._send(Piece(piece.segment, piece.lines[half:], piece.ends[half:]))
                return
        at = datetime.now(UTC).isoformat(timespec="seconds")
        rejects = [
            {"at": at, "refusal": r, "report": piece.lines[int(r["line"]) - 1].decode(errors="replace")}
            for r in answer.refused
        ]
        with self._changed:  # who waits until nothing is left sees it counted, too
            self._segments.answered(piece, rejects)
            self._total.accepted += answer.accepted
            self._total.known += answer.known
            self._refused += len(piece.lines) - answer.accepted - answer.known

    def _leave_alone(self, fault: SdkError, failures: int) -> None:
        """After a failure: as long as the server asks for, else a pause that doubles, with jitter."""
        asked = fault.retry_after if isinstance(fault, Away) else None
        pause = 0.5 * 2 ** min(failures - 1, 12) * random.uniform(0.5, 1.5)  # noqa: S311 (jitter is no secret)
        self._trouble, self._is_asked = str(fault), asked is not None
        self._not_before = time.monotonic() + min(LONGEST_PAUSE, pause if asked is None else max(asked, 0.05))


def _line(report: Mapping[str, Any]) -> bytes:
    try:
        line = line_of(report)
    except (TypeError, ValueError) as e:
        raise SdkError(f"{repr(report)[:200]} is no JSON ({e}): nothing is kept") from e
    if len(line) > LONGEST_LINE:
        raise SdkError(f"a report of {len(line):,} bytes is longer than a server takes: link to data instead")
    return line
