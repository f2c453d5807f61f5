"""`mlife worker intake`: what customers produce comes into the log once, or to where people see why not."""

import random
import time
from dataclasses import replace

import orjson
import pytest
from kafka import KafkaProducer

from infra.local import Kafka
from infra.local import Postgres as Server
from mlife.adapters.kafka_connection import connection
from mlife.badcases.events import BadcaseReported
from mlife.core.topics import FEEDBACK
from mlife.runtime import Home
from tests.workers.cluster import Cluster, Process, facts, take, until
from tests.workers.customers import lag, plain, refusals, scattered, sends, structured

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def intake(cluster: Cluster, **environment: str) -> Process:
    """An intake whose topics are there."""
    cluster.start("relay", "--once").child.wait(60)
    return cluster.start("worker", "intake", **environment)


def report_ids(home: Home) -> list[str]:
    return [r.event.report_id for r in facts(home, BadcaseReported)]


def taken(cluster: Cluster, home: Home, count: int, seconds: float = 60.0) -> None:
    """Wait until the log has *count* reports, and all offsets are committed."""
    until(f"{count} reports are taken", lambda: home.ports.store.head() >= count, seconds)
    until("the offsets are committed", lambda: lag(cluster.bus) == 0, seconds)


def test_reports_are_taken_and_what_is_none_is_kept_as_it_came_with_the_reason(cluster: Cluster) -> None:
    wrong = [None, b"", b"\xff\xfeR", b"[1, 2]", b'{"system": "dms"}', plain(8, observed_at="yesterday"), b"not JSON"]
    with cluster.home() as home:
        worker = intake(cluster)
        sends(cluster.bus, [plain(1), structured(2), wrong[0], b"\xef\xbb\xbf" + plain(3, note=None), *wrong[1:]])
        sends(cluster.bus, [orjson.dumps(orjson.loads(plain(4)), option=orjson.OPT_INDENT_2), plain(1), structured(1)])
        taken(cluster, home, 3)

        assert report_ids(home) == ["r1", "r2", "r4"]
        found = refusals(cluster.bus)
        assert [value for _, value, _ in found if value] == [
            b"\xef\xbb\xbf" + plain(3, note=None),
            *filter(None, wrong),
        ]
        assert {key for key, _, _ in found} == {b"k"}
        reasons = {value: told for _, value, told in found}
        assert reasons[None]["mlife_problem"] == "is a tombstone"
        assert reasons[b""]["mlife_problem"] == "is empty"
        told = reasons[wrong[5]]
        assert (told["mlife_field"], told["mlife_value"]) == ("observed_at", "yesterday")
        assert "RFC 3339" in told["mlife_expected"]
        assert told["mlife_topic"] == connection(cluster.bus).topic(FEEDBACK)
        assert told["traceparent"] == "00-1", "the message's own headers are kept"
        places = [(t["mlife_partition"], int(t["mlife_offset"])) for _, _, t in found]
        assert len(set(places)) == len(places) == 8
        assert worker.end() < 5
        assert "3 new, 2 known, 8 refused" in worker.said()
        assert "Traceback" not in worker.said()


@pytest.mark.parametrize("step", ["judged", "refused", "taken"])
def test_one_that_dies_between_two_steps_takes_all_again_and_nothing_twice(cluster: Cluster, step: str) -> None:
    dying = replace(cluster, module="tests.workers.dying_intake")
    with cluster.home() as home:
        cluster.start("relay", "--once").child.wait(60)
        sends(cluster.bus, [plain(1), b"nonsense", structured(2)])
        killed = dying.start("worker", "intake", DIE_AFTER=step)
        assert killed.child.wait(60) == -9
        assert lag(cluster.bus) == 3, "nothing may be committed yet"
        assert sorted(report_ids(home)) in (["r1", "r2"], ["r1"], ["r2"])
        cluster.start("worker", "intake")
        taken(cluster, home, 2)

        assert sorted(report_ids(home)) == ["r1", "r2"]
        found = [(v, t["mlife_partition"], t["mlife_offset"]) for _, v, t in refusals(cluster.bus)]
        assert {v for v, _, _ in found} == {b"nonsense"}
        assert len(set(found)) == 1, "a double is told by where it stood"


