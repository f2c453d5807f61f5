"""Telling people and programs outside: one try each, in threads of its own, so that nobody waits for a slow target."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Protocol, Self

from mlife.core.errors import MLifeError, in_a_line
from mlife.core.ports import Notice, NoticeTarget

log = logging.getLogger("mlife.notify")
AT_ONCE = 2
"""Tries at the same time for each target; the rest wait for their turn, and not for another target's."""
TRY_SECONDS = 15.0
"""For one whole try: a target that drips would keep a thread for hours."""
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


class Limit:
    """Cuts a connection when its time is over: what is read from it or written to it fails. What fails is closed."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._is_over = False
        self._timer = threading.Timer(TRY_SECONDS, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()
        if e is not None and self._socket is not None:
            self._socket.close()

    def watch(self, sock: socket.socket) -> None:
        """Cut this one, from now on; at once if the time is over already."""
        self._socket = sock
        if self._is_over:
            self._end()

    def _end(self) -> None:
        self._is_over = True
        try:
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # it has ended by itself meanwhile
            return


class ThreadedNotifier:
    """See `Notifier`; the targets are those that are configured."""

    def __init__(self, targets: Sequence[Target] = ()) -> None:
        self._targets = {(t.channel, t.name): t for t in targets}
        self._pools: dict[tuple[str, str], ThreadPoolExecutor] = {}
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
            address = (channel, target)
            if address not in self._pools:
                self._pools[address] = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="mlife-notify")
            future = self._pools[address].submit(self._try, notice, address, done)
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
            self._closed, pools = True, list(self._pools.values())
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        self.wait(CLOSE_SECONDS)
