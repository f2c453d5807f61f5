"""`mlife worker projections` and `handlers` as the processes that they are: started, ended, killed, and cut off."""

import itertools
import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from kafka import KafkaProducer

from infra.local import Kafka, Postgres
from mlife.adapters.kafka_connection import connection
from mlife.core.events import Event, Recorded
from mlife.core.packing import pack
from mlife.core.ports import iterate
from mlife.core.runner import servable
from mlife.core.topics import LOG
from mlife.runtime import Home
from mlife.runtime.working import names_of, secret_of
from tests.workers.cluster import Cluster, Process, differences, take, until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

PROJECTIONS = ["badcases", "data", "serving", "timeline", "training"]


def all_of(*workers: Process) -> list[str]:
    return sorted(name for w in workers for name in w.runs())


def shared(*workers: Process) -> None:
    """Wait until each of *workers* runs something, and together they run all projections."""
    until("the projections are shared", lambda: all(w.runs() for w in workers) and all_of(*workers) == PROJECTIONS)


@contextmanager
def reports_keep_coming(home: Home, every: float = 0.05) -> Iterator[None]:
    """Thirty reports at a time, from another thread, during the block."""
    stop = threading.Event()

    def write() -> None:
        for start in itertools.count(0, 30):
            if stop.wait(every):
                return
            take(home, range(start, start + 30))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


def complaints(*workers: Process) -> list[str]:
    """What is a fault of ours, and no outage that was told."""
    told = ("Traceback", "fault of MLife's own")
    return [line for w in workers for line in w.said().splitlines() if any(t in line for t in told)]


def test_what_one_process_takes_in_others_project_and_handle(cluster: Cluster) -> None:
    with cluster.home() as home:
        assert sorted(names_of("projections")) == PROJECTIONS
        assert sorted([*names_of("projections"), *names_of("handlers")]) == sorted(servable())
        cluster.start("relay")
        first, second = cluster.worker("projections"), cluster.worker("projections")
        handlers = cluster.worker("handlers")
        shared(first, second)
        assert handlers.runs() == sorted(names_of("handlers"))

        for start in range(0, 3_000, 100):
            take(home, range(start, start + 100))
        head = home.runner.settle()

        assert head > 3_000, "no handler has acted"
        assert differences(home) == []
        assert complaints(first, second, handlers) == []


def test_what_a_killed_worker_ran_is_taken_over_within_fifteen_seconds(cluster: Cluster) -> None:
    with cluster.home() as home:
        workers = [cluster.worker("projections"), cluster.worker("projections")]
        shared(*workers)
        gone, left = sorted(workers, key=lambda w: "badcases" in w.runs(), reverse=True)
        with reports_keep_coming(home):
            until("badcases are projected", lambda: standing(home, "badcases") > 0)
            gone.kill()
            stopped = standing(home, "badcases")
            took = until("somebody goes on", lambda: standing(home, "badcases") > stopped + 200)
        folded(home)

        assert took < 15
        assert left.runs() == PROJECTIONS
        assert differences(home) == []


def folded(home: Home, seconds: float = 30.0) -> None:
    """Wait until every projection has folded the whole log."""
    until(
        "all is folded", lambda: min(standing(home, name) for name in PROJECTIONS) >= home.ports.store.head(), seconds
    )


def standing(home: Home, name: str) -> int:
    return next((s.position for s in home.ports.views.standings() if s.name == name and s.state == "live"), 0)


def test_a_worker_that_is_asked_to_end_leaves_in_five_seconds_and_is_replaced_at_once(cluster: Cluster) -> None:
    with cluster.home() as home, reports_keep_coming(home):
        workers = [cluster.worker("projections"), cluster.worker("projections")]
        shared(*workers)
        asked = time.monotonic()
        took = workers[0].end()
        until("the other one runs all", lambda: workers[1].runs() == PROJECTIONS)
        replaced = time.monotonic() - asked

        assert took < 5
        assert replaced < 5
        assert complaints(*workers) == []


def test_workers_come_and_go_and_die_and_nothing_is_missed_or_doubled(cluster: Cluster) -> None:
    chance = random.Random(4)
    with cluster.home() as home:
        cluster.start("relay")
        live = [cluster.worker(role) for role in ("projections", "handlers", "handlers")]
        with reports_keep_coming(home, every=0.3):
            for _ in range(6):
                time.sleep(chance.uniform(0, 1.5))
                gone = live.pop(chance.randrange(len(live)))
                role = "projections" if "projections" in gone.log.name else "handlers"
                chance.choice([gone.kill, gone.end])()
                live.append(cluster.worker(role))
        home.runner.settle(60)

        assert differences(home) == []
        causes = [(r.draft.causation_id, r.draft.type, r.draft.data) for r in iterate(home.ports.store)]
        caused = [c for c in causes if c[0] is not None]
        assert caused
        assert len(caused) == len(set(caused)), "an effect is there twice"
        assert complaints(*cluster.running) == []


def test_while_kafka_is_away_the_log_is_read_from_its_store(breakable: Cluster, kafka_server: Kafka) -> None:
    with breakable.home() as home:
        relay = breakable.start("relay")
        workers = [breakable.worker("projections"), breakable.worker("projections")]
        handlers = breakable.worker("handlers")
        shared(*workers)
        take(home, range(100))
        home.runner.settle()

        kafka_server.kill()
        for start in range(100, 1_300, 100):
            take(home, range(start, start + 100))
            time.sleep(1)  # longer than a session lasts
        home.runner.settle()
        kafka_server.start()
        workers[0].end()
        until("who is left runs all", lambda: workers[1].runs() == PROJECTIONS, 60)
        take(home, range(1_300, 1_400))
        home.runner.settle()

        assert differences(home) == []
        assert complaints(*workers, handlers, relay) == []


