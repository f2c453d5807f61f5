"""Refusals on their way to the topic of refusals, over a broker that does not take all of them at once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from mlife.adapters import intake_faust
from mlife.adapters.intake_faust import CUT, FaustIntake
from mlife.adapters.kafka_connection import connection
from mlife.core.errors import Refusal
from mlife.core.feedback import Judged


@dataclass
class SlowBroker:
    """Takes *most* messages in a try, and none that is larger than two million bytes; as Faust's producer."""

    most: int
    got: list[bytes] = field(default_factory=list)
    sent: int = 0

    async def send(self, topic: str, key: bytes | None, value: bytes | None, *_: Any) -> "asyncio.Future[None]":
        if len(value or b"") > 2 * CUT:
            raise MessageSizeTooLargeError("too large")
        if self.sent >= self.most:
            self.sent += 1
            raise KafkaTimeoutError
        self.sent += 1
        self.got.append(value or b"")
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


@dataclass
class Message:
    value: bytes
    offset: int
    topic: str = "mlife.feedback"
    partition: int = 0
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


def nothing_of_it(values: Sequence[bytes | None]) -> Judged:
    return Judged(0, 0, [Refusal(n, "", "", "is no JSON", "a report") for n in range(1, len(values) + 1)])


def test_a_slow_broker_is_sent_only_what_it_has_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(intake_faust, "SHORTEST_PAUSE", 0.01)
    there = connection("kafka://127.0.0.1:9")
    messages = [Message(b"%d" % n, n) for n in range(10)]
    messages[4].value = messages[8].value = b"x" * (3 * CUT)
    broker = SlowBroker(most=5)

    class App:
        producer = broker

    async def run() -> bool:
        intake = FaustIntake(there, nothing_of_it, (), tmp_path)
        taking = asyncio.create_task(intake.take(App(), {0: messages}))  # type: ignore[arg-type]
        await asyncio.sleep(0.05)
        assert not taking.done()
        broker.most = 1_000
        return await asyncio.wait_for(taking, 10)

    assert asyncio.run(run())
    assert sorted(broker.got) == sorted([m.value[:CUT] for m in messages])
    assert [r.message for r in caplog.records] == [
        "reports wait in mlife.feedback: Kafka takes no refusals now (KafkaTimeoutError: KafkaTimeoutError)"
    ]
