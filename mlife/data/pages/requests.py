"""Collection requests: what is wanted, how much of it came, and the end of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from mlife.core.command import Done
from mlife.core.errors import there_is
from mlife.core.projection import Reader
from mlife.data import views
from mlife.data.commands import close_request, request_collection
from mlife.data.events import CollectionRequested
from mlife.data.pages.shown import tabs
from mlife.data.views import RequestView
from mlife.ui import answer, page, see
from mlife.ui.doing import Doing, Hands
from mlife.ui.lists import asked
from mlife.ui.said import Said, counted, is_form

router = APIRouter()


@page(router, "/requests")
def list_requests(
    request: Request, hands: Hands, q: str = "", sort: str | None = None, after: str | None = None, limit: int = 50
) -> Response:
    """Collection requests, the last made first."""
    now = hands.now
    ask = asked(request, q, views.searchable_requests, now)
    with hands.read() as read:
        found = views.request_page(read, ask.readable, now=now, sort=sort, after=after, limit=limit)
        waiting = views.open_requests(read)
        position = read.position
    data = found.told("requests", (as_json(r) for r in found.items), position)
    return answer(
        request,
        "data/requests.html",
        data,
        q=ask.q,
        error=ask.error,
        shown=found.items,
        waiting=waiting,
        tabs=tabs("Requests"),
    )


@page(router, "/requests/{request_id}")
def show_request(request: Request, request_id: str, hands: Hands) -> Response:
    """One request: per class what is wanted and what came, and the documents that answered it."""
    with hands.read() as read:
        found = the_request(read, request_id)
        position = read.position
    response = answer(request, "data/request.html", {**as_json(found), "position": position}, found=found)
    response.headers["ETag"] = f'"{found.version}"'
    return response


def as_json(found: RequestView) -> dict[str, Any]:
    """A request for programs, with how much of it came."""
    told = asdict(found)
    told["answers"] = [{"document_id": i, "name": name, "rows": rows} for i, name, rows in found.answers]
    return {**told, "share": found.share, "still_wanted": dict(found.still_wanted)}


@router.post("/api/v1/requests", response_model=None)
@router.post("/requests", response_model=None, include_in_schema=False)
def open_request(request: Request, hands: Hands, said: Said) -> Response:
    """Ask for data: system, function, what (in words), wanted (`{"9": 40, "4": 40}`), cause_id, iteration_id."""
    done = _open(hands, said)
    made = done.first(CollectionRequested)
    if not is_form(request):
        return JSONResponse({"position": done.position, "request_id": made.request_id})
    where = f"/requests/{made.request_id}?min_position={done.position}"
    return see(where, f"{sum(made.wanted.values()):,} rows are asked for")


def _open(hands: Doing, said: Mapping[str, Any]) -> Done:
    known = {k: v for k, v in said.items() if k != "wanted"}
    return hands.do(request_collection, wanted=wanted_of(said.get("wanted")), **known)


def wanted_of(said: Any) -> dict[str, int]:
    """What is wanted, as a mapping or in words: `9=40, 4=40`."""
    return counted(said) if isinstance(said, str) else said or {}


@router.post("/api/v1/requests/{request_id}/close", response_model=None)
@router.post("/requests/{request_id}/close", response_model=None, include_in_schema=False)
def end_request(request: Request, request_id: str, hands: Hands, said: Said) -> Response:
    """Nothing more is wanted: `complete` (default true), or given up; a `note`."""
    complete = said.get("complete", True) not in (False, "false", "no", "0")
    done = hands.edit(
        f"request/{request_id}",
        close_request,
        request_id=request_id,
        complete=complete,
        note=str(said.get("note") or ""),
    )
    if not is_form(request):
        return JSONResponse({"position": done.position, "request_id": request_id})
    return see(f"/requests/{request_id}?min_position={done.position}", "Closed as complete" if complete else "Given up")


def the_request(read: Reader, request_id: str) -> RequestView:
    """
    The request.

    Raises:
        NotFound: there is none.
    """
    return there_is(views.request(read, request_id), "request", request_id)
