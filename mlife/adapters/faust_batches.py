"""
Faust's consumer for floods: it hands out batches, instead of single messages to agents.

It replaces `Consumer._drain_messages`, the loop of Faust's fetcher, and reads only what is committed where a producer
uses transactions. Both are internals: Faust and aiokafka are pinned, and `tests/workers` holds them to it. What goes
wrong in here ends the application; the next one begins at the offsets that are committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

import faust
from faust.transport.drivers import aiokafka as driver

Batches = Mapping[Any, Sequence[Any]]
"""Partition → its records, in order, none empty."""

IDLE_SECONDS = 0.1
"""Between looks, while no partition is assigned."""

FETCH_SECONDS = 1.0
"""How long a fetch waits for the first record."""


class CommittedThread(driver.AIOKafkaConsumerThread):
    """Passes over records of transactions that were aborted."""

    def _create_worker_consumer(self, transport: driver.Transport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # noqa: SLF001 - Faust has no setting for it
        return consumer


class BatchConsumer(driver.Consumer):
    """Hands out batches, and commits those that are taken."""

    def _new_consumer_thread(self) -> CommittedThread:
        return CommittedThread(self, loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: Any) -> None:
        take = cast(BatchTransport, self.transport).take
        while not (self.should_stop or fetcher.should_stop):
            active = self._get_active_partitions() if self.flow_active else None
            if not active:
                await asyncio.sleep(IDLE_SECONDS)
                continue
            generation = self.app.consumer_generation_id
            fetched = await self._getmany(active, FETCH_SECONDS)
            batches = {tp: records for tp, records in fetched.items() if records}
            if not batches or not self.flow_active:
                continue  # what is being revoked comes again, from the committed offset on
            if generation != self.app.consumer_generation_id:
                await self._give_back(batches)
            elif await take(batches) and generation == self.app.consumer_generation_id:
                await self._commit({tp: records[-1].offset + 1 for tp, records in batches.items()})

    async def _give_back(self, batches: Batches) -> None:
        """They were fetched before others had the partitions, or after: read them again, to be sure."""
        for tp, records in batches.items():
            if tp in self.assignment():
                await self.seek(tp, records[0].offset)


class BatchTransport(driver.Transport):
    """
    The transport of an application that takes batches.

    Args:
        take: deals with batches; answers whether that is done, so that they may be committed.
    """

    Consumer = BatchConsumer

    def __init__(self, app: faust.App, take: Callable[[Batches], Awaitable[bool]]) -> None:
        super().__init__(app.conf.broker_consumer, app)
        self.take = take
