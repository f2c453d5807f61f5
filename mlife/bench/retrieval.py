"""What people wait for while they look for badcases: lists, facets, deep pages, statistics and exports."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from mlife.badcases.exporting import written
from mlife.badcases.views import lists
from mlife.badcases.views import statistics as figures_of
from mlife.badcases.views.export import columns_of, rows_of
from mlife.badcases.views.report_statistics import analyse_reports
from mlife.bench.figures import Bench, Figure, figure, percentile, timed
from mlife.bench.homes import filled, opened
from mlife.bench.rebuilding import PROJECTION
from mlife.core.projection import projections
from mlife.core.rebuild import rebuild
from mlife.runtime import Home

NOW = datetime(2026, 4, 1, tzinfo=UTC)
BADCASES: Sequence[str] = (
    *("", "status:new", "function:gaze open:yes", "reports>=50", "severity>=major clients>5", "owner:none"),
    *("version:2.1.0", "client:fleet-7", '"said 7"', "first>30d -function:emotion"),
    *("prediction:\"said 3\" OR truth:\"is 4\"",),
)  # fmt: skip
REPORTS: Sequence[str] = (
    *("", "function:gaze", "version>=2.1", "client:fleet-7", "device:cam-77", "severity:critical", "score<0.1"),
    *("observed:2026-03-07", "night", "truth:\"is 4\" prediction:\"said 3\"", "kind:failure -client:fleet-7"),
    *("kind:failure device:cam-77", "place:city severity:minor device:cam-77"),
)  # fmt: skip
DESCRIBED = "night"
"""A word in 83,000 descriptions of reports, which are of 12,000 badcases."""
SELECTED = "function:gaze severity:major"
"""An eleventh of all reports: 89,567 of a million."""
ROUNDS = 30
DEEP = 40
"""Pages that are leafed through before a deep one."""


@figure("retrieval")
def retrieval(bench: Bench) -> Iterator[Figure]:
    """On SQLite."""
    count = bench.size(1_000_000, 20_000)
    bench.say(f"retrieval: {count:,} reports")
    folder = filled(bench.folder / "home", count)
    with opened(folder) as home:
        bench.say("retrieval: folding them")
        rebuild(home.ports, projections[PROJECTION])
        yield from measured(home, bench, "retrieval")


def measured(home: Home, bench: Bench, name: str) -> Iterator[Figure]:
    """Every figure of a home that is full; *name* is how theirs begin. The collector is as a server has it."""
    gc.collect()
    gc.freeze()
    events = home.ports.store.head()

    def at(what: str, says: str, value: float, unit: str, goal: float, **more: Any) -> Figure:
        return Figure(f"{name}_{what}", says, value, unit, events, 1, goal=goal, **more)

    bench.say(f"{name}: lists")
    for what, queries in (("badcases", BADCASES), ("reports", REPORTS)):
        slow, query = slowest(partial(_page, home, what), queries, bench.size(ROUNDS, 5))
        yield at(f"{what}_p95", f"first page of {what} with its total, p95 of the slowest query: {query or 'all'}",
                 slow, "ms", 25)  # fmt: skip
    slow, query = slowest(lambda q: _facets(home, q), BADCASES, bench.size(ROUNDS, 3))
    yield at("facets", f"facets of badcases, p95 of the slowest query: {query or 'all'}", slow, "ms", 150)
    slow, _ = slowest(partial(_page, home, "badcases"), [DESCRIBED], bench.size(ROUNDS, 3))
    yield at("described_p95", "first page of badcases by a word in many descriptions of reports, p95", slow, "ms", 25)
    slow, _ = slowest(lambda q: _facets(home, q), [DESCRIBED], bench.size(ROUNDS, 3))
    yield at("described_facets", "facets of the same, p95", slow, "ms", 150)
    first, deep = _deep(home, bench.size(ROUNDS, 5))
    yield at("deep_page", f"page {DEEP} of reports; baseline: the first page", deep, "ms", 1.5,
             baseline=first, ratio=deep / first, judged="ratio")  # fmt: skip
    bench.say(f"{name}: statistics")
    found: list[int] = []
    seconds = statistics.median(timed(lambda: found.append(_report_statistics(home))) for _ in range(5))
    yield at("report_statistics", f"statistics of {found[0]:,} reports that a query finds", 1e3 * seconds, "ms", 500)
    seconds = statistics.median(timed(lambda: _statistics(home)) for _ in range(5))
    yield at("statistics", "statistics of all badcases, counted in all reports", 1e3 * seconds, "ms", 500)
    bench.say(f"{name}: exports")
    for form in ("csv", "ndjson"):
        start = time.perf_counter()
        rows = _export(home, form)
        rate = rows / (time.perf_counter() - start)
        yield at(f"export_{form}", f"all reports as {form.upper()}", rate, "rows/s", 50_000, better="high")


def slowest(ask: Callable[[str], object], queries: Sequence[str], rounds: int) -> tuple[float, str]:
    """The query whose 95th percentile is the highest: milliseconds, and the query."""
    found = []
    for query in queries:
        ask(query)
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            ask(query)
            times.append(1e3 * (time.perf_counter() - start))
        found.append((percentile(times, 0.95), query))
    return max(found)


def _page(home: Home, what: str, q: str) -> None:
    with home.ports.views.read() as read:
        (lists.badcases if what == "badcases" else lists.reports)(read, q, now=NOW)


def _facets(home: Home, q: str) -> None:
    with home.ports.views.read() as read:
        figures_of.facets(read, q, now=NOW)


def _deep(home: Home, rounds: int) -> tuple[float, float]:
    """Milliseconds of the first page and of a deep one, medians."""
    with home.ports.views.read() as read:
        after = None
        for _ in range(DEEP):
            after = lists.reports(read, now=NOW, limit=500, after=after).after or after
        first = [timed(lambda: lists.reports(read, now=NOW)) for _ in range(rounds)]
        deep = [timed(lambda: lists.reports(read, now=NOW, after=after)) for _ in range(rounds)]
    return 1e3 * statistics.median(first), 1e3 * statistics.median(deep)


def _report_statistics(home: Home) -> int:
    with home.ports.views.read() as read:
        return analyse_reports(read, SELECTED, now=NOW).counted


def _statistics(home: Home) -> None:
    with home.ports.views.read() as read:
        figures_of.analyse(read, "", now=NOW)


def _export(home: Home, form: str) -> int:
    """How many rows were written."""
    count = 0

    def counted(parts: Any) -> Iterator[Any]:
        nonlocal count
        for part in parts:
            count += len(part)
            yield part

    with home.ports.views.read() as read:
        parts = counted(rows_of(read, "reports", now=NOW))
        for _ in written(form, columns_of("reports"), parts, home.sealer.open, None):
            pass
    return count
