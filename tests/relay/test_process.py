"""`mlife relay` as the process that it is: killed, frozen, doubled, and with one of its neighbours away."""

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from infra.local import Certificates, Kafka, KafkaTrio
from infra.local import Postgres as Server
from mlife.adapters.events_postgres import PostgresEventStore
from mlife.adapters.postgres import Postgres
from mlife.adapters.relay_postgres import PostgresRelayBook
from mlife.core.errors import MLifeError
from mlife.core.ports import EventStore
from mlife.core.relay import Published
from tests.relay.facts import Facts
from tests.relay.subscriber import faults

ROOT = Path(__file__).parents[2]


class Processes:
    """Relays of one log on one bus; whatever still runs is killed at the end."""

    def __init__(self, folder: Path, store_url: str, bus_url: str) -> None:
        self._folder = folder
        self._store_url, self._bus_url = store_url, bus_url
        self.running: list[subprocess.Popen[bytes]] = []
        self._count = 0

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        self._count += 1
        with (self._folder / f"relay-{self._count}.log").open("wb") as said:
            relay = subprocess.Popen(
                [sys.executable, "-m", "mlife", "relay", *words],
                cwd=ROOT,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "MLIFE_STORE": self._store_url,
                    "MLIFE_BUS": self._bus_url,
                    "MLIFE_HOME": str(self._folder / "home"),
                },
            )
        self.running.append(relay)
        return relay

    def said(self, number: int = 0) -> str:
        """What relay *number* (from 1) has said; 0: the last one."""
        return (self._folder / f"relay-{number or self._count}.log").read_text()

    def hears(self, words: str, number: int = 0, seconds: float = 60) -> None:
        """Wait until it has said *words*."""
        wait_until(lambda: re.search(words, self.said(number)) is not None, seconds)

    def end(self) -> None:
        for relay in self.running:
            relay.kill()
            relay.wait()


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def relays(tmp_path: Path, postgres_url: str, kafka_url: str) -> Iterator[Processes]:
    processes = Processes(tmp_path, postgres_url, kafka_url)
    yield processes
    processes.end()


@pytest.fixture
def book(postgres_url: str) -> Iterator[PostgresRelayBook]:
    with closing(Postgres(postgres_url)) as database:
        yield PostgresRelayBook(database)


@contextmanager
def writing(facts: Facts, pause: float = 0.005) -> Iterator[list[float]]:
    """A writer in a thread that appends small batches; how long each took."""
    stop, took = threading.Event(), list[float]()

    def write() -> None:
        while not stop.is_set():
            began = time.monotonic()
            facts.append(facts.chance.randrange(1, 20))
            took.append(time.monotonic() - began)
            stop.wait(pause)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield took
    finally:
        stop.set()
        thread.join()


def everything_is_published(store: EventStore, book: PostgresRelayBook) -> bool:
    return book.published().position == store.head()


# --- the relay itself ---


@pytest.mark.slow
def test_killed_at_any_moment_it_skips_nothing_and_order_holds(
    relays: Processes, store: EventStore, facts: Facts, book: PostgresRelayBook, kafka_url: str
) -> None:
    chance = random.Random(5)
    with writing(facts):
        for _ in range(6):
            relay = relays.start()
            begun = book.published().position
            wait_until(lambda begun=begun: book.published().position > begun)  # type: ignore[misc]
            time.sleep(chance.random())
            relay.kill()
            relay.wait()
    relays.start()
    wait_until(lambda: everything_is_published(store, book))

    assert list(faults(kafka_url, store)) == []


@pytest.mark.slow
def test_another_relay_takes_over_within_seconds(
    relays: Processes, store: EventStore, facts: Facts, book: PostgresRelayBook, kafka_url: str
) -> None:
    first = relays.start()
    relays.hears("published up to 0", 1)
    relays.start()
    relays.hears("another relay publishes this log; this one takes over", 2)
    with writing(facts):
        time.sleep(1)
        first.kill()
        killed = time.monotonic()
        relays.hears("published up to", 2)
        took = time.monotonic() - killed
    wait_until(lambda: everything_is_published(store, book))

    assert took < 5
    assert list(faults(kafka_url, store)) == []


