"""Faust may end by itself: the process goes on with what it was assigned, and joins again."""

from dataclasses import replace

import pytest

from tests.workers.cluster import JOINED, Cluster, take, until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_a_worker_whose_faust_crashes_goes_on_and_joins_again(cluster: Cluster) -> None:
    dying = replace(cluster, module="tests.workers.dying_faust")
    with cluster.home() as home:
        worker = dying.worker("projections")
        until("Faust has ended", lambda: "Faust has ended (" in worker.said())
        assert "the library has a bad day" in worker.said()
        take(home, range(100))
        until("it has joined again", lambda: len(JOINED.findall(worker.said())) >= 2)
        take(home, range(100, 200))
        until(
            "all is folded",
            lambda: min((s.position for s in home.ports.views.standings()), default=0) >= home.ports.store.head(),
        )

        assert "is back after" in worker.said()
        assert "Traceback" not in worker.said()
        assert worker.end() < 5
