"""
Where reports and traffic come in over HTTP: single JSON, NDJSON, CloudEvents, CSV; streamed, in memory that does not
grow.

All of them go through `mlife.badcases.intake.taking`, as those of the command line and of Python do.
"""

from __future__ import annotations

from contextlib import ExitStack, aclosing
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from mlife.badcases.intake.declared import Schemas
from mlife.badcases.intake.spreadsheet import Spreadsheet, report_table
from mlife.badcases.intake.taking import Answer, Intake, Sending
from mlife.core.allowance import Allowances, Turnstile
from mlife.core.errors import Invalid, Unavailable
from mlife.ui.doing import ANYBODY, actor_of
from mlife.ui.limits import takes_any_length

router = APIRouter(tags=["reports"])
Ids = Annotated[bool, Query()]
Preview = Annotated[bool, Query()]
PIECE = 1 << 18
"""Bytes that are gathered before a thread takes them: handing over each packet would cost more than the work."""
UNREAD = 8_000_000
"""Bytes of a request that is turned away which are read and dropped, so that its sender hears the answer."""
COLUMN, CONSTANT = "column.", "set."
"""Parameters of a CSV: `column.Ort=fields.place` names a column, `set.system=dms` says what no row says."""


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


def turnstile_of(request: Request) -> Turnstile:
    """The server's one turnstile."""
    state = request.app.state
    if not hasattr(state, "turnstile"):
        chosen = getattr(state.home, "settings", None)
        state.turnstile = Turnstile(chosen.intake if chosen is not None else Allowances())
    turnstile: Turnstile = state.turnstile
    return turnstile


def sender_of(request: Request) -> str:
    """Who sends: as they say themselves, else the address that it comes from."""
    actor = actor_of(request)
    if actor != ANYBODY:
        return actor
    return request.client.host if request.client is not None else ANYBODY


def spreadsheet_of(request: Request) -> Spreadsheet:
    """A reader of CSV, by the parameters of the address."""
    given = request.query_params
    return report_table(
        Schemas(request.app.state.home.ports.store).of,
        columns={name.removeprefix(COLUMN): to for name, to in given.items() if name.startswith(COLUMN)},
        constants={name.removeprefix(CONSTANT): to for name, to in given.items() if name.startswith(CONSTANT) and to},
    )


@router.post("/api/v1/reports")
async def take_reports(request: Request, ids: Ids = False, preview: Preview = False) -> Response:  # noqa: FBT002
    """
    Reports: one as JSON, many as NDJSON or a JSON array, CloudEvents (structured, batched or binary), or CSV.

    Answers how many are new, known and refused, and why; with `ids=true` also the ids of each. With `preview=true`
    nothing is taken, and the answer is what it would be. A single report that is refused is answered with 422. Who
    brings more than they may is answered with 429 and `Retry-After`, before anything is read.
    """
    reader = spreadsheet_of(request) if _kind(request) == "text/csv" else None
    return await _take(request, intake_of(request).sending(ids=ids, preview=preview, reader=reader))


@router.post("/api/v1/traffic")
async def take_traffic(request: Request, ids: Ids = False) -> Response:  # noqa: FBT002 - a query parameter
    """Traffic counts, in the same forms; the same interval counts once, and with another count it is refused."""
    return await _take(request, intake_of(request).sending(ids=ids, traffic=True))


async def _take(request: Request, sending: Sending) -> Response:
    takes_any_length(request)
    with ExitStack() as stack:
        try:
            charge = stack.enter_context(turnstile_of(request).turn(sender_of(request)))
        except Unavailable:
            await _drop(request)
            raise
        gathered = bytearray()
        async for some in request.stream():
            gathered += some
            if len(gathered) >= PIECE:
                await run_in_threadpool(sending.feed, bytes(gathered))
                gathered.clear()
        answer = await run_in_threadpool(_finish, sending, bytes(gathered))
        charge(answer.items)
    one = len(answer.refused) == 1 and not answer.accepted and not answer.known
    if one and _kind(request) in ("application/json", "application/cloudevents+json"):
        raise Invalid(str(answer.refused[0]), refusals=tuple(answer.refused))
    return JSONResponse(answer.as_json())


async def _drop(request: Request) -> None:
    """Read a little of what will not be taken: a sender who is cut off while it speaks hears no answer."""
    size = 0
    async with aclosing(request.stream()) as stream:
        async for some in stream:
            size += len(some)
            if size > UNREAD:
                return


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _finish(sending: Sending, rest: bytes) -> Answer:
    sending.feed(rest)
    return sending.finish()
