"""What subscribers and workers get from the relay, through a real broker."""

import hashlib
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.producer.transaction_manager import TransactionManager

from infra.local import Kafka
from mlife.adapters import bus_kafka
from mlife.adapters.bus_kafka import KafkaBus, partition_of
from mlife.adapters.events_sqlite import SqliteEventStore
from mlife.adapters.kafka_connection import connection
from mlife.adapters.postgres import Postgres
from mlife.adapters.relay_postgres import PostgresRelayBook
from mlife.adapters.topics_kafka import check_topics, ensure_topics
from mlife.core.errors import Corrupt, Misconfigured
from mlife.core.events import Recorded, registry
from mlife.core.ports import Append, EventStore
from mlife.core.relay import Relay
from mlife.core.topics import LARGEST_MESSAGE, LOG, topics
from tests.relay.facts import Facts, installed
from tests.relay.subscriber import faults, messages, repeated, whole

NOBODY_STOPS = threading.Event()


@contextmanager
def relay_of(store: EventStore, postgres_url: str, kafka_url: str) -> Iterator[Relay]:
    with closing(Postgres(postgres_url)) as database, closing(KafkaBus(connection(kafka_url))) as bus:
        yield Relay(store, bus, PostgresRelayBook(database))


@pytest.fixture
def relay(store: EventStore, postgres_url: str, kafka_url: str) -> Iterator[Relay]:
    with relay_of(store, postgres_url, kafka_url) as made:
        yield made


@pytest.fixture
def wanted() -> Any:
    return topics(installed())


@pytest.fixture
def admin(kafka_broker: Kafka) -> Iterator[KafkaAdminClient]:
    with closing(KafkaAdminClient(bootstrap_servers=kafka_broker.address)) as client:
        yield client


# --- what is published ---


def test_the_component_topics_together_hold_exactly_the_log(
    relay: Relay, store: EventStore, facts: Facts, kafka_url: str
) -> None:
    for _ in range(5):
        facts.append(700)

    assert relay.once(NOBODY_STOPS) == 3_500
    assert list(faults(kafka_url, store)) == []
    assert repeated(kafka_url) == 0
    assert len({m.topic for listed in messages(kafka_url).values() for m in listed}) == 5
    value = next(m for listed in messages(kafka_url).values() for m in listed)
    assert hashlib.sha256(value.value).hexdigest() == value.headers["ce_digest"]


def test_a_relay_goes_on_where_the_last_one_ended(
    store: EventStore, facts: Facts, postgres_url: str, kafka_url: str
) -> None:
    for total in (300, 600):
        facts.append(300)
        with relay_of(store, postgres_url, kafka_url) as relay:
            assert relay.once(NOBODY_STOPS) == total

    assert list(faults(kafka_url, store)) == []
    assert repeated(kafka_url) == 0


def test_a_cluster_that_is_new_is_given_everything_from_the_start(
    store: EventStore, facts: Facts, postgres_url: str, kafka_url: str
) -> None:
    facts.append(100)
    for url in (kafka_url, f"{kafka_url}second."):
        with relay_of(store, postgres_url, url) as relay:
            relay.once(NOBODY_STOPS)

        assert list(faults(url, store)) == []


def test_what_was_set_back_is_published_again(relay: Relay, store: EventStore, facts: Facts, kafka_url: str) -> None:
    facts.append(100)
    relay.once(NOBODY_STOPS)
    relay.book.set_back(40)

    assert relay.once(NOBODY_STOPS) == 100
    assert repeated(kafka_url) == 60
    assert list(faults(kafka_url, store)) == []


def test_an_event_of_eight_megabytes_passes_among_small_ones(
    relay: Relay, store: EventStore, facts: Facts, kafka_url: str
) -> None:
    facts.append(50)
    store.append(Append([facts.draft(data=noise(facts, 7_900_000)) for _ in range(2)], whole=False))
    facts.append(50)

    relay.once(NOBODY_STOPS)

    assert list(faults(kafka_url, store)) == []


# --- what Kafka refuses ---


