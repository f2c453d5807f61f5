"""History: the timeline of anything, the log as pages and as a stream, and how MLife itself is doing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from mlife.audit.views import PREFIXES, Line, counted, in_words, positions
from mlife.core.errors import Invalid, NotFound, Refusal, Unavailable, shortened
from mlife.core.events import Event, Recorded, registry
from mlife.core.handler import Ports, handlers
from mlife.core.names import event_type
from mlife.core.projection import projections
from mlife.ui import answer, page, rail, render, templates_from
from mlife.ui.doing import MOST_DIGITS, Hands
from mlife.ui.news import News

templates_from("audit", __file__)
rail("History", "/history", order=50)
router = APIRouter()

ROOMS = {
    "bc": "/badcases", "cau": "/causes", "alm": "/alarms", "itr": "/iterations", "doc": "/documents", "grp": "/groups",
    "req": "/requests", "tsk": "/tasks", "mdl": "/models", "dep": "/deployments",
}  # fmt: skip
"""Where the page of a thing is, by the prefix of its id."""

PAGE = 50
IDLE_COMMENT = 15.0
"""Seconds after which an idle stream sends a comment, so that proxies keep it open."""
STREAMED = 500
"""Events that a stream reads at once."""
BREATH = 0.05
"""Seconds between a stream's looks while events come all the time."""
REST = 1.0
"""Seconds between a stream's looks while the log can't be read."""


def stored(ports: Ports, wanted: list[int]) -> list[Recorded[Event]]:
    """The events at these positions, in their order."""
    return [r for p in wanted for r in ports.store.read(p - 1, 1)]


@page(router, "/history/{thing}")
def timeline(request: Request, thing: str, hands: Hands, before: int | None = None) -> Response:
    """Everything that happened to one thing, newest first; each line is an event that nobody can edit."""
    if thing.partition("-")[0] not in PREFIXES:
        raise NotFound(f"{thing!r} is no id of MLife", remedy="ids look like bc-3f9a2c41b7d0, tsk-…, mdl-…")
    with hands.read() as read:
        wanted = positions(read, thing, before=before, limit=PAGE + 1)
        many, first, last = counted(read, thing)
    if not wanted and not many:
        raise NotFound(f"nothing ever happened to {thing}", remedy="check the id; `mlife event tail` shows the log")
    lines = [in_words(r) for r in stored(hands.ports, wanted[:PAGE])]
    older = lines[-1].position if len(wanted) > PAGE else None
    data = {"thing": thing, "events": hands.open(_rows(lines)), "reports": many, "older": older}
    room = ROOMS[thing.partition("-")[0]]
    return answer(request, "audit/timeline.html", data, first=first, last=last, href=f"{room}/{thing}")


def _rows(lines: Sequence[Line]) -> list[dict[str, object]]:
    return [{**asdict(line), "href": line.href} for line in lines]


@page(router, "/events/{position}")
def event(request: Request, position: int, hands: Hands) -> Response:
    """One event as the CloudEvent that subscribers get, byte for byte what was stored."""
    found = hands.ports.store.read(position - 1, 1) if position > 0 else []
    if not found or found[0].position != position:
        raise NotFound(f"the log has no position {position}", remedy=f"it ends at {hands.ports.store.head()}")
    (recorded,) = found
    shown = recorded.as_cloud_event()
    is_whole = sha256(recorded.draft.data).digest() == recorded.draft.digest
    text = orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode()
    return answer(request, "audit/event.html", shown, text=text, is_whole=is_whole, position=position)


@router.get("/history", include_in_schema=False)
def history(request: Request, hands: Hands, before: int | None = None, type: str = "") -> Response:
    """The newest events of the whole log, intake left out unless it is asked for."""
    asked = event_type(type) if type else ""
    kinds = [k.type for k in registry if (asked in (k.name, k.type) if asked else not k.single)]
    head = hands.ports.store.head()
    upper = head + 1 if before is None else before
    found = _newest(hands.ports, kinds, upper)
    lines = [in_words(r) for r in found[:PAGE]]
    older = lines[-1].position if len(found) > PAGE else None
    return render(
        request,
        "audit/history.html",
        events=hands.open(_rows(lines)),
        older=older,
        head=head,
        type=type,
        kinds=[k.name for k in registry],
    )


