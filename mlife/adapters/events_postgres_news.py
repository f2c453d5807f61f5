"""How those who wait for events hear of them: NOTIFY as a hint, and a look at the head all the same."""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import psycopg

from mlife.adapters.postgres import Connection, Postgres
from mlife.core.errors import MLifeError, in_a_line

log = logging.getLogger("mlife.postgres")

POLL: Final = 0.1
"""Seconds between looks at the head while somebody waits; one look serves all who wait in this process."""

LONGEST_PAUSE: Final = 5.0
"""Seconds between tries to listen to a server that is away."""


class News:
    """
    Wakes those who wait for the log to grow. Any number of threads may wait at once; one connection listens for all.

    What it hears is only a hint: everyone who waits also looks, so that a dead connection stops nobody.

    Args:
        channel: what writers notify, with the new head.
        ask: the head, from the server.
    """

    def __init__(self, postgres: Postgres, channel: str, ask: Callable[[], int]) -> None:
        self._postgres = postgres
        self._channel = channel
        self._ask = ask
        self._changed = threading.Condition()
        self._wakes = 0
        self._hints = 0
        self._head = 0
        self._asking = threading.Lock()
        self._asked_at = -POLL
        self._is_old = True
        self._closed = threading.Event()
        self._listener: threading.Thread | None = None
        self._ending, self._end = os.pipe()

    def told(self, head: int) -> None:
        """This process has written up to *head*."""
        with self._changed:
            self._head = max(self._head, head)
            self._changed.notify_all()

    def wake(self) -> None:
        """End every wait now."""
        with self._changed:
            self._wakes += 1
            self._changed.notify_all()

    def wait(self, after: int, timeout: float) -> int:
        """See `EventStore.wait`."""
        deadline = time.monotonic() + timeout
        with self._changed:
            wakes, hints = self._wakes, self._hints
            self._start()
        last = self._ask()
        while last <= after and (left := deadline - time.monotonic()) > 0 and not self._closed.is_set():
            with self._changed:
                self._changed.wait_for(partial(self._has_changed, wakes, hints, after), min(POLL, left))
                if self._wakes != wakes:
                    break
                hints, last = self._hints, self._head
            if last <= after:
                last = self._looked(left)
        return last if last > after or self._closed.is_set() else self._ask()

    def _has_changed(self, wakes: int, hints: int, after: int) -> bool:
        return self._wakes != wakes or self._hints != hints or self._head > after

    def _looked(self, patience: float) -> int:
        """The head as of now, or nearly: one asks, the others take what it got."""
        if self._asking.acquire(timeout=patience):
            try:
                if self._is_old or time.monotonic() - self._asked_at > 0.9 * POLL:
                    self._is_old, self._asked_at = False, time.monotonic()  # first: a hint that comes now is news
                    self.told(self._ask())
            finally:
                self._asking.release()
        return self._head

    # --- listening ---

    def _start(self) -> None:
        if self._listener is None and not self._closed.is_set():
            self._listener = threading.Thread(target=self._listen_forever, name="mlife-log-listener", daemon=True)
            self._listener.start()

    def _listen_forever(self) -> None:
        pause = 0.0
        while not self._closed.is_set():
            try:
                with self._postgres.connect() as db:
                    db.execute(f"LISTEN {self._channel}".encode())
                    self._hint()  # somebody may have written before
                    pause = 0.0
                    self._hear_forever(db)
            except (MLifeError, psycopg.Error) as fault:
                if not pause:
                    log.warning(
                        "nobody listens for news of the log now, it is looked at every %g s: %s", POLL, in_a_line(fault)
                    )
            pause = min(2 * pause or 0.1, LONGEST_PAUSE)
            self._closed.wait(pause)

    def _hear_forever(self, db: Connection) -> None:
        poll = select.poll()
        poll.register(db.fileno(), select.POLLIN)
        poll.register(self._ending, select.POLLIN)
        while not self._closed.is_set():
            poll.poll()
            db.pgconn.consume_input()
            while (news := db.pgconn.notifies()) is not None:
                if not (news.extra.isdigit() and int(news.extra) <= self._head):  # not what this process wrote
                    self._hint()

    def _hint(self) -> None:
        with self._changed:
            self._hints += 1
            self._is_old = True
            self._changed.notify_all()

    def close(self) -> None:
        """End every wait, and stop to listen."""
        self._closed.set()
        self.wake()
        os.write(self._end, b".")
        if self._listener is not None:
            self._listener.join()
        os.close(self._end)
        os.close(self._ending)
