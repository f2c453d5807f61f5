"""Intake while every projection and handler follows in a process of its own, and how soon reports are visible."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from mlife.bench.children import child
from mlife.bench.figures import Bench, Figure, figure, median_ratio, percentile, take_turns, timed
from mlife.bench.homes import intake, opened, take
from mlife.bench.reports import batches, reports
from mlife.core.projection import projections
from mlife.runtime import Home

VISIBLE_LIMIT = 120.0
"""Seconds that may pass until everything is visible."""


@figure("following")
def following(bench: Bench) -> Iterator[Figure]:
    """Full intake, alone and followed; the delay from the acknowledgement to a read that sees it."""
    count = bench.size(100_000, 10_000)
    some = batches(count)
    delays: list[float] = []
    drained: list[float] = []

    def alone(turn: int) -> float:
        bench.say(f"following: round {turn + 1}")
        with opened(bench.folder / f"alone-{turn}") as home:
            return count / timed(lambda: take(home, some))

    def followed(turn: int) -> float:
        folder = bench.folder / f"followed-{turn}"
        with opened(folder) as home, child("follow", folder):
            start = time.perf_counter()
            acknowledged, seen = _take_and_look(home, some)
            delays.extend(seen)
            drained.append(count / (time.perf_counter() - start))
            return count / acknowledged

    own, shared = take_turns([alone, followed], bench.size(3, 1))
    baseline, many = statistics.median(own), len(projections)
    yield Figure(
        "intake_while_following",
        "Python API, batches of 1,000, while all projections and handlers follow in another process; baseline: alone",
        statistics.median(shared), "events/s", count, many, baseline, median_ratio(shared, own), 0.4, "ratio", "high",
    )  # fmt: skip
    yield Figure(
        "intake_until_visible",
        "the same until the last report is visible",
        statistics.median(drained), "events/s", count, many, baseline, median_ratio(drained, own),
    )  # fmt: skip
    yield Figure(
        "visible_full_p99", "from acknowledged to visible under that intake, p99",
        1_000 * percentile(delays, 0.99), "ms", count, many, goal=200,
    )  # fmt: skip
    yield from _steady(bench)
    yield from _idle(bench)


def _take_and_look(
    home: Home, some: Sequence[Sequence[dict[str, Any]]], *, every: float = 0.0
) -> tuple[float, list[float]]:
    """
    Send everything while another thread waits for what was acknowledged last.

    Args:
        every: seconds from one batch to the next; 0: as fast as it goes.

    Returns:
        Seconds until the last acknowledgement, and the delays seen; the last one is that of the last report.
    """
    door, delays, last = intake(home), [], [(0, 0.0)]
    done = threading.Event()

    def look() -> None:
        looked = 0
        while not (done.is_set() and looked == last[0][0]):
            position, at = last[0]
            if position == looked:
                time.sleep(0.001)
                continue
            with home.ports.views.read(min_position=position, timeout=VISIBLE_LIMIT):
                delays.append(time.perf_counter() - at)
            looked = position

    looker = threading.Thread(target=look)
    looker.start()
    start = time.perf_counter()
    for number, batch in enumerate(some):
        time.sleep(max(0.0, start + number * every - time.perf_counter()))
        last[0] = door.reports(batch).position, time.perf_counter()
    acknowledged = time.perf_counter() - start
    done.set()
    looker.join()
    return acknowledged, delays


def _steady(bench: Bench) -> Iterator[Figure]:
    """A fleet that fails a lot, but not as much as the machine can write: 100 reports every 20 ms."""
    folder, count = bench.folder / "steady", bench.size(20_000, 2_000)
    with opened(folder) as home, child("follow", folder):
        bench.say("following: 5,000 reports a second")
        _, delays = _take_and_look(home, batches(count, size=100), every=0.02)
    yield Figure(
        "visible_steady_p99", "from acknowledged to visible at 5,000 reports a second, p99",
        1_000 * percentile(delays, 0.99), "ms", count, len(projections),
    )  # fmt: skip


def _idle(bench: Bench) -> Iterator[Figure]:
    """One report at a time, with pauses."""
    folder = bench.folder / "idle"
    before, count = bench.size(20_000, 2_000), bench.size(400, 50)
    delays = []
    with opened(folder) as home, child("follow", folder):
        position = take(home, batches(before))
        door = intake(home)
        with home.ports.views.read(min_position=position, timeout=VISIBLE_LIMIT):
            bench.say("following: one report at a time")
        time.sleep(3)  # handlers look at the flood a last time
        for report in reports(count, start=before):
            position = door.reports([report]).position
            start = time.perf_counter()
            with home.ports.views.read(min_position=position):
                delays.append(time.perf_counter() - start)
            time.sleep(0.01)
    yield Figure(
        "visible_idle_p99", "from acknowledged to visible, one report at a time, p99",
        1_000 * percentile(delays, 0.99), "ms", before + count, len(projections), goal=20,
    )  # fmt: skip
