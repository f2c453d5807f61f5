"""Rebuilding the badcase projection, and appends meanwhile."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from mlife.bench.children import child
from mlife.bench.figures import Bench, Figure, figure, percentile, timed
from mlife.bench.homes import filled, intake, opened
from mlife.bench.reports import reports
from mlife.core.projection import projections
from mlife.core.rebuild import rebuild

PROJECTION = "badcases"


@figure("rebuild")
def rebuilding(bench: Bench) -> Iterator[Figure]:
    """The badcase projection over 200,000 reports of 20,000 badcases."""
    count = bench.size(200_000, 20_000)
    folder = filled(bench.folder / "rebuild", count)
    seconds = []
    with opened(folder) as home:
        for turn in range(bench.size(3, 1)):
            bench.say(f"rebuild: round {turn + 1}")
            seconds.append(timed(lambda: rebuild(home.ports, projections[PROJECTION])))
    yield Figure(
        "rebuild_badcases", "rebuild of the badcase projection, 20,000 badcases",
        count / statistics.median(seconds), "events/s", count, 1, goal=30_000, better="high",
    )  # fmt: skip
    yield from _appends(bench, folder, count)


def _appends(bench: Bench, folder: Path, before: int) -> Iterator[Figure]:
    """Single appends while another process rebuilds without a break."""
    count = bench.size(600, 60)
    delays = []
    with opened(folder) as home, child("rebuild", folder, PROJECTION):
        bench.say("rebuild: appending meanwhile")
        door = intake(home)
        for report in reports(count, start=before):
            start = time.perf_counter()
            door.reports([report])
            delays.append(time.perf_counter() - start)
            time.sleep(0.01)
    yield Figure(
        "append_while_rebuilding_p99", "one report through the Python API while another process rebuilds, p99",
        1_000 * percentile(delays, 0.99), "ms", before + count, 1, goal=10,
    )  # fmt: skip
