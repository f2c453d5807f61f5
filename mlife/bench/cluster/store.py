"""The log on PostgreSQL: single reports of many callers, batches, and a long log against a short one."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from mlife.bench.cluster.children import Child
from mlife.bench.cluster.places import Place, place
from mlife.bench.figures import Bench, Figure, figure, median_ratio, take_turns, timed
from mlife.bench.homes import intake, stream, take
from mlife.bench.intake import at_once, yardstick
from mlife.bench.reports import batches, reports

CALLERS = 64
ROUND = 10_000
"""Events that one turn of the growth figure adds."""


@figure("cluster-single")
def single(bench: Bench) -> Iterator[Figure]:
    """64 callers at once, each sending one report at a time and waiting for the answer."""
    library, count = yardstick(), bench.size(12_800, 1_280)
    some = list(reports(count, seed=2))

    def ours(turn: int) -> float:
        bench.say(f"single reports: round {turn + 1}")
        with place(bench, f"single-{turn}") as here, here.opened() as home:
            door = intake(home)
            return count / timed(lambda: at_once(some, lambda r: door.reports([r]), CALLERS))

    def by_two(turn: int) -> float:
        with place(bench, f"double-{turn}") as here:
            with here.opened():
                children = [Child(here, "single", start, count // 2) for start in (0, count // 2)]
            return count / _seconds_of(children)

    def by_library(turn: int) -> float:
        few = some[: count // 4]
        with place(bench, f"library-{turn}") as here, library.postgres_application(here.chosen.store) as app:
            return len(few) / timed(lambda: at_once(few, lambda r: app.save(*library.events_of([r])), CALLERS))

    own, two, lib = take_turns([ours, by_two, by_library], bench.size(3, 1))
    yield Figure(
        "cluster_64_callers_vs_eventsourcing",
        "single reports of 64 concurrent callers of one process; baseline: the same through Application.save",
        statistics.median(own), "events/s", count, 0,
        statistics.median(lib), median_ratio(own, lib), 5, "ratio", "high",
    )  # fmt: skip
    yield Figure(
        "cluster_two_processes",
        "the same from two processes with 32 callers each; baseline: one process",
        statistics.median(two), "events/s", count, 0, statistics.median(own), median_ratio(two, own),
    )  # fmt: skip


def _seconds_of(children: list[Child]) -> float:
    for child in children:
        child.tell()
    begun, ended = zip(*[child.found() for child in children], strict=True)
    return float(max(ended) - min(begun))


@figure("cluster-batches")
def batched(bench: Bench) -> Iterator[Figure]:
    """100,000 reports in batches of 1,000, into a fresh log each turn."""
    count = bench.size(100_000, 10_000)
    some = batches(count)
    with place(bench, "first") as here, here.opened() as home:
        stream(home, some)
        columns, rows = _rows(here)

    def ours(turn: int) -> float:
        bench.say(f"batches: round {turn + 1}")
        with place(bench, f"batches-{turn}") as here, here.opened() as home:
            return count / timed(lambda: stream(home, some))

    def raw_copy(turn: int) -> float:
        with place(bench, f"raw-{turn}") as here, here.opened(), psycopg.connect(here.chosen.store) as db:
            return count / timed(lambda: _copy(db, columns, rows))

    own, raw = take_turns([ours, raw_copy], bench.size(5, 2))
    yield Figure(
        "cluster_batches_vs_copy",
        "Python API, a stream in batches of 1,000; baseline: raw COPY of the same rows into the same table",
        statistics.median(own), "events/s", count, 0,
        statistics.median(raw), median_ratio(own, raw), 0.55, "ratio", "high",
    )  # fmt: skip


def _rows(here: Place) -> tuple[str, list[tuple[Any, ...]]]:
    with psycopg.connect(here.chosen.store) as db:
        cursor = db.execute("SELECT * FROM events ORDER BY position")
        assert cursor.description is not None
        return ", ".join(c.name for c in cursor.description), cursor.fetchall()


def _copy(db: psycopg.Connection[Any], columns: str, rows: Sequence[tuple[Any, ...]], size: int = 1_000) -> None:
    """The same rows, one COPY and one commit for each *size* of them."""
    for start in range(0, len(rows), size):
        with db.cursor() as cursor, cursor.copy(f"COPY events ({columns}) FROM STDIN".encode()) as copy:
            for row in rows[start : start + size]:
                copy.write_row(row)
        db.commit()


@figure("cluster-growth")
def growth(bench: Bench) -> Iterator[Figure]:
    """What 10,000 reports more cost in a long log and in a short one."""
    few, many, rounds = bench.size(10_000, 2_000), bench.size(1_000_000, 20_000), bench.size(10, 2)
    with place(bench, "large") as large:
        bench.say(f"growth: filling a log with {many:,} reports")
        with large.opened() as home:
            for start in range(0, many, 50_000):
                take(home, batches(min(50_000, many - start), start=start))

        def add(here: Place, turn: int) -> float:
            bench.say(f"growth: round {turn + 1}")
            some = batches(ROUND, start=many + turn * ROUND)
            with here.opened() as home:
                return timed(lambda: take(home, some)) + timed(lambda: _checkpoint(here))

        def small(turn: int) -> float:
            with _filled(bench, f"small-{turn}", few) as here:
                return add(here, turn)

        little, much = take_turns([small, lambda turn: add(large, turn)], rounds)
    cost, base = (1e6 * sum(seconds) / rounds / ROUND for seconds in (much, little))
    yield Figure(
        "cluster_growth", "intake's cost per event in a long log, checkpoints included; baseline: at 10,000 events",
        cost, "µs", many + rounds * ROUND, 0, base, cost / base, 2, "ratio",
    )  # fmt: skip


@contextmanager
def _filled(bench: Bench, name: str, count: int) -> Iterator[Place]:
    with place(bench, name) as here:
        with here.opened() as home:
            take(home, batches(count))
        yield here


def _checkpoint(here: Place) -> None:
    """Every measurement pays for its own pages."""
    with psycopg.connect(here.chosen.store, autocommit=True) as db:
        db.execute("CHECKPOINT")