def noise(facts: Facts, size: int) -> bytes:
    """JSON of *size* bytes that can't be compressed below half of that."""
    return b'"%s"' % facts.chance.randbytes(size // 2 - 1).hex().encode()


def take_at_most(admin: KafkaAdminClient, topic: str, size: int) -> None:
    """Let *topic* refuse larger batches, and wait until it does."""
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": str(size)})])
    asked = [ConfigResource(ConfigResourceType.TOPIC, topic)]
    until = time.monotonic() + 20
    while admin.describe_configs(asked, config_filter="all")["topic"][topic]["max.message.bytes"]["value"] != str(size):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_what_is_refused_stops_the_relay_and_nothing_overtakes_it(
    relay: Relay,
    store: EventStore,
    facts: Facts,
    kafka_url: str,
    admin: KafkaAdminClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(bus_kafka.PRODUCER, "batch_size", 2_000)  # many small batches follow the one that is refused
    there = connection(kafka_url)
    facts.append(1)
    relay.once(NOBODY_STOPS)
    one_type = next(k.type for k in registry if k.topic == "mlife.data")
    take_at_most(admin, there.topic("mlife.data"), 10_000)
    large = facts.draft(type=one_type, key="k", data=noise(facts, 30_000))
    small = [facts.draft(type=one_type, key="k", data=noise(facts, 500)) for _ in range(200)]
    store.append(Append([*small[:50], large, *small[50:]], whole=False))

    with pytest.raises(Misconfigured, match=r"event 52 .*30,000 bytes.*max\.message\.bytes") as refused:
        relay.once(NOBODY_STOPS)

    assert refused.value.remedy.startswith("set max.message.bytes=8388608 for")
    got = [m.position for listed in messages(kafka_url).values() for m in listed]
    assert max(got) < 52
    assert relay.book.published().position < 52

    take_at_most(admin, there.topic("mlife.data"), LARGEST_MESSAGE)
    assert relay.once(NOBODY_STOPS) == 202
    assert list(faults(kafka_url, store)) == []


def test_after_a_refusal_nothing_more_is_sent_even_while_nobody_looks(
    facts: Facts, kafka_url: str, admin: KafkaAdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    After some faults kafka-python bumps its producer's epoch, fails what was under way, and sends what is queued.

    Those faults are hard to make; so here it takes a refusal for one.
    """
    bumped = {*TransactionManager._NEEDS_EPOCH_BUMP_ERRORS, kafka_errors.MessageSizeTooLargeError}
    monkeypatch.setattr(TransactionManager, "_NEEDS_EPOCH_BUMP_ERRORS", bumped)
    monkeypatch.setitem(bus_kafka.PRODUCER, "batch_size", 2_000)
    one_type = next(k.type for k in registry if k.topic == "mlife.data")
    sizes = [500] * 50 + [30_000] + [500] * 150
    drafts = [facts.draft(type=one_type, key="k", data=noise(facts, size)) for size in sizes]
    with closing(KafkaBus(connection(kafka_url))) as bus:
        bus.connect()
        take_at_most(admin, connection(kafka_url).topic("mlife.data"), 10_000)
        flight = bus.publish([Recorded(n, 1, d) for n, d in enumerate(drafts, start=1)], b"the first event!")
        time.sleep(2)

        got = [m.position for listed in messages(kafka_url).values() for m in listed]
        assert sorted(got) == list(range(1, 51))
        with pytest.raises(Misconfigured, match="larger than Kafka takes"):
            flight.landed(0)
        with pytest.raises(Misconfigured, match="larger than Kafka takes"):
            bus.publish([Recorded(202, 1, drafts[0])], b"the first event!")


def test_an_old_copy_of_the_log_is_not_published(
    relay: Relay, facts: Facts, postgres_url: str, kafka_url: str, tmp_path: Path
) -> None:
    """The position is in the same backup, so only the topics know better."""
    facts.append(10)
    with closing(SqliteEventStore(tmp_path / "copy.db")) as copy:
        copy.append(Append([r.draft for r in relay.store.read()], whole=False))
        relay.once(NOBODY_STOPS)
        facts.append(300)
        relay.once(NOBODY_STOPS)
        before = messages(kafka_url)
        with closing(Postgres(postgres_url)) as database, database.lent() as db:
            db.execute("UPDATE relay SET position = 10")
        with relay_of(copy, postgres_url, kafka_url) as restored:
            with pytest.raises(Corrupt, match=r"up to position 310 were published, and the log ends at 10.*prefix="):
                restored.once(NOBODY_STOPS)

            Facts(copy, random.Random(8)).append(400)
            with pytest.raises(Corrupt, match=r"event \d+ was published as .*, and is another in this log"):
                restored.once(NOBODY_STOPS)
    assert messages(kafka_url) == before


def test_an_event_of_a_feature_that_is_not_installed_stops_the_relay(
    relay: Relay, store: EventStore, facts: Facts
) -> None:
    store.append(Append([facts.draft(), facts.draft(type="mlife.stranger.came.v1"), facts.draft()], whole=False))

    with pytest.raises(Corrupt, match=r"no installed feature declares the event mlife\.stranger\.came\.v1"):
        relay.once(NOBODY_STOPS)
    assert relay.book.published().position == 0


# --- topics ---


def test_several_processes_may_make_the_topics_at_once(kafka_url: str, wanted: Any) -> None:
    with ThreadPoolExecutor(4) as pool:
        ensured = list(pool.map(lambda _: ensure_topics(connection(kafka_url), wanted), range(4)))

    assert sorted(name for e in ensured for name in e.made) == sorted(t.name for t in wanted)
    assert len({e.cluster for e in ensured}) == 1
    assert ensure_topics(connection(kafka_url), wanted).made == []
    assert {f.state for f in check_topics(connection(kafka_url), wanted)} == {"ok"}


def test_topics_keep_what_they_must(kafka_url: str, wanted: Any, admin: KafkaAdminClient) -> None:
    there = connection(kafka_url)
    ensure_topics(there, wanted)
    names = {t.name: ConfigResource(ConfigResourceType.TOPIC, there.topic(t.name)) for t in wanted}
    told = admin.describe_configs(list(names.values()), config_filter="all")["topic"]

    def of(name: str, option: str) -> str:
        return str(told[there.topic(name)][option]["value"])

    assert {of(n, "retention.ms") for n in names if n not in {LOG, "mlife.feedback"}} == {"-1"}
    assert of(LOG, "retention.ms") == str(7 * 24 * 3600 * 1000)
    assert {of(n, "cleanup.policy") for n in names} == {"delete"}


def test_too_few_partitions_are_refused_and_found(kafka_url: str, wanted: Any) -> None:
    ensure_topics(connection(f"{kafka_url}&partitions=4"), topics(registry, partitions=4))

    with pytest.raises(Misconfigured, match="has 4 partitions, and MLIFE_BUS says 8"):
        ensure_topics(connection(kafka_url), wanted)
    found = {f.what: f for f in check_topics(connection(kafka_url), wanted)}
    assert found[f"topic {connection(kafka_url).topic(LOG)}"].state == "wrong"


def test_partitions_that_somebody_adds_move_no_key(
    store: EventStore, facts: Facts, postgres_url: str, kafka_url: str, admin: KafkaAdminClient, wanted: Any
) -> None:
    there = connection(kafka_url)
    facts.append(200)
    with relay_of(store, postgres_url, kafka_url) as relay:
        relay.once(NOBODY_STOPS)
    admin.create_partitions({there.topic("mlife.data"): 12})
    facts.append(200)
    with relay_of(store, postgres_url, kafka_url) as relay:
        relay.once(NOBODY_STOPS)

    assert list(faults(kafka_url, store)) == []
    found = {f.what: f for f in check_topics(there, wanted)}
    assert found[f"topic {there.topic('mlife.data')}"].found.startswith("has 12 partitions; events go to the first 8")


def test_what_is_missing_is_found(kafka_url: str, wanted: Any, admin: KafkaAdminClient) -> None:
    there = connection(kafka_url)
    ensure_topics(there, wanted[1:])
    take_at_most(admin, there.topic(LOG), 1_000_000)
    found = {f.what.removeprefix(f"topic {there.prefix}"): f for f in check_topics(there, wanted)}

    assert (found[wanted[0].name].state, found[wanted[0].name].found) == ("wrong", "is missing")
    assert "takes messages of at most 1,000,000 bytes" in found[LOG].found


def test_more_copies_than_brokers_are_refused(kafka_url: str, wanted: Any) -> None:
    with pytest.raises(Misconfigured, match="start more brokers, or say fewer than replication=3"):
        ensure_topics(connection(f"{kafka_url}&replication=3"), wanted)


def test_a_key_has_the_partition_that_kafkas_own_clients_give_it() -> None:
    """Values of Java's `Utils.murmur2`, as its own test has them."""
    murmur = {"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536}

    assert {k: partition_of(k, 1_000) for k in murmur} == {k: (v & 0x7FFFFFFF) % 1_000 for k, v in murmur.items()}


def test_intakes_topics_are_there_for_customers(relay: Relay, kafka_url: str) -> None:
    relay.once(NOBODY_STOPS)

    assert len(whole(kafka_url, ["mlife.feedback"])) == 8
    assert len(whole(kafka_url, ["mlife.feedback.dlq"])) == 1