def test_a_worker_that_starts_without_kafka_waits_for_it(breakable: Cluster, kafka_server: Kafka) -> None:
    kafka_server.stop()
    worker = breakable.start("worker", "projections")
    until("it says so", lambda: "can't be used now" in worker.said())
    kafka_server.start()
    until("it has joined", lambda: worker.runs() == PROJECTIONS)

    assert worker.child.poll() is None
    assert complaints(worker) == []


def test_two_workers_that_both_believe_to_run_all_fold_each_event_once(cluster: Cluster) -> None:
    other = Cluster(cluster.folder, cluster.store, f"{cluster.bus}other.")
    with cluster.home() as home:
        try:
            workers = [cluster.worker("projections"), other.worker("projections")]
            handlers = [cluster.worker("handlers"), other.worker("handlers")]
            assert all_of(*workers) == sorted([*PROJECTIONS, *PROJECTIONS])
            with reports_keep_coming(home):
                time.sleep(4)
            home.runner.settle()

            assert differences(home) == []
            assert home.book.letters() == []
            assert complaints(*workers, *handlers) == []
        finally:
            other.close()


def test_a_forged_record_of_the_log_changes_no_table_and_stops_nothing(cluster: Cluster) -> None:
    with cluster.home() as home:
        cluster.start("relay")
        worker = cluster.worker("projections")
        take(home, range(10))
        folded(home)
        first, *_, last = iterate(home.ports.store)
        stream = f"report/{'f' * 32}"
        never = last.draft._replace(id=uuid.uuid4().bytes, stream=stream)
        forged = [Recorded[Event](last.position + 1 + n, 1, never) for n in range(50)]
        logged(cluster, pack(forged, first.draft.id))  # whoever may read a component topic knows the first event's id
        until("it is told", lambda: "not sealed" in worker.said())
        take(home, range(10, 100))
        folded(home)

        assert differences(home) == []
        assert complaints(worker) == []


def test_records_that_are_doubled_missing_late_or_broken_change_no_table(cluster: Cluster) -> None:
    chance = random.Random(11)
    there = connection(cluster.bus)
    with cluster.home() as home:
        worker = cluster.worker("projections")
        secret = secret_of(cluster.settings)
        producer = KafkaProducer(**there.kafka_python())
        for start in range(0, 2_000, 100):
            before = home.ports.store.head()
            take(home, range(start, start + 100))
            events = home.ports.store.read(before)
            records = [pack(events[n : n + 10], secret) for n in range(0, len(events), 10)]
            records = [r for r in records * 2 if chance.random() < 0.7] + [records[0][:-3], b"", b"noise"]
            chance.shuffle(records)
            for record in records:
                producer.send(there.topic(LOG), record, partition=chance.randrange(there.partitions))
            producer.flush()
        producer.close()
        folded(home)

        assert differences(home) == []
        assert complaints(worker) == []


def test_the_server_and_the_task_worker_need_nothing_else_in_the_cluster_size(cluster: Cluster) -> None:
    server = cluster.start("up", "--port", "0")
    until("it is up", lambda: "MLife is up" in server.said())

    assert "Beside it must run: mlife relay, mlife worker projections, mlife worker handlers" in server.said()
    assert "no task waits" in cluster.mlife("worker", "tasks", "--once")
    assert server.end() < 10


def logged(cluster: Cluster, record: bytes) -> None:
    """Somebody else's *record* in each partition of `mlife.log`."""
    there = connection(cluster.bus)
    producer = KafkaProducer(**there.kafka_python())
    sent = [producer.send(there.topic(LOG), record, partition=p) for p in range(there.partitions)]
    producer.flush()
    assert all(future.succeeded() for future in sent)
    producer.close()


def test_workers_that_know_more_than_a_database_put_back_from_a_backup_begin_anew(
    tmp_path: Path, postgres_server: Postgres, kafka_url: str
) -> None:
    cluster = Cluster(tmp_path, postgres_server.url, kafka_url)
    name = postgres_server.url.rpartition("/")[2]
    elsewhere = postgres_server.url.removesuffix(name) + "postgres"
    try:
        cluster.worker("projections")
        cluster.worker("handlers")
        with cluster.home() as home:
            take(home, range(30))
            home.runner.settle()
        with psycopg.connect(elsewhere, autocommit=True) as db, closed(db, name):
            db.execute(f"CREATE DATABASE backup TEMPLATE {name}".encode())
        with cluster.home() as home:
            take(home, range(1_000, 1_300))
            home.runner.settle()
        with psycopg.connect(elsewhere, autocommit=True) as db, closed(db, name):
            db.execute(f"ALTER DATABASE {name} RENAME TO gone".encode())
            db.execute(f"ALTER DATABASE backup RENAME TO {name}".encode())
        with cluster.home() as home:
            assert home.ports.store.head() < 50
            take(home, range(2_000, 2_200))
            home.runner.settle()

            assert differences(home) == []
    finally:
        cluster.close()


@contextmanager
def closed(db: "psycopg.Connection[Any]", name: str) -> Iterator[None]:
    """Nobody is connected to the database *name* during the block."""
    db.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
    db.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,))
    yield
    db.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())


def test_without_a_bus_there_is_nothing_for_workers_to_do(cluster: Cluster) -> None:
    alone = cluster.start("worker", "handlers", MLIFE_BUS="inprocess")

    assert alone.child.wait(30) == 1
    assert "needs no such worker" in alone.said()
