"""Relay, workers and intake on three brokers: none of them is needed."""

from pathlib import Path

import pytest

from infra.local import KafkaTrio
from tests.processes import finish, start
from tests.workers.cluster import Cluster, differences, take, until
from tests.workers.customers import lag

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_of_three_brokers_any_may_be_killed_and_the_loop_goes_on(
    tmp_path: Path, postgres_url: str, kafka_trio: KafkaTrio
) -> None:
    cluster = Cluster(tmp_path, postgres_url, kafka_trio.url)
    try:
        with cluster.home() as home:
            processes = [cluster.start("relay"), cluster.worker("projections"), cluster.worker("handlers")]
            processes.append(cluster.start("worker", "intake"))
            for turn, broker in enumerate(kafka_trio.brokers):
                broker.kill()
                take(home, range(turn * 100, turn * 100 + 50))
                finish(start("workers.customers", cluster.bus, turn * 100 + 50, turn * 100 + 100))
                until("all are taken", lambda: home.ports.store.head() >= (turn + 1) * 100, 60)  # noqa: B023
                home.runner.settle(60)
                broker.start()
            until("the offsets are committed", lambda: lag(cluster.bus) == 0)

            assert [p.said() for p in processes if p.child.poll() is not None] == []
            assert [p.said() for p in processes if "Traceback" in p.said()] == []
            assert differences(home) == []
    finally:
        cluster.close()
