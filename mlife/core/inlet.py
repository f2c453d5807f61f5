"""
What a worker makes of the records of `mlife.log`: each batch of the log, packed, brought by a bus.

Records only save reading the store. One that is broken, doubled, late or not sealed by this log's relay is passed over,
and the runner reads the store instead: nothing that arrives here can stop a projection or change what it folds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from mlife.core.errors import Corrupt, MLifeError
from mlife.core.feed import OFFERED, Feed
from mlife.core.packing import Packed, unpack
from mlife.core.ports import EventStore

log = logging.getLogger("mlife.worker")

TOLD_SECONDS: Final = 60.0
"""How often the same complaint is made."""


class Inlet:
    """
    Offers records to the *feed* of one worker.

    Args:
        secret: gives what this log's records are sealed with; asked when it is needed.
        reads: does its runner read anything now?
    """

    def __init__(self, store: EventStore, feed: Feed, secret: Callable[[], bytes], reads: Callable[[], bool]) -> None:
        self._store, self._feed, self._ask, self._reads = store, feed, secret, reads
        self._secret = b""
        self._told = Seldom()

    @property
    def is_full(self) -> bool:
        """Has the runner so much to read that the next record must wait?"""
        return self._feed.is_full

    def opened(self, record: bytes | None) -> Packed | None:
        """What *record* holds, still packed, if it may be of use; None otherwise. Quick."""
        if not self._reads():
            return None
        try:
            packed = unpack(record or b"")
        except Corrupt as fault:
            self._complain("broken", fault)
            return None
        feed = self._feed
        if packed.last <= max(feed.offered, feed.reached):
            return None  # another partition brought it, or the store was faster
        return packed if packed.first <= feed.reached + OFFERED else None  # the runner reads the store until it is near

    def offer(self, packed: Packed) -> None:
        """Unpack it and hand it to the runner. May take some milliseconds, and more where the store is slow."""
        try:
            if self._is_ours(packed):
                self._feed.offer(packed.events())
                self._store.wake()
        except Corrupt as fault:
            self._complain("broken", fault)
        except MLifeError as fault:
            self._complain("away", fault)

    def _is_ours(self, packed: Packed) -> bool:
        self._secret = self._secret or self._ask()
        if packed.is_sealed_with(self._secret):
            return True
        if self._told.may("foreign"):
            self._secret = b""  # the database may be another since: ask it again
            log.warning(
                "mlife.log brings events %d to %d that are not sealed by this log's relay: they are passed over, and "
                "the log is read from its store. If two logs share the brokers, give each a prefix in MLIFE_BUS; if "
                "not, look who else may write to the topic",
                packed.first,
                packed.last,
            )
        return False

    def _complain(self, what: str, fault: MLifeError) -> None:
        if self._told.may(what):
            log.warning("a record of mlife.log is passed over: %s", fault)


class Seldom:
    """Lets the same thing be said once a minute."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}

    def may(self, what: str) -> bool:
        """May *what* be said now?"""
        now = time.monotonic()
        if now - self._at.get(what, -TOLD_SECONDS) < TOLD_SECONDS:
            return False
        self._at[what] = now
        return True
