"""
Faust applications of MLife's workers: how one is made, kept alive, and ended so that others take over at once.

Faust deals out partitions to processes and reads records; tables, web pages and topics of its own are not used, and no
exception leaves what it calls. What it does inside when a broker is lost is its own: an application that has ended is
thrown away, and another one made.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlife.adapters.kafka_connection import KafkaConnection
from mlife.adapters.topics_kafka import ensure_topics
from mlife.core.errors import Misconfigured, MLifeError, Unavailable
from mlife.core.topics import LARGEST_MESSAGE, Topic

if TYPE_CHECKING:
    import faust

log = logging.getLogger("mlife.worker")

SESSION_SECONDS: Final = 10.0
"""After so long without a sign of life a worker's partitions go to others."""

HEARTBEAT_SECONDS: Final = 1.0
"""Between signs of life; a worker hears of a new one by the answer, so all pause for so long when one comes or goes."""

REBALANCE_SECONDS: Final = 15.0
"""How long a worker is waited for that is alive and does not give up its partitions."""

NEVER_SECONDS: Final = 1e6
"""For alarms of Faust's that would ring where nothing comes, or where a database is waited for."""

STOP_SECONDS: Final = 3.0
"""How long an application may take to end."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds between tries while Kafka is away."""

TOLD_SECONDS: Final = 60.0
"""How often it is told what is still away."""

PASSING_SECONDS: Final = 3.0
"""Complaints of the client library that end so soon are nobody's business: coordinators are found, groups change."""


def application(there: KafkaConnection, group: str, folder: Path, **settings: Any) -> faust.App:
    """
    A Faust application that does nothing yet; for the running event loop.

    Args:
        group: the consumer group, without prefix.
        folder: where Faust makes its (empty) folders.
        settings: further ones of Faust's.
    """
    import faust

    folder.mkdir(parents=True, exist_ok=True)
    return faust.App(
        there.topic(group),
        **there.faust(),
        env={},  # of all the variables that it would read, none is ours
        datadir=folder / group,
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        broker_client_id="mlife",
        broker_session_timeout=SESSION_SECONDS,
        broker_heartbeat_interval=HEARTBEAT_SECONDS,
        broker_rebalance_timeout=REBALANCE_SECONDS,
        broker_max_poll_interval=NEVER_SECONDS,
        broker_commit_livelock_soft_timeout=NEVER_SECONDS,
        stream_processing_timeout=NEVER_SECONDS,
        broker_request_timeout=30.0,
        stream_wait_empty=False,
        producer_max_request_size=LARGEST_MESSAGE + (1 << 20),
        producer_request_timeout=30.0,
        **settings,
    )