def test_intakes_come_and_go_and_die_and_every_report_is_there_once(cluster: Cluster) -> None:
    chance = random.Random(7)
    numbers = list(range(12_000))
    values = [b"nonsense %d" % n if n % 1_000 == 7 else (plain(n) if n % 2 else structured(n)) for n in numbers]
    good = {f"r{n}" for n in numbers if n % 1_000 != 7}
    with cluster.home() as home:
        live = [intake(cluster), cluster.start("worker", "intake")]
        for start in range(0, len(values), 1_500):
            scattered(cluster.bus, values[start : start + 1_500])
            time.sleep(chance.uniform(0, 1.5))
            gone = live.pop(0)
            chance.choice([gone.kill, gone.end])()
            live.append(cluster.start("worker", "intake"))
        taken(cluster, home, len(good))

        assert sorted(report_ids(home)) == sorted(good)
        found = {(value, told["mlife_partition"], told["mlife_offset"]) for _, value, told in refusals(cluster.bus)}
        assert sorted(str(v) for v, _, _ in found) == sorted(str(v) for v in values if v.startswith(b"nonsense"))
        assert [p.said() for p in cluster.running if "Traceback" in p.said()] == []


def test_while_the_database_is_away_reports_wait(cluster: Cluster, postgres_server: Server) -> None:
    apart = replace(cluster, store=postgres_server.url)
    with apart.home() as home:
        worker = intake(apart)
        sends(apart.bus, [plain(1)])
        taken(apart, home, 1)
        postgres_server.stop()
        sends(apart.bus, [plain(2), b"nonsense", plain(3)])
        until("it says so", lambda: "reports wait" in worker.said())
        time.sleep(2)
        assert lag(apart.bus) == 3
        assert refusals(apart.bus) == []
        postgres_server.start()
        taken(apart, home, 3)

        assert report_ids(home) == ["r1", "r2", "r3"]
        assert [value for _, value, _ in refusals(apart.bus)] == [b"nonsense"]
        assert worker.child.poll() is None
        assert worker.said().count("reports wait") == 1, "the same is said once a minute"
        apart.close()


def test_one_that_waits_for_the_database_can_be_ended_and_loses_nothing(
    cluster: Cluster, postgres_server: Server
) -> None:
    apart = replace(cluster, store=postgres_server.url)
    with apart.home() as home:
        worker = intake(apart)
        sends(apart.bus, [plain(1)])
        taken(apart, home, 1)
        postgres_server.stop()
        sends(apart.bus, [plain(2)])
        until("it says so", lambda: "reports wait" in worker.said())
        assert worker.end() < 8
        postgres_server.start()
        apart.start("worker", "intake")
        taken(apart, home, 2)

        assert report_ids(home) == ["r1", "r2"]
        apart.close()


def test_after_a_restart_of_the_broker_it_goes_on(breakable: Cluster, kafka_server: Kafka) -> None:
    with breakable.home() as home:
        worker = intake(breakable)
        sends(breakable.bus, [plain(1)])
        taken(breakable, home, 1)
        kafka_server.kill()
        time.sleep(12)  # longer than a session lasts
        kafka_server.start()
        sends(breakable.bus, [plain(2)])
        taken(breakable, home, 2)

        assert report_ids(home) == ["r1", "r2"]
        assert worker.child.poll() is None
        assert "Traceback" not in worker.said()


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_customers_may_compress_as_they_like(codec: str) -> None:
    from aiokafka import codec as codecs

    assert getattr(codecs, f"has_{codec}")()


def test_a_message_that_is_too_large_with_its_reasons_is_cut_and_holds_up_nobody(cluster: Cluster) -> None:
    large = b"[" + b" " * 20_000_000 + b"]"
    with cluster.home() as home:
        intake(cluster)
        sends(cluster.bus, [large, plain(1)], compression_type="zstd", max_request_size=30_000_000)
        taken(cluster, home, 1)
        ((key, value, told),) = refusals(cluster.bus)

        assert key is None
        assert value == large[:1_000_000]
        assert told["mlife_cut"] == str(len(large) + 1)
        assert told["mlife_problem"] == "is no JSON object"


def test_what_a_transaction_took_back_is_never_a_report(cluster: Cluster) -> None:
    there = connection(cluster.bus)
    with cluster.home() as home:
        intake(cluster)
        producer = KafkaProducer(**there.kafka_python(), transactional_id=f"{there.prefix}t")
        producer.init_transactions()
        for number, keeps in ((1, False), (2, True)):
            producer.begin_transaction()
            producer.send(there.topic(FEEDBACK), plain(number), b"k").get(10)
            producer.commit_transaction() if keeps else producer.abort_transaction()
        producer.close()
        sends(cluster.bus, [plain(3)])
        taken(cluster, home, 2)

        assert report_ids(home) == ["r2", "r3"]


def test_the_same_report_by_both_doors_counts_once(cluster: Cluster) -> None:
    with cluster.home() as home:
        take(home, [1, 2])
        worker = intake(cluster)
        sends(cluster.bus, [structured(1), plain(2), plain(3)])
        taken(cluster, home, 3)
        worker.end()

        assert report_ids(home) == ["r1", "r2", "r3"]
        assert "1 new, 2 known, 0 refused" in worker.said()
