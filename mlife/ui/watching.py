"""
The server's own figures over HTTP: requests counted, `/metrics` written, and what is late told on the home page.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlife import __version__
from mlife.core import metrics
from mlife.core.allowance import Allowances
from mlife.core.health.watch import Seen, Watch
from mlife.core.metrics import Family
from mlife.ui.desk import Waiting, waits


class Measured:
    """
    ASGI middleware, the outermost: counts requests and times them until the head of their answer.

    Routes are counted by their pattern: an address with an id in it would make a series of each id.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                _note(scope, message["status"], time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, noted)


def _note(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "none")
    method = scope["method"] if scope["method"] in METHODS else "other"
    metrics.requests.add(method, route, str(status))
    metrics.request_seconds.add(method, route, seconds=seconds)


METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""A client may send any word as a method; it must not make a series of it."""


def figures(watch: Watch, size: str, limits: Allowances) -> Response:
    """
    `/metrics`: this process's counters, and what *watch* saw last; so it never waits for a part that is away.

    Args:
        size: of the home, `embedded` or `cluster`.
        limits: what senders may bring.
    """
    families = [
        metrics.info(metrics.BUILD, __version__, platform.python_version(), size),
        *seen_families(watch.latest()),
        metrics.intake.family(),
        metrics.turned_away.family(),
        metrics.gauge(metrics.INTAKE_LIMIT, _limits(limits)),
        metrics.requests.family(),
        metrics.request_seconds.family(),
    ]
    return Response(metrics.exposition(families), headers={"Content-Type": metrics.CONTENT_TYPE})


def _limits(limits: Allowances) -> list[tuple[tuple[str], float]]:
    each = limits.each
    told = {"rate": each.rate, "burst": each.most, "quota": each.quota, "at_once": limits.at_once}
    return [((name,), float(value)) for name, value in told.items()]


def seen_families(seen: Seen) -> Iterator[Family]:
    """What a watch saw, as metrics; a part that could not be asked gives none but that it is away."""
    yield metrics.gauge(metrics.REACHABLE, [((part,), float(part not in seen.faults)) for part in seen.parts])
    yield metrics.gauge(metrics.LOOKED, [((), time.monotonic() - seen.at)])
    if seen.head is not None:
        yield metrics.gauge(metrics.HEAD, [((), seen.head)])
    named = [((f.kind, f.name), f) for f in seen.followers]
    yield metrics.gauge(metrics.FOLLOWER_POSITION, [(labels, f.position) for labels, f in named])
    yield metrics.gauge(metrics.FOLLOWER_LAG, [(labels, f.behind) for labels, f in named])
    yield metrics.gauge(metrics.FOLLOWER_LATE, [(labels, f.seconds) for labels, f in named])
    yield metrics.stateset(metrics.FOLLOWER_STATE, metrics.STATES, [(labels, f.state) for labels, f in named])
    handlers = [f.name for f in seen.followers if f.kind == "handler"]
    yield metrics.gauge(metrics.DEAD_LETTERS, [((name,), seen.parked.get(name, 0)) for name in handlers])
    if seen.bus is not None:
        yield metrics.gauge(metrics.GROUP_LAG, sorted(seen.bus.lags.items()))
        if seen.bus.unreadable is not None:
            yield metrics.gauge(metrics.UNREADABLE, [((), seen.bus.unreadable)])


@waits(order=0)
def what_is_late(request: Request) -> list[Waiting]:
    """What is behind, has stopped, is parked or could not be read; the same that the log of the server says."""
    watch: Watch | None = getattr(request.app.state, "watch", None)
    if watch is None:
        return []
    return [Waiting(f"{a.what[:1].upper()}{a.what[1:]}: {a.found}.", "/system", "See why", alarm=True)
            for a in watch.latest().alarms]  # fmt: skip
