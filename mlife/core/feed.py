"""What a runner reads: runs of the log that a bus has brought, and the store wherever they do not continue."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence

from mlife.core.events import Event, Recorded
from mlife.core.ports import EventStore

log = logging.getLogger("mlife.runner")

OFFERED = 20_000
"""Events kept of what a bus has brought; a runner that is further behind reads the store."""

OFFERED_BYTES = 64 << 20
"""Bytes of stored data kept of it; what comes at once is kept whole."""


class Feed:
    """
    The log for one runner.

    The store is the truth. A bus only saves the way to it: what it brings is used where it continues what was read
    and ends as the log does there, and forgotten otherwise. So nothing that a bus doubles, drops or delays can matter,
    nor what it has kept of a log that was put back from a backup since.
    """

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._recent: tuple[int, list[Recorded[Event]]] = (-1, [])
        self._offered: list[Recorded[Event]] = []
        self._sizes: deque[tuple[int, int]] = deque()  # events and bytes of what came together
        self._door = threading.Lock()
        self.beside: Feed | None = None
        """Another runner's of this process, to which everything read is offered: it is decoded once."""
        self.reached = 0
        """The highest position that the runner has read."""

    def after(self, position: int, limit: int) -> list[Recorded[Event]]:
        """A run after *position*; who stands at the start of the last one or inside it shares it, decoded once."""
        start, run = self._recent
        if not start <= position < start + len(run):
            start, run = self._recent = (position, self._brought(position, limit) or self._store.read(position, limit))
            if self.beside is not None and not self.beside.is_full:
                self.beside.offer(run)
        self.reached = max(self.reached, start + len(run))
        return run[position - start :] if position > start else run

    def offer(self, events: Sequence[Recorded[Event]]) -> None:
        """Take consecutive *events* that a bus has brought; from any thread."""
        if not events:
            return
        with self._door:
            last = self._offered[-1].position if self._offered else 0
            fresh = [r for r in events if r.position > last]
            if not fresh:
                return
            if fresh[0].position != last + 1:
                self._offered, self._sizes = [], deque()
            self._offered += fresh
            self._sizes.append((len(fresh), sum(len(r.draft.data) for r in fresh)))
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        count, size = (sum(figures) for figures in zip(*self._sizes, strict=True))
        while len(self._sizes) > 1 and (count > OFFERED or size > OFFERED_BYTES):
            dropped, bytes_ = self._sizes.popleft()
            del self._offered[:dropped]
            count, size = count - dropped, size - bytes_

    @property
    def offered(self) -> int:
        """The last position that was offered; 0 before."""
        with self._door:
            return self._offered[-1].position if self._offered else 0

    @property
    def is_full(self) -> bool:
        """Is half of what may be kept unread? More would push out what is still to be read."""
        with self._door:
            unread = self._offered[-1].position - self.reached if self._offered else 0
            if unread >= OFFERED // 2:
                return True
            size = 0
            for count, bytes_ in reversed(self._sizes):
                if unread <= 0:
                    break
                size, unread = size + bytes_, unread - count
            return size >= OFFERED_BYTES // 2

    def _brought(self, position: int, limit: int) -> list[Recorded[Event]]:
        with self._door:
            if not self._offered or not self._offered[0].position <= position + 1 <= self._offered[-1].position:
                return []
            begin = position + 1 - self._offered[0].position
            run = self._offered[begin : begin + limit]
        if self._is_in_log(run[-1]):
            return run
        log.warning("what the bus brought up to %d is not what the log has there: the log is read", run[-1].position)
        with self._door:
            self._offered, self._sizes = [], deque()
        return []

    def _is_in_log(self, last: Recorded[Event]) -> bool:
        """Logs that have the same event (with its time) at the same position are the same up to there."""
        found = self._store.read(last.position - 1, 1)
        return bool(found) and (found[0].version, found[0].draft) == (last.version, last.draft)

    def forget(self) -> None:
        """Everything so far is dealt with: a run of reports takes 10 MB."""
        self._recent = (-1, [])
        with self._door:
            if self._offered:
                del self._offered[:-1]  # the last one tells whether the next run continues
                self._sizes = deque([(1, len(self._offered[0].draft.data))])
