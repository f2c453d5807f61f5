"""
Intake of what customers produce to `mlife.feedback`: judged in batches, into the log or into `mlife.feedback.dlq`.

An offset is committed when the log and the topic of refusals have everything before it durably. Whatever ends the
process in between, the same messages come again: the log knows them, and a refusal that stands there twice has the same
`mlife_topic`, `mlife_partition` and `mlife_offset`.

Faust's agents take 60 µs a message, twice what judging costs. So batches are taken beneath them (`faust_batches`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from mlife.adapters.faust_application import Supervised, application
from mlife.adapters.kafka_connection import KafkaConnection
from mlife.core.errors import MLifeError, Refusal, in_a_line
from mlife.core.feedback import Judge, Judged
from mlife.core.inlet import Seldom
from mlife.core.topics import FEEDBACK, REFUSED, Topic

if TYPE_CHECKING:
    import faust

log = logging.getLogger("mlife.intake")

GROUP: Final = "mlife-intake"

BATCH: Final = 5_000
"""Messages that are judged together, at most."""

GIVE_UP_SECONDS: Final = 8.0
"""How long the batch in hand is waited for before its partitions go to others; they would take it again."""

LEAVE_SECONDS: Final = 1.5
"""The same, at the end of the process."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between tries while the log or the topic of refusals can't be written."""

TOLD_SECONDS: Final = 60.0
"""How often it is told what was taken."""

CUT: Final = 1_000_000
"""Bytes that are kept of a message that is too large with its reasons; the header mlife_cut has its size."""


class Message(Protocol):
    """A record as the client library gives it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass
class FaustIntake:
    """
    Takes what comes to `mlife.feedback`.

    Args:
        topics: which must be there.
    """

    there: KafkaConnection
    judge: Judge
    topics: Sequence[Topic]
    folder: Path
    _abandon: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _idle: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _counts: _Counts = field(init=False)

    def __post_init__(self) -> None:
        self._counts = _Counts()
        self._told = Seldom()

    async def run(self, stop: asyncio.Event) -> None:
        """Until *stop* is set. Raises as `Supervised.run`."""
        await Supervised(self.there, self.topics, self._application, self._let_go).run(stop)
        self._counts.tell(at_once=True)

    def _application(self) -> faust.App:
        from mlife.adapters.faust_batches import BatchTransport

        app = application(
            self.there, GROUP, self.folder, consumer_auto_offset_reset="earliest", broker_max_poll_records=BATCH
        )
        app.transport = BatchTransport(app, partial(self.take, app))
        app.topics.add(app.topic(self.there.topic(FEEDBACK), acks=False))  # what is done is known here

        async def on_assigned(_app: Any, /, *_told: Any, **_: Any) -> None:
            self._abandon.clear()

        async def on_revoked(_app: Any, /, *told: Any, **_: Any) -> None:
            if told[0]:
                await self._give_up(GIVE_UP_SECONDS)

        app.on_partitions_assigned.connect(on_assigned)
        app.on_partitions_revoked.connect(on_revoked)
        self._abandon.clear()
        self._idle.set()
        return app

    async def _let_go(self) -> None:
        await self._give_up(LEAVE_SECONDS)

    async def _give_up(self, seconds: float) -> None:
        self._abandon.set()
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            log.warning("the batch in hand takes longer than %g s; whoever takes over takes it again", seconds)

    # --- a batch ---

    async def take(self, app: faust.App, batches: Mapping[Any, Sequence[Message]]) -> bool:
        """
        Judge messages, and wait for what is away until they are where they belong.

        Returns:
            Whether the log and the topic of refusals have all of them durably; False: given up, they come again.
        """
        messages = [message for batch in batches.values() for message in batch]
        values = [message.value for message in messages]
        judged: Judged | None = None
        refused: list[tuple[Message, Refusal]] = []
        pause = SHORTEST_PAUSE
        self._idle.clear()
        try:
            while not self._abandon.is_set():
                try:
                    if judged is None:
                        judged = await asyncio.to_thread(self.judge, values)
                        refused = [(messages[r.line - 1], r) for r in judged.refused]
                    await self._refuse(app, refused)
                except Exception as fault:  # noqa: BLE001 - whatever it is, nothing may be passed over
                    self._complain(fault)
                    await self._rest(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
                else:
                    self._counts.add(judged)
                    return True
            return False
        finally:
            self._idle.set()

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._abandon.wait(), seconds)
        except TimeoutError:
            return

    def _complain(self, fault: Exception) -> None:
        if not self._told.may("away"):
            return
        if isinstance(fault, MLifeError):
            log.warning("reports wait in %s: %s", self.there.topic(FEEDBACK), fault)
        elif _is_kafkas(fault):
            said = in_a_line(fault.__cause__ or fault)
            log.warning("reports wait in %s: Kafka takes no refusals now (%s)", self.there.topic(FEEDBACK), said)
        else:
            log.error("reports wait in %s", self.there.topic(FEEDBACK), exc_info=fault)

    async def _refuse(self, app: faust.App, refused: list[tuple[Message, Refusal]]) -> None:
        """
        Put what can't be taken where people look at it; returns when Kafka has it.

        What Kafka has leaves *refused* also where some of it fails: a slow broker that was sent all of them again
        and again would never be done.
        """
        told = [(m.key, m.value, [*_kept(m), *_reasons(m, r)]) for m, r in refused]
        ends = await asyncio.gather(*(self._send(app, *one) for one in told), return_exceptions=True)
        left = [(one, end) for one, end in zip(refused, ends, strict=True) if end is not None]
        large = [told[at] for at, end in enumerate(ends) if end is not None and _is_too_large(end)]
        refused[:] = [one for one, _ in left]
        for _, end in left:
            if not _is_too_large(end):
                raise end
        for key, value, headers in large:
            size = len(key or b"") + len(value or b"")
            await self._send(app, None, (value or b"")[:CUT], [*headers[-REASONS:], _header("cut", size)])
            del refused[0]

    async def _send(
        self, app: faust.App, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
    ) -> None:
        await (await app.producer.send(self.there.topic(REFUSED), key, value, None, None, headers))


def _is_kafkas(fault: BaseException) -> bool:
    """Is it an outage of Kafka's? Faust passes on what the client library says as a cause."""
    from aiokafka.errors import KafkaError

    return isinstance(fault, KafkaError) or isinstance(fault.__cause__, KafkaError)


