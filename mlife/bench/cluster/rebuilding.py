"""A blue/green rebuild on PostgreSQL while reports come in and people read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from mlife.bench.cluster.children import Child
from mlife.bench.cluster.places import Place, folded, place, wait_until
from mlife.bench.figures import Bench, Figure, figure, percentile, timed
from mlife.bench.homes import stream
from mlife.bench.rebuilding import PROJECTION
from mlife.bench.reports import batches
from mlife.core.projection import projections
from mlife.core.rebuild import rebuild

RATE = 500
"""Reports a second that come in meanwhile."""
PAGES = 20
"""Pages a second that are read meanwhile."""


@figure("cluster-rebuild")
def rebuilding(bench: Bench) -> Iterator[Figure]:
    """The badcase projection over 200,000 reports; the reader is a process of its own, as the server's are."""
    count = bench.size(200_000, 10_000)
    with place(bench, "rebuild", bus=True) as here, here.opened() as home:
        bench.say(f"rebuild: {count:,} reports")
        stream(home, batches(count))
        with here.program("relay"), here.program("worker", "projections"):
            wait_until(lambda: folded(home) >= count, "workers follow", 600)
            bench.say("rebuild: a reader, while nothing happens")
            with _working(here, ("read", PAGES)) as found:
                time.sleep(bench.size(20, 2))
            (idle,) = found
            bench.say(f"rebuild: under {RATE} reports a second")
            with _working(here, ("read", PAGES), ("steady", count, RATE)) as found:
                seconds = timed(lambda: rebuild(home.ports, projections[PROJECTION]))
            busy, _ = found
            events = home.ports.store.head()
    yield Figure(
        "cluster_rebuild", f"rebuild of the badcase projection while {RATE} reports/s come in",
        events / seconds, "events/s", events, 1, goal=20_000, better="high",
    )  # fmt: skip
    slow, quiet = (1_000 * percentile(delays, 0.99) for delays in (busy, idle))
    yield Figure(
        "cluster_read_while_rebuilding_p99",
        f"first page of badcases, {PAGES} a second, meanwhile, p99; baseline: while nothing happens",
        slow, "ms", events, 1, quiet, slow / quiet, 2, "ratio",
    )  # fmt: skip


@contextmanager
def _working(here: Place, *roles: tuple[object, ...]) -> Iterator[list[list[float]]]:
    """Children at work for the block; after it the list has what each found."""
    found: list[list[float]] = []
    children = [Child(here, str(role), *more) for role, *more in roles]
    try:
        yield found
        for child in children:
            child.tell()
        found += [child.found() for child in children]
    finally:
        for child in children:
            child.kill()
