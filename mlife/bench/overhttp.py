"""NDJSON over loopback into a real `mlife up`, against the Python API."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import orjson

from mlife.bench.figures import Bench, Figure, figure, median_ratio, take_turns, timed
from mlife.bench.homes import opened, take
from mlife.bench.reports import batches
from mlife.bench.server import Server, up
from mlife.core.projection import projections

LINES = 10_000
"""Reports in one POST."""


@figure("http")
def http(bench: Bench) -> Iterator[Figure]:
    """The same reports by Python, by HTTP with projections off, and by HTTP while the server projects them."""
    count = bench.size(100_000, 10_000)
    some = batches(count)
    bodies = [
        b"\n".join(orjson.dumps(r) for batch in some[at : at + LINES // 1_000] for r in batch)
        for at in range(0, len(some), LINES // 1_000)
    ]

    def python(turn: int) -> float:
        bench.say(f"http: round {turn + 1}")
        with opened(bench.folder / f"python-{turn}") as home:
            return count / timed(lambda: take(home, some))

    def posted(turn: int, *, projecting: bool) -> float:
        folder = bench.folder / f"http-{turn}-{projecting}"
        with ExitStack() as running:
            if not projecting:  # whoever holds the runner lock projects: it is held here, so nobody does
                home = running.enter_context(opened(folder))
                running.enter_context(home.ports.locks.hold("runner"))
            server = running.enter_context(up(folder))
            return count / timed(lambda: post(server, bodies))

    rounds = bench.size(3, 1)
    own, off, on = take_turns(
        [python, lambda turn: posted(turn, projecting=False), lambda turn: posted(turn, projecting=True)], rounds
    )
    baseline = statistics.median(own)
    yield Figure(
        "http_intake",
        "NDJSON to `mlife up` over loopback, projections off; baseline: the Python API",
        statistics.median(off), "events/s", count, 0, baseline, median_ratio(off, own), 0.5, "ratio", "high",
    )  # fmt: skip
    yield Figure(
        "http_intake_while_projecting",
        "the same while the server's own process projects and handles",
        statistics.median(on), "events/s", count, len(projections), baseline, median_ratio(on, own),
    )  # fmt: skip


def post(server: Server, bodies: Sequence[bytes]) -> None:
    """Send every body, each acknowledged before the next."""
    for body in bodies:
        answer = orjson.loads(server.post("/api/v1/reports", body, "application/x-ndjson"))
        if answer["refused"]:
            raise AssertionError(f"a report of the benchmark was refused: {answer['refused'][0]}")
