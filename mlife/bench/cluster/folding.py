"""Projections on PostgreSQL: a Faust worker against the embedded runner, and how fast one catches up that was away."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from mlife.bench.cluster.places import Place, folded, place, tail, wait_until
from mlife.bench.figures import Bench, Figure, figure, median_ratio, take_turns, timed
from mlife.bench.homes import stream
from mlife.bench.reports import batches
from mlife.core.projection import projections
from mlife.core.rebuild import rebuild


@figure("cluster-worker")
def worker(bench: Bench) -> Iterator[Figure]:
    """All projections over the same reports, which the relay has published."""
    count = bench.size(60_000, 6_000)
    some = batches(count)

    def embedded(turn: int) -> float:
        bench.say(f"worker: round {turn + 1}")
        with place(bench, f"embedded-{turn}") as here, here.opened() as home:
            stream(home, some)
            return count / timed(lambda: home.runner.catch_up(count))

    def by_faust(turn: int) -> float:
        with place(bench, f"faust-{turn}", bus=True) as here:
            return _worker_s_rate(here, some, count)

    own, faust = take_turns([embedded, by_faust], bench.size(3, 1))
    yield Figure(
        "cluster_worker_vs_embedded",
        "`mlife worker projections`, from its first event to the last; baseline: the embedded runner on PostgreSQL",
        statistics.median(faust), "events/s", count, len(projections),
        statistics.median(own), median_ratio(faust, own), 0.8, "ratio", "high",
    )  # fmt: skip


def _worker_s_rate(here: Place, some: list[list[dict[str, object]]], count: int) -> float:
    with here.opened() as home:
        stream(home, some)
        with here.program("relay", "--once") as relay:
            relay.wait(timeout=300)
        with here.program("worker", "projections"):
            begun = wait_until(
                lambda: _any_moved(here),
                f"the worker folds; it said {tail(here.chosen.home / 'worker-projections.log')}",
            )
            before = _sum_of_positions(here)
            done = wait_until(lambda: folded(home) >= count, "everything is folded", 600)
            share = 1 - before / (count * len(projections))
            return share * count / (done - begun)


def _sum_of_positions(here: Place) -> int:
    with here.opened() as home:
        return sum(s.position for s in home.ports.views.standings() if s.state == "live")


def _any_moved(here: Place) -> bool:
    import psycopg

    with psycopg.connect(here.chosen.store) as db:
        try:
            found = db.execute("SELECT coalesce(sum(position), 0) FROM checkpoints").fetchone()
        except psycopg.errors.UndefinedTable:
            return False
    return bool(found and found[0])


@figure("cluster-catch-up")
def catching_up(bench: Bench) -> Iterator[Figure]:
    """Workers come back after an hour away, at 100 reports a second; baseline: a rebuild of all over the same log."""
    away = bench.size(360_000, 6_000)
    with place(bench, "away", bus=True) as here, here.opened() as home:
        bench.say("catching up: an hour of reports while all workers are away")
        for start in range(0, away, 60_000):
            stream(home, batches(min(60_000, away - start), start=start))
        with here.program("worker", "projections"):
            begun = wait_until(lambda: _any_moved(here), "the worker folds")
            before = _sum_of_positions(here)
            done = wait_until(lambda: folded(home) >= away, "everything is folded", 900)
        share = 1 - before / (away * len(projections))
        rate = share * away / (done - begun)
        bench.say("catching up: rebuilding for comparison")
        time.sleep(1)
        seconds = timed(lambda: [rebuild(home.ports, p) for p in projections.values()])
    yield Figure(
        "cluster_catch_up",
        "all projections after an hour away at 100 reports/s; baseline: rebuilding all of them",
        rate, "events/s", away, len(projections), away / seconds, rate * seconds / away, None, "ratio", "high",
    )  # fmt: skip
