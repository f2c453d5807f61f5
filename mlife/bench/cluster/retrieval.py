"""Lists, facets, statistics and exports on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

from mlife.bench.cluster.places import place
from mlife.bench.figures import Bench, Figure, figure
from mlife.bench.homes import stream
from mlife.bench.rebuilding import PROJECTION
from mlife.bench.reports import batches
from mlife.bench.retrieval import measured
from mlife.core.projection import projections
from mlife.core.rebuild import rebuild


@figure("cluster-retrieval")
def retrieval(bench: Bench) -> Iterator[Figure]:
    """The same questions as on SQLite, asked by one process."""
    count = bench.size(1_000_000, 20_000)
    with place(bench, "retrieval") as here, here.opened() as home:
        bench.say(f"cluster-retrieval: {count:,} reports")
        for start in range(0, count, 50_000):
            stream(home, batches(min(50_000, count - start), start=start))
        bench.say("cluster-retrieval: folding them")
        rebuild(home.ports, projections[PROJECTION])
        yield from measured(home, bench, "cluster_retrieval")
