"""
Where reports and traffic come in over HTTP: single JSON, NDJSON, CloudEvents; streamed, in memory that does not grow.

All of them go through `mlife.badcases.intake.taking`, as those of the command line and of Python do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from mlife.badcases.intake.taking import Answer, Intake, Sending
from mlife.core.errors import Invalid
from mlife.ui.doing import ANYBODY, actor_of
from mlife.ui.limits import takes_any_length

router = APIRouter(tags=["reports"])
Ids = Annotated[bool, Query()]
PIECE = 1 << 18
"""Bytes that are gathered before a thread takes them: handing over each packet would cost more than the work."""


def intake_of(request: Request) -> Intake:
    """The server's one intake; its caches live as long as the server."""
    state = request.app.state
    if not hasattr(state, "intake"):
        home = state.home
        state.intake = Intake(home.ports.store, home.sealer, home.do.clock)
    actor = actor_of(request)
    intake: Intake = state.intake
    return replace(
        intake,
        actor=None if actor == ANYBODY else actor,
        traceparent=request.headers.get("traceparent", "")[:55] or None,
    )


@router.post("/api/v1/reports")
async def take_reports(request: Request, ids: Ids = False) -> Response:  # noqa: FBT002 - a query parameter
    """
    Reports: one as JSON, many as NDJSON or a JSON array, or CloudEvents (structured, batched or binary).

    Answers how many are new, known and refused, and why; with `ids=true` also the ids of each. A single report that is
    refused is answered with 422.
    """
    return await _take(request, intake_of(request).sending(ids=ids))


@router.post("/api/v1/traffic")
async def take_traffic(request: Request, ids: Ids = False) -> Response:  # noqa: FBT002 - a query parameter
    """Traffic counts, in the same forms; the same interval counts once, and with another count it is refused."""
    return await _take(request, intake_of(request).sending(ids=ids, traffic=True))


async def _take(request: Request, sending: Sending) -> Response:
    takes_any_length(request)
    gathered = bytearray()
    async for some in request.stream():
        gathered += some
        if len(gathered) >= PIECE:
            await run_in_threadpool(sending.feed, bytes(gathered))
            gathered.clear()
    answer = await run_in_threadpool(_finish, sending, bytes(gathered))
    one = len(answer.refused) == 1 and not answer.accepted and not answer.known
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if one and kind in ("application/json", "application/cloudevents+json"):
        raise Invalid(str(answer.refused[0]), refusals=tuple(answer.refused))
    return JSONResponse(answer.as_json())


def _finish(sending: Sending, rest: bytes) -> Answer:
    sending.feed(rest)
    return sending.finish()
