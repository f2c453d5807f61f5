"""
The demo's calendar: sixteen weeks that end now, told in under a minute.

Everything that happens in them carries the source `/mlife/simulation`. The calendar is anchored at the log's first
event, so that a demo that was killed goes on in the same weeks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from mlife.core.ports import EventStore, SystemClock

SOURCE = "/mlife/simulation"
WEEKS = 16
HOURS_BEFORE_NOW = 2
"""The last week ends so long before the demo started: nothing lies in the future."""


@dataclass
class Calendar:
    """
    A clock that stands in the week that is being told, and moves on with real time inside it.

    Args:
        start: the first moment of week 0, UTC, a full hour: the first event, minutes later, tells it again.
    """

    start: datetime
    _base: datetime
    _since: datetime

    @classmethod
    def of(cls, store: EventStore) -> Calendar:
        """The calendar of the log's first event, or one that ends now for an empty log."""
        first = store.read(0, 1)
        now = SystemClock().now()
        if not first:
            start = _hour(now - timedelta(weeks=WEEKS, hours=HOURS_BEFORE_NOW))
            return cls(start, start, now)
        (last,) = store.read(store.head() - 1, 1)
        return cls(_hour(first[0].time), last.time, now)

    def turn_to(self, week: float) -> None:
        """Stand at the beginning of *week* (from 0); never goes back."""
        self._base = max(self.now(), self.at(week))
        self._since = SystemClock().now()

    def at(self, week: float) -> datetime:
        """The moment *week* weeks after the start."""
        return self.start + timedelta(weeks=week)

    def now(self) -> datetime:
        """The moment that is being told, UTC."""
        return self._base + (SystemClock().now() - self._since)


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
