"""
The log's growth, told to any number of streams of one server.

One thread looks for all of them: hundreds of streams that each look twenty times a second take a core while nothing
happens. When the server ends, they end at once instead of holding it up.
"""

from __future__ import annotations

import asyncio
import logging

from mlife.core.errors import MLifeError
from mlife.core.ports import EventStore

log = logging.getLogger("mlife.news")

LOOK = 0.5
"""Seconds of one wait for the log; so long a watcher outlives its last listener."""


class News:
    """Who wants to know of new events waits here; for one event loop at a time."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._head = 0
        self._listeners = 0
        self._ended = False
        self._changed = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None

    async def beyond(self, position: int, patience: float) -> int | None:
        """The log's head as soon as it is beyond *position*, or after *patience* seconds; None: the server ends."""
        self._watch()
        self._listeners += 1
        try:
            async with asyncio.timeout(patience):
                while self._head <= position and not self._ended:
                    await self._changed.wait()
        except TimeoutError:
            pass  # the head as it is
        finally:
            self._listeners -= 1
        return None if self._ended else self._head

    def end(self) -> None:
        """Let every stream end."""
        self._ended = True
        self._tell()
        self._store.wake()

    def _watch(self) -> None:
        watcher = self._watcher
        if watcher is None or watcher.done() or watcher.get_loop() is not asyncio.get_running_loop():
            self._changed = asyncio.Event()
            self._watcher = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while not self._ended:
            try:
                head = await asyncio.to_thread(self._store.wait, self._head, LOOK)
            except MLifeError as e:
                log.warning("streams of events wait: %s", e)
                await asyncio.sleep(1.0)
                continue
            if head > self._head:
                self._head = head
                self._tell()
            elif not self._listeners:
                return

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