@pytest.mark.slow
def test_a_relay_that_stands_still_loses_its_place_and_does_no_harm_when_it_goes_on(
    relays: Processes, store: EventStore, facts: Facts, book: PostgresRelayBook, kafka_url: str
) -> None:
    frozen = relays.start()
    relays.hears("published up to 0", 1)
    with writing(facts):
        wait_until(lambda: book.published().position > 0)
        frozen.send_signal(signal.SIGSTOP)
        relays.start()
        relays.hears("published up to", 2)
        time.sleep(1)
        frozen.send_signal(signal.SIGCONT)
        relays.hears("another relay publishes this log", 1)
    wait_until(lambda: everything_is_published(store, book))

    assert list(faults(kafka_url, store)) == []


def test_asked_to_end_it_ends_with_its_position_moved(
    relays: Processes, store: EventStore, facts: Facts, book: PostgresRelayBook, kafka_url: str
) -> None:
    relay = relays.start()
    with writing(facts):
        wait_until(lambda: book.published().position > 0)
        relay.terminate()
        assert relay.wait(10) == 0
    position = book.published().position
    time.sleep(0.5)

    assert "the relay has ended" in relays.said()
    assert book.published() == Published(position, book.published().moved_at, is_led=False)
    assert relays.start("--once").wait(30) == 0
    assert f"published up to {store.head()}" in relays.said()
    assert list(faults(kafka_url, store)) == []


# --- Kafka away ---


@pytest.mark.slow
def test_while_the_broker_is_away_the_log_keeps_accepting_and_then_all_is_published_in_order(
    tmp_path: Path, store: EventStore, facts: Facts, book: PostgresRelayBook, postgres_url: str, kafka_server: Kafka
) -> None:
    relays = Processes(tmp_path, postgres_url, kafka_server.url)
    try:
        relays.start()
        with writing(facts) as took:
            wait_until(lambda: book.published().position > 0)
            kafka_server.kill()
            before, appends = store.head(), len(took)
            time.sleep(float(os.environ.get("MLIFE_TEST_AWAY", "9")))
            accepted, behind, slowest = store.head() - before, book.published().position, max(took[appends:])
            kafka_server.start()
            wait_until(lambda: book.published().position > behind + 100, 60)
        wait_until(lambda: everything_is_published(store, book))
        found = list(faults(kafka_server.url, store))
    finally:
        relays.end()

    assert found == []
    assert accepted > 500
    assert slowest < 2
    assert behind < before + 200
    assert len(relays.said().splitlines()) < 10  # told once, not a thousand times
    assert re.search(r"acknowledged nothing for \d+ s; events after \d+ wait in the log", relays.said())
    assert re.search(r"goes on after \d+ s", relays.said())


@pytest.mark.slow
def test_a_broker_that_is_restarted_again_and_again_gets_everything_in_order(
    tmp_path: Path, store: EventStore, facts: Facts, book: PostgresRelayBook, postgres_url: str, kafka_server: Kafka
) -> None:
    relays = Processes(tmp_path, postgres_url, kafka_server.url)
    try:
        relays.start()
        with writing(facts):
            for end in (kafka_server.kill, kafka_server.stop, kafka_server.kill):
                position = book.published().position
                wait_until(lambda p=position: book.published().position > p)  # type: ignore[misc]
                end()
                kafka_server.start()
        wait_until(lambda: everything_is_published(store, book), 60)
        assert list(faults(kafka_server.url, store)) == []
    finally:
        relays.end()


def test_a_relay_without_kafka_says_so_once_and_ends_when_asked(
    tmp_path: Path, postgres_url: str, facts: Facts
) -> None:
    relays = Processes(tmp_path, postgres_url, "kafka://127.0.0.1:9")
    try:
        relay = relays.start()
        relays.hears(r"kafka://127.0.0.1:9 can't be used now \(127.0.0.1:9: Connection refused\)")
        relay.terminate()
        assert relay.wait(15) == 0
        assert len(relays.said().splitlines()) <= 3
        assert relays.start("--once").wait(30) == 1
    finally:
        relays.end()


