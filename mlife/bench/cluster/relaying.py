"""The relay against bare sends of the same messages, by the same client library and by the fastest one."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Iterator

from mlife.bench.cluster.places import Place, place
from mlife.bench.cluster.subscribing import Message, everything, prefix, servers
from mlife.bench.figures import Bench, Figure, figure, median_ratio, take_turns, timed
from mlife.bench.homes import stream
from mlife.bench.reports import batches
from mlife.runtime.relaying import open_relay

TOPICS = ["mlife.badcases", "mlife.log"]
Header = tuple[str, str | bytes | None]


@figure("cluster-relay")
def relaying(bench: Bench) -> Iterator[Figure]:
    """100,000 reports: each to its topic, and packed to every partition of `mlife.log`."""
    count = bench.size(100_000, 5_000)
    some = batches(count)
    with place(bench, "published", bus=True) as here:
        _publish(here, some)
        messages = everything(here.chosen.bus, TOPICS)

    def ours(turn: int) -> float:
        bench.say(f"relay: round {turn + 1}")
        with place(bench, f"relay-{turn}", bus=True) as here:
            return count / _publish(here, some)

    def bare(turn: int) -> float:
        with place(bench, f"bare-{turn}", bus=True) as here:
            return count / timed(lambda: _send_by_kafka_python(here, messages))

    def fastest(turn: int) -> float:
        with place(bench, f"fastest-{turn}", bus=True) as here:
            return count / timed(lambda: _send_by_confluent(here, messages))

    own, same, fast = take_turns([ours, bare, fastest], bench.size(3, 1))
    value = statistics.median(own)
    yield Figure(
        "cluster_relay_vs_bare_sends",
        "`mlife relay` from the log to the broker's acknowledgements; baseline: bare sends of the same messages by "
        "kafka-python, made before",
        value, "events/s", count, 0, statistics.median(same), median_ratio(own, same), 0.7, "ratio", "high",
    )  # fmt: skip
    yield Figure(
        "cluster_relay_vs_confluent",
        "the same; baseline: bare sends of the same messages by confluent-kafka",
        value, "events/s", count, 0, statistics.median(fast), median_ratio(own, fast),
    )  # fmt: skip


def _publish(here: Place, some: list[list[dict[str, object]]]) -> float:
    """Seconds that the relay takes, its connections included."""
    with here.opened() as home:
        stream(home, some)
    with open_relay(here.chosen) as relay:
        return timed(lambda: relay.once(threading.Event()))


def _send_by_kafka_python(here: Place, messages: list[Message]) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(
        bootstrap_servers=servers(here.chosen.bus), acks="all", enable_idempotence=True, compression_type="zstd",
        linger_ms=5, batch_size=1 << 18, max_request_size=16 << 20,
    )  # fmt: skip
    start = prefix(here.chosen.bus)
    for m in messages:
        producer.send(start + m.topic, m.value, m.key, m.headers, m.partition)
    producer.flush()
    producer.close()


def _send_by_confluent(here: Place, messages: list[Message]) -> None:
    from confluent_kafka import Producer

    producer = Producer(
        {
            "bootstrap.servers": ",".join(servers(here.chosen.bus)),
            "acks": "all",
            "enable.idempotence": True,
            "compression.type": "zstd",
            "linger.ms": 5,
            "message.max.bytes": 16 << 20,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    start = prefix(here.chosen.bus)
    for m in messages:
        producer.produce(start + m.topic, m.value, m.key, m.partition, headers=list[Header](m.headers))
    producer.flush()