def _is_too_large(fault: BaseException) -> bool:
    """Did the client library or the broker say so? Faust passes on the former as a cause."""
    from aiokafka.errors import MessageSizeTooLargeError

    return isinstance(fault, MessageSizeTooLargeError) or isinstance(fault.__cause__, MessageSizeTooLargeError)


def _kept(message: Message) -> list[tuple[str, bytes]]:
    """The message's own headers; a name of ours may be there if somebody has sent a refusal again."""
    return [(name, value) for name, value in message.headers or () if not name.startswith("mlife_")]


def _reasons(message: Message, refusal: Refusal) -> list[tuple[str, bytes]]:
    told = {
        "problem": refusal.problem,
        "field": refusal.field,
        "value": refusal.value,
        "expected": refusal.expected,
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "refused_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return [_header(name, value) for name, value in told.items()]


REASONS: Final = 8
"""How many headers `_reasons` makes."""


def _header(name: str, value: object) -> tuple[str, bytes]:
    return f"mlife_{name}", str(value).encode(errors="backslashreplace")


@dataclass
class _Counts:
    """What was taken since it was told."""

    accepted: int = 0
    known: int = 0
    refused: int = 0
    told_at: float = field(default_factory=time.monotonic)

    def add(self, judged: Judged) -> None:
        self.accepted += judged.accepted
        self.known += judged.known
        self.refused += len(judged.refused)
        self.tell()

    def tell(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if not (self.accepted or self.known or self.refused) or (now - self.told_at < TOLD_SECONDS and not at_once):
            return
        log.info("%d new, %d known, %d refused", self.accepted, self.known, self.refused)
        self.accepted = self.known = self.refused = 0
        self.told_at = now