@pytest.mark.slow
def test_of_three_brokers_one_is_killed_and_nothing_acknowledged_is_lost(
    tmp_path: Path, store: EventStore, facts: Facts, book: PostgresRelayBook, postgres_url: str, kafka_trio: KafkaTrio
) -> None:
    relays = Processes(tmp_path, postgres_url, kafka_trio.url)
    try:
        relays.start()
        with writing(facts):
            wait_until(lambda: book.published().position > 500)
            for broker in kafka_trio.brokers[:2]:
                broker.kill()
                position = book.published().position
                wait_until(lambda p=position: book.published().position > p + 500, 60)  # type: ignore[misc]
                broker.start()
        wait_until(lambda: everything_is_published(store, book), 60)
        assert list(faults(kafka_trio.url, store)) == []
    finally:
        relays.end()


# --- PostgreSQL away ---


@pytest.mark.slow
def test_it_outlives_the_database(tmp_path: Path, postgres_server: Server, kafka_url: str) -> None:
    relays = Processes(tmp_path, postgres_server.url, kafka_url)
    with closing(Postgres(postgres_server.url)) as database, closing(PostgresEventStore(database)) as store:
        facts, book = Facts(store, random.Random(3)), PostgresRelayBook(database)
        try:
            relay = relays.start()
            relays.hears("published up to 0")
            for end in (postgres_server.kill, postgres_server.stop):
                facts.append(2_000)
                time.sleep(0.3)
                end()
                time.sleep(2)
                postgres_server.start()
            append_at_last(facts)
            wait_until(lambda: everything_is_published(store, book))
            assert relay.poll() is None
            assert list(faults(kafka_url, store)) == []
            assert len(relays.said().splitlines()) < 12
        finally:
            relays.end()


def append_at_last(facts: Facts) -> None:
    """Append as soon as the database lets us."""
    until = time.monotonic() + 20
    while True:
        try:
            facts.append(100)
        except MLifeError:
            assert time.monotonic() < until
            time.sleep(0.2)
        else:
            return


# --- configuration ---


@pytest.mark.parametrize(
    ("bus", "said"),
    [
        ("inprocess", "MLIFE_BUS is inprocess: there is nothing to publish on"),
        ("kafka://one?acks=1", "has unknown parameters: acks"),
        ("kafka://me:hidden@", "names a broker ''"),
    ],
)
def test_a_wrong_setting_is_told_in_one_sentence(tmp_path: Path, postgres_url: str, bus: str, said: str) -> None:
    relays = Processes(tmp_path, postgres_url, bus)

    assert relays.start().wait(30) == 1
    assert said in relays.said()
    assert "hidden" not in relays.said()
    assert len(relays.said().splitlines()) == 2


@pytest.mark.slow
@pytest.mark.parametrize("sasl", ["SCRAM-SHA-512", "PLAIN"])
def test_encrypted_and_with_a_name(
    tmp_path: Path, store: EventStore, facts: Facts, postgres_url: str, sasl: str
) -> None:
    facts.append(50)
    with Kafka(tmp_path / "kafka", tls=Certificates(tmp_path / "certificates"), sasl=sasl) as broker:  # type: ignore[arg-type]
        relays = Processes(tmp_path, postgres_url, broker.url)
        assert relays.start("--once").wait(60) == 0
        assert list(faults(broker.url, store)) == []

        secret = re.search(r"://mlife:(.*?)@", broker.url)
        assert secret
        wrong = {
            broker.url.replace(secret[1], "not-this"): "does not let MLife in|ends the connection while MLife logs in",
            re.sub(r"&ssl_cafile=[^&]*", "", broker.url): "TLS with kafka://mlife:.*fails",
        }
        for url, said in wrong.items():
            others = Processes(tmp_path, postgres_url, url)
            assert others.start("--once").wait(60) == 1
            assert re.search(said, others.said())
            assert "not-this" not in others.said()
            assert secret[1] not in others.said()