def _newest(ports: Ports, kinds: list[str], upper: int) -> list[Recorded[Event]]:
    """The newest PAGE + 1 events of *kinds* before position *upper*, newest first."""
    span = PAGE * 4
    while True:
        after = max(0, upper - 1 - span)
        events = [r for r in ports.store.read(after, 100_000, types=kinds) if r.position < upper]
        if len(events) > PAGE or after == 0:
            return events[::-1][: PAGE + 1]
        span *= 8


@router.get("/api/v1/events", tags=["events"], response_model=None)
async def events(
    request: Request,
    hands: Hands,
    after: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    type: Annotated[list[str] | None, Query()] = None,
) -> Response:
    """
    The log as CloudEvents: a page as JSON, or with `Accept: text/event-stream` a stream that never ends.

    The stream honours `Last-Event-ID` (a position); without it and without *after* it starts at the newest event.
    """
    asked = {event_type(name) for name in type or ()}
    types = [k.type for k in registry if k.type in asked or k.name in asked]
    if "text/event-stream" in request.headers.get("accept", ""):
        return await _stream(request, hands.ports, types)
    found = await run_in_threadpool(hands.ports.store.read, after, limit, types=types)
    body = {
        "events": [r.as_cloud_event() for r in found],
        "after": found[-1].position if found else after,
        "head": await run_in_threadpool(hands.ports.store.head),
    }
    return Response(orjson.dumps(body), media_type="application/json")


async def _stream(request: Request, ports: Ports, types: list[str]) -> Response:
    news: News = request.app.state.news
    given = request.headers.get("last-event-id") or request.query_params.get("after") or ""
    if given and (not given.isdecimal() or len(given) > MOST_DIGITS):  # to start at the newest would lose events unsaid
        refusal = Refusal(1, "Last-Event-ID", shortened(given), "is no position", "the id of the last event that came")
        raise Invalid("Last-Event-ID can't be read", refusals=(refusal,))
    start = int(given) if given else await run_in_threadpool(ports.store.head)

    async def lines(after: int) -> AsyncIterator[bytes]:
        while (head := await news.beyond(after, IDLE_COMMENT)) is not None:
            if head <= after:
                yield b": still here\n\n"
                continue
            try:
                found = await run_in_threadpool(ports.store.read, after, STREAMED, types=types)
            except Unavailable:  # whoever listens is not sent away: the stream goes on when the log is back
                yield b": the log is away\n\n"
                await asyncio.sleep(REST)
                continue
            for r in found:
                yield b"id: %d\nevent: %s\ndata: %s\n\n" % (
                    r.position, r.draft.type.encode(), orjson.dumps(r.as_cloud_event())
                )  # fmt: skip
            last = found[-1].position if found else after
            if len(found) < STREAMED:  # all there was when it was read, which may be more than at *head*
                last = max(last, head)
                await asyncio.sleep(BREATH)
            after = last

    return StreamingResponse(lines(start), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@page(router, "/system")
def system(request: Request, hands: Hands) -> Response:
    """How MLife itself is doing: where projections and handlers stand, and what is parked."""
    home = request.app.state.home
    head = hands.ports.store.head()
    standings = [s for s in hands.ports.views.standings() if s.name in projections]
    places = home.book.positions()
    data = {
        "head": head,
        "projections": [
            {"name": s.name, "version": s.version, "generation": s.generation, "state": s.state, "position": s.position,
             "behind": head - s.position, "error": s.error}
            for s in standings
        ],
        "handlers": [
            {"name": n, "position": places.get(n, 0), "behind": head - places.get(n, 0)} for n in sorted(handlers)
        ],
        "deadletters": [
            {"handler": d.handler, "key": d.key, "position": d.position, "attempts": d.attempts, "error": d.error}
            for d in home.book.letters()
        ],
    }  # fmt: skip
    return answer(request, "audit/system.html", data)


@router.get("/api/v1/projections", tags=["events"], response_model=None)
def list_projections(request: Request, hands: Hands) -> Response:
    """Where each projection stands."""
    return system(request, hands)


@router.get("/api/v1/deadletters", tags=["events"], response_model=None)
def list_deadletters(request: Request, hands: Hands) -> Response:
    """What is parked, and why."""
    return system(request, hands)
