"""What MLife builds on in Faust and its client library beyond their documentation: a new release must be looked at."""

import hashlib
import inspect
from importlib.metadata import version

import pytest

PINNED = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}


@pytest.mark.parametrize("package", PINNED)
def test_the_release_is_the_one_that_was_read(package: str) -> None:
    assert version(package) == PINNED[package], (
        "read what changed in the functions of this file, run tests/workers and the oracle, and pin the new release"
    )


def test_the_functions_that_are_replaced_or_relied_on_are_as_they_were_read() -> None:
    from aiokafka.consumer.consumer import AIOKafkaConsumer
    from faust.app.base import App
    from faust.tables.recovery import Recovery
    from faust.transport.consumer import Consumer, Fetcher
    from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

    functions = [
        Consumer._drain_messages,  # replaced
        Fetcher._fetcher.fun,  # calls it
        AIOKafkaConsumerThread._create_worker_consumer,  # extended
        AIOKafkaConsumerThread._fetch_records,
        AIOKafkaConsumerThread._commit,
        App._on_partitions_revoked,
        App._on_partitions_assigned,
        Recovery._resume_streams,
        AIOKafkaConsumer.seek_to_committed,
    ]
    read = {f.__qualname__: hashlib.sha256(inspect.getsource(f).encode()).hexdigest()[:12] for f in functions}

    assert read == {
        "Consumer._drain_messages": "44a2500309e8",
        "Fetcher._fetcher": "68f894f0b577",
        "AIOKafkaConsumerThread._create_worker_consumer": "c2701bfc3e6f",
        "AIOKafkaConsumerThread._fetch_records": "39a2c6c79fc1",
        "AIOKafkaConsumerThread._commit": "932852ce7a23",
        "App._on_partitions_revoked": "d5c895bbe57d",
        "App._on_partitions_assigned": "de932b7927db",
        "Recovery._resume_streams": "d986a6710c1a",
        "AIOKafkaConsumer.seek_to_committed": "f6cd85c8b70a",
    }
