"""Telling people and programs outside: one try each, in threads of its own, so that nobody waits for a slow target."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Protocol

from mlife.core.errors import MLifeError, in_a_line
from mlife.core.ports import Notice, NoticeTarget

log = logging.getLogger("mlife.notify")
AT_ONCE = 4
"""Tries at the same time; the rest wait for their turn."""
CLOSE_SECONDS = 5.0

Outcome = Callable[[str | None, bool], None]


class NotTaken(MLifeError):
    """A target that did not take a notice. `is_final`: another try would not help."""

    status = 502
    title = "Not delivered"

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


class Target(Protocol):
    """One address that notices go to."""

    channel: str
    name: str

    def tell(self, notice: Notice) -> None:
        """Try once. Raises NotTaken."""


class ThreadedNotifier:
    """See `Notifier`; the targets are those that are configured."""

    def __init__(self, targets: Sequence[Target] = ()) -> None:
        self._targets = {(t.channel, t.name): t for t in targets}
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._on_its_way: dict[str, Future[None]] = {}
        self._closed = False

    def targets(self) -> Sequence[NoticeTarget]:
        """See `Notifier`."""
        return [NoticeTarget(channel, name) for channel, name in self._targets]

    def send(self, notice: Notice, channel: str, target: str, done: Outcome) -> bool:
        """See `Notifier`."""
        with self._lock:
            if self._closed or notice.id in self._on_its_way:
                return False
            self._pool = self._pool or ThreadPoolExecutor(AT_ONCE, thread_name_prefix="mlife-notify")
            future = self._pool.submit(self._try, notice, (channel, target), done)
            self._on_its_way[notice.id] = future
        future.add_done_callback(lambda _: self._forget(notice.id))
        return True

    def _forget(self, notice_id: str) -> None:
        with self._lock:
            self._on_its_way.pop(notice_id, None)

    def _try(self, notice: Notice, address: tuple[str, str], done: Outcome) -> None:
        reason, is_final = self._told(notice, address)
        try:
            done(reason, is_final)
        except Exception as e:  # noqa: BLE001 - it is due still, so it is told again: that is what a kill does, too
            log.warning("what became of %s can't be recorded, so it will be told again: %s", notice.id, in_a_line(e))

    def _told(self, notice: Notice, address: tuple[str, str]) -> tuple[str | None, bool]:
        target = self._targets.get(address)
        if target is None:
            return f"{' '.join(address)} is not configured any more", True
        try:
            target.tell(notice)
        except NotTaken as e:
            log.warning("%s did not take %s: %s", " ".join(address), notice.id, e)
            return str(e), e.is_final
        except Exception as e:
            log.exception("telling %s failed", " ".join(address))
            return in_a_line(e), False
        return None, False

    def wait(self, timeout: float) -> bool:
        """See `Notifier`."""
        with self._lock:
            futures = list(self._on_its_way.values())
        return not wait(futures, timeout).not_done

    def close(self) -> None:
        """See `Notifier`; what does not end in a few seconds is tried again by whoever comes next."""
        with self._lock:
            self._closed, pool = True, self._pool
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
            self.wait(CLOSE_SECONDS)
