"""From a report that the API has acknowledged to a subscriber's hands, and to the query table."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import orjson

from mlife.bench.cluster.places import Place, folded, place, tail, wait_until
from mlife.bench.cluster.subscribing import subscriber
from mlife.bench.figures import Bench, Figure, figure, percentile
from mlife.bench.reports import batches
from mlife.core.projection import projections

RATE = 500
"""Reports a second."""
BATCH = 10
"""Reports of one request; a client sends what it has gathered in 20 ms."""


@figure("cluster-delivery")
def delivery(bench: Bench) -> Iterator[Figure]:
    """500 reports a second through the API, with relay, workers and a subscriber at work."""
    count = bench.size(15_000, 1_000)
    with place(bench, "delivery", bus=True) as here, ExitStack() as running:
        running.enter_context(here.program("relay"))
        for role in ("projections", "handlers"):
            running.enter_context(here.program("worker", role))
        port = _served(here, running)
        home = running.enter_context(here.opened())
        arrived = running.enter_context(subscriber(here.chosen.bus, "mlife.badcases"))
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            warm = 2_000
            head = _send(client, batches(warm, size=BATCH), {})
            wait_until(lambda: folded(home) >= head, "workers follow")
            bench.say("delivery: 500 reports a second")
            acknowledged: dict[int, float] = {}
            visible = _Looker(here)
            with visible:
                head = _send(client, batches(count, start=warm, size=BATCH), acknowledged, visible)
            wait_until(lambda: max(arrived, default=0) >= head, "the subscriber has everything")
    got = [1_000 * (arrived[p] - at) for p, at in acknowledged.items()]
    seen = [1_000 * delay for delay in visible.delays]
    many = len(projections)
    for share, goal in ((0.5, 50), (0.99, 250)):
        yield Figure(
            f"cluster_to_subscriber_p{share * 100:.0f}",
            f"from acknowledged to a Kafka subscriber's hands at {RATE} reports/s, p{share * 100:.0f}",
            percentile(got, share), "ms", warm + count, many, goal=goal,
        )  # fmt: skip
    yield Figure(
        "cluster_to_visible_p99", f"from acknowledged to visible in every query table at {RATE} reports/s, p99",
        percentile(seen, 0.99), "ms", warm + count, many, goal=400,
    )  # fmt: skip


def _served(here: Place, running: ExitStack) -> int:
    """The port of `mlife up`, which runs for the block of *running*."""
    running.enter_context(here.program("up", "--port", "0", "--no-tasks"))
    log = here.chosen.home / "up---port.log"

    def port() -> int:
        _, found, rest = tail(log).partition("http://127.0.0.1:")
        return int(rest.partition("/")[0]) if found else 0

    wait_until(port, "`mlife up` serves")
    return port()


class _Looker:
    """Waits, in a process's own connection, until the last acknowledged report can be seen, again and again."""

    def __init__(self, here: Place) -> None:
        self._here = here
        self._last = (0, 0.0)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.delays: list[float] = []

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *fault: object) -> None:
        self._done.set()
        self._thread.join()

    def acknowledged(self, position: int, at: float) -> None:
        """A report at *position* was acknowledged at the moment *at*."""
        self._last = position, at

    def _look(self) -> None:
        looked = 0
        with self._here.opened() as home:
            while not (self._done.is_set() and looked == self._last[0]):
                position, at = self._last
                if position == looked:
                    time.sleep(0.001)
                    continue
                with home.ports.views.read(min_position=position, timeout=60):
                    self.delays.append(time.perf_counter() - at)
                looked = position


def _send(
    client: httpx.Client,
    some: list[list[dict[str, Any]]],
    acknowledged: dict[int, float],
    looker: _Looker | None = None,
) -> int:
    """Send every batch at its time; notes when the last position of each was acknowledged. Returns the head."""
    start, position = time.perf_counter(), 0
    for number, batch in enumerate(some):
        time.sleep(max(0.0, start + number * BATCH / RATE - time.perf_counter()))
        body = b"\n".join(orjson.dumps(r) for r in batch)
        answer = client.post("/api/v1/reports", content=body, headers={"content-type": "application/x-ndjson"})
        at = time.perf_counter()
        told = answer.raise_for_status().json()
        if told["accepted"] != len(batch):
            raise AssertionError(f"not all of a batch was accepted: {told}")
        position = told["position"]
        acknowledged[position] = at
        if looker:
            looker.acknowledged(position, at)
    return position