@dataclass
class Supervised:
    """
    Keeps a Faust application alive until it is asked to end.

    Args:
        topics: made if they are not there.
        make: a new application each time, with its agents and signals.
        let_go: called when it is asked to end, before it leaves the group; waits for what must not be cut short. An
            application that ends by itself lets go of nothing: what it was assigned goes on by reading the store.
    """

    there: KafkaConnection
    topics: Sequence[Topic]
    make: Callable[[], faust.App]
    let_go: Callable[[], Awaitable[None]]
    _since: float | None = field(init=False, default=None)
    _told_at: float = field(init=False, default=0.0)
    _has_lived: bool = field(init=False, default=False)

    async def run(self, stop: asyncio.Event) -> None:
        """
        Live until *stop* is set.

        Raises:
            Misconfigured: Kafka can't be used as things are set.
            Stuck: an application did not end; only the process can.
        """
        told = complaints()
        pause = SHORTEST_PAUSE
        while not stop.is_set():
            try:
                await asyncio.to_thread(ensure_topics, self.there, self.topics)
                await self._live(stop, told)
            except Misconfigured as fault:
                if not self._has_lived:
                    raise
                self._tell(fault)
            except Unavailable as fault:
                pause = SHORTEST_PAUSE if self._since is None else min(2 * pause, LONGEST_PAUSE)
                self._tell(fault)
            else:
                break  # it was asked to end
            await _either(stop, seconds=pause)

    async def _live(self, stop: asyncio.Event, told: Complaints) -> None:
        app = self.make()
        starting = asyncio.create_task(app.start())
        try:
            await _either(stop, starting)
            if starting.done():
                starting.result()
                self._joined()
                await _either(stop, asyncio.create_task(app.wait_until_stopped()))
            reason = app.crash_reason
        except Exception as fault:  # noqa: BLE001 - Faust passes on whatever its libraries raise
            reason = fault
        finally:
            if stop.is_set():
                await self.let_go()
            await self._end(app, starting)
        if not stop.is_set():
            said = " after ".join(filter(None, (repr(reason) if reason else "", told.last))) or "it does not say why"
            raise Unavailable(f"Faust has ended ({said})", remedy="it is started again") from reason

    async def _end(self, app: faust.App, starting: asyncio.Task[Any]) -> None:
        last_resort = threading.Timer(2 * STOP_SECONDS, os._exit, (1,))  # where it blocks even this loop
        last_resort.daemon = True
        last_resort.start()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                if not starting.done():
                    starting.cancel()
                    await asyncio.wait({starting})
                await app.stop()
        except TimeoutError as fault:
            raise Stuck(
                f"Faust does not end in {STOP_SECONDS:g} s", remedy="the process ends now; start it again"
            ) from fault
        except Exception as fault:  # noqa: BLE001 - it has ended all the same
            log.info("Faust ended with %r", fault)
        finally:
            last_resort.cancel()

    def _joined(self) -> None:
        self._has_lived = True
        if self._since is not None:
            log.info("%s is back after %.0f s", self.there.shown, time.monotonic() - self._since)
        self._since = None

    def _tell(self, fault: MLifeError) -> None:
        now = time.monotonic()
        if self._since is None:
            self._since = now
            log.warning("%s", fault)
        elif now - self._told_at >= TOLD_SECONDS:
            log.warning("still, after %.0f s: %s", now - self._since, fault)
        else:
            return
        self._told_at = now


class Stuck(MLifeError):
    """Something of another library does not end."""


async def _either(stop: asyncio.Event, *others: asyncio.Task[Any], seconds: float | None = None) -> None:
    """Until *stop* is set, one of *others* is done, or *seconds* have passed."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, *others}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()


class Complaints(logging.Handler):
    """Takes what Faust and its client library log, ten lines a second, and passes on what lasts, once a minute."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last = ""
        """What was said last; empty again after a minute of silence."""
        self._first_at = self._last_at = self._told_at = -TOLD_SECONDS

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, and tell it if there was one before and none has been told for a minute."""
        now = time.monotonic()
        if now - self._last_at > TOLD_SECONDS:
            self._first_at = now
        self._last_at = now
        fault = record.exc_info[1] if record.exc_info else None
        self.last = " ".join(record.getMessage().split())[:300] + (f" ({fault!r})" if fault else "")
        if now - self._first_at > PASSING_SECONDS and now - self._told_at > TOLD_SECONDS:
            self._told_at = now
            log.warning("Kafka's client says: %s", self.last)


_complaints: Final = Complaints()


def complaints() -> Complaints:
    """The one handler, put where the libraries log."""
    for name in ("faust", "mode", "aiokafka", "mlife.adapters.faust_batches"):  # the last has subclasses of theirs
        theirs = logging.getLogger(name)
        theirs.propagate = False
        theirs.setLevel(logging.ERROR)
        if _complaints not in theirs.handlers:
            theirs.addHandler(_complaints)
    threading.excepthook = _of_a_thread
    return _complaints


def _of_a_thread(end: threading.ExceptHookArgs) -> None:
    """Faust's consumer has a thread of its own, which complains when it is ended while Kafka is away."""
    if type(end.thread).__module__.partition(".")[0] == "mode" and end.exc_value is not None:
        logging.getLogger("mode").error("its thread has ended", exc_info=end.exc_value)
    else:
        threading.__excepthook__(end)
