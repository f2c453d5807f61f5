"""
Workers of projections and of handlers: Kafka deals out the partitions of `mlife.log`, and with them what to run.

Every partition holds the whole log. So of those that are assigned one is read, and the others are paused; and because
the query tables know where they stand, nothing is ever committed to Kafka: a worker begins at the end of the topic, and
reads the store up to there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlife.adapters.faust_application import Supervised, application
from mlife.adapters.kafka_connection import KafkaConnection
from mlife.core.assignment import assigned
from mlife.core.inlet import Inlet
from mlife.core.ports import EventStore
from mlife.core.runner import Runner
from mlife.core.topics import LOG, Topic

if TYPE_CHECKING:
    import faust

log = logging.getLogger("mlife.worker")

GIVE_UP_SECONDS: Final = 8.0
"""How long a round of the runner is waited for before its partitions go to others; a longer one is fenced off."""

LEAVE_SECONDS: Final = 1.5
"""The same, at the end of the process."""

FULL_SECONDS: Final = 0.02
"""Between looks whether the runner has read what it was given."""


@dataclass
class FaustWorker:
    """
    Tells a runner what Kafka assigns to this process, and brings it the records of the log.

    Args:
        group: the consumer group, without prefix; workers of one group share the work.
        names: all that the group runs.
        secret: gives what the records of this log are sealed with.
        topics: which must be there.
    """

    there: KafkaConnection
    group: str
    names: Sequence[str]
    runner: Runner
    store: EventStore
    secret: Callable[[], bytes]
    topics: Sequence[Topic]
    folder: Path
    _serves: frozenset[str] = field(init=False, default=frozenset())
    _read: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._inlet = Inlet(self.store, self.runner.feed, self.secret, lambda: bool(self._serves))

    async def run(self, stop: asyncio.Event) -> None:
        """Until *stop* is set. Raises as `Supervised.run`."""
        await Supervised(self.there, self.topics, self._application, self._let_go).run(stop)

    def _application(self) -> faust.App:
        app = application(
            self.there,
            self.group,
            self.folder,
            consumer_auto_offset_reset="latest",
            stream_buffer_maxsize=4,  # records of up to a megabyte each
        )
        # nothing is acknowledged: what was dealt with is known where it matters, in the query tables
        topic = app.topic(self.there.topic(LOG), key_type=bytes, value_type=bytes, value_serializer="raw", acks=False)

        async def on_assigned(_app: Any, /, *told: Any, **_: Any) -> None:
            await self._take(told[0])

        async def on_revoked(_app: Any, /, *told: Any, **_: Any) -> None:
            if told[0]:
                await self._give_up(GIVE_UP_SECONDS)

        app.on_partitions_assigned.connect(on_assigned)
        app.on_partitions_revoked.connect(on_revoked)

        async def follow(records: Any) -> None:
            async for event in records.events():
                await self._bring(app, event.message)

        app.agent(topic, name=f"{self.group}.follow")(follow)
        return app

    async def _take(self, held: Iterable[Any]) -> None:
        mine = sorted(tp for tp in held if tp.topic == self.there.topic(LOG))
        self._read = mine[0] if mine else None
        self._serves = assigned(self.names, {tp.partition for tp in mine}, self.there.partitions)
        log.info("runs %s", ", ".join(sorted(self._serves)) or "nothing: others do it all")
        await asyncio.to_thread(self.runner.serve, self._serves, timeout=0)

    async def _give_up(self, seconds: float) -> None:
        """Let the round of the runner end, so that nobody does the same at once."""
        self._serves = frozenset()
        if not await asyncio.to_thread(self.runner.serve, (), timeout=seconds):
            log.warning("what runs now takes longer than %g s; whoever takes it over may begin before", seconds)

    async def _let_go(self) -> None:
        await self._give_up(LEAVE_SECONDS)

    async def _bring(self, app: faust.App, message: Any) -> None:
        """Give the runner what is in a record. Nothing is raised: it would leave the agent's loop."""
        try:
            if message.tp != self._read:
                app.consumer.pause_partitions({message.tp})
                return
            packed = self._inlet.opened(message.value)
            if packed is None:
                return
            while self._inlet.is_full and self._serves:  # noqa: ASYNC110 - another thread's business
                await asyncio.sleep(FULL_SECONDS)
            await asyncio.to_thread(self._inlet.offer, packed)
        except Exception:
            log.exception("a record of mlife.log is passed over; the store has what it holds")
