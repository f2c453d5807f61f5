"""
How much each sender may bring: a rate with a burst, a quota a day, and how many may be served at once.

A sender is judged before anything of theirs is read, and charged for all that was read: no batch is cut in half, and
what was acknowledged is never taken back. Whoever brought more than allowed waits until that is paid off.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil

from mlife.core import metrics
from mlife.core.errors import TooMany, Unavailable

MOST_REMEMBERED = 20_000
"""Senders; those that have waited longest are forgotten first, and begin afresh."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """
    What one sender may bring; 0 is no limit.

    Args:
        rate: items a second, on average.
        burst: items at once, beyond that; 0: ten seconds of the rate.
        quota: items a day (UTC).
    """

    rate: float = 0.0
    burst: int = 0
    quota: int = 0

    @property
    def most(self) -> float:
        """Items that may come at once."""
        return float(self.burst) or 10 * self.rate

    def __str__(self) -> str:
        said = [f"{self.rate:g} a second, {self.most:,.0f} at once"] if self.rate else []
        said += [f"{self.quota:,} a day"] if self.quota else []
        return " and ".join(said) or "as much as they like"


@dataclass(frozen=True)
class Allowances:
    """
    What all senders may bring.

    Args:
        each: who is not named in *named*.
        at_once: requests that are served at a time; the next is asked to come back. It bounds what waits for the
            log's writer: a request has at most two appends there.
    """

    each: Allowance = field(default_factory=Allowance)
    named: Mapping[str, Allowance] = field(default_factory=dict)
    at_once: int = 64

    def of(self, sender: str) -> Allowance:
        """What *sender* may bring."""
        return self.named.get(sender, self.each)


@dataclass(slots=True)
class _Account:
    left: float
    at: float
    day: str = ""
    brought: int = 0


class Turnstile:
    """
    Lets senders in, one request after another; a process has one, and counts for itself.

    Args:
        clock: seconds that never go back.
        today: the moment, for the day's quota.
    """

    def __init__(
        self,
        allowances: Allowances,
        *,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.allowances = allowances
        self._clock, self._today = clock, today
        self._lock = threading.Lock()
        self._accounts: dict[str, _Account] = {}
        self.inside = 0

    @contextmanager
    def turn(self, sender: str) -> Iterator[Callable[[int], None]]:
        """
        One request of *sender*; the block gets a function to charge for the items that it brought.

        Raises:
            TooMany: the sender has to wait.
            Unavailable: as many as may be are being served.
        """
        self._enter(sender)
        try:
            yield lambda items: self._charge(sender, items)
        finally:
            with self._lock:
                self.inside -= 1

    def _enter(self, sender: str) -> None:
        allowed = self.allowances.of(sender)
        with self._lock:
            if self.inside >= self.allowances.at_once:
                metrics.turned_away.add("busy")
                raise Unavailable(
                    f"{self.inside} requests are being taken in, which is as many as may be",
                    remedy="send it again in a second; nothing of it was read",
                )
            if allowed.rate or allowed.quota:
                self._judge(sender, allowed)
            self.inside += 1

    def _judge(self, sender: str, allowed: Allowance) -> None:
        account = self._account(sender, allowed)
        now = self._today()
        if allowed.quota and account.brought >= allowed.quota:
            midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
            metrics.turned_away.add("quota")
            raise TooMany(
                f"{sender} has brought {account.brought:,} items today, of {allowed.quota:,} a day",
                remedy="send the rest after midnight UTC, or ask for a larger quota; nothing of this was read",
                retry_after=ceil((midnight - now).total_seconds()),
            )
        if allowed.rate and account.left <= 0:
            metrics.turned_away.add("rate")
            raise TooMany(
                f"{sender} brings more than {allowed}",
                remedy="send it again after the time in Retry-After; nothing of it was read",
                retry_after=max(1, ceil((1 - account.left) / allowed.rate)),
            )

    def _charge(self, sender: str, items: int) -> None:
        allowed = self.allowances.of(sender)
        if not (allowed.rate or allowed.quota):
            return
        with self._lock:
            account = self._account(sender, allowed)
            account.left -= items
            account.brought += items

    def _account(self, sender: str, allowed: Allowance) -> _Account:
        """The sender's account of now, moved to the end of those remembered."""
        now = self._clock()
        account = self._accounts.pop(sender, None) or _Account(allowed.most, now)
        while len(self._accounts) >= MOST_REMEMBERED:
            del self._accounts[next(iter(self._accounts))]
        self._accounts[sender] = account
        account.left = min(allowed.most, account.left + (now - account.at) * allowed.rate)
        account.at = now
        day = f"{self._today():%Y-%m-%d}"
        if day != account.day:
            account.day, account.brought = day, 0
        return account
