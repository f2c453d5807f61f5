"""The same done to many badcases: started, watched, stopped and taken back."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from mlife.badcases import commands
from mlife.badcases.commands.bulk import MOST_AT_ONCE, STEP, UNDO, UNDO_ID, action_named
from mlife.badcases.events import BulkStarted
from mlife.badcases.stepping import job_in_log, next_step, told_of
from mlife.badcases.views import lists
from mlife.badcases.views.bulk import BulkView, bulk_job, bulk_jobs, bulk_refusals_of
from mlife.core.command import Done, input_model
from mlife.core.errors import NotFound, Refused
from mlife.ui import answer, page, render, see
from mlife.ui.doing import Doing, Hands
from mlife.ui.pages import wants_json
from mlife.ui.said import Said, is_form, listed

router = APIRouter(tags=["badcases"])


@router.post("/api/v1/badcases/bulk/{action}")
@router.post("/badcases/bulk/{action}", include_in_schema=False)
def act_on_many(request: Request, hands: Hands, action: str, said: Said, q: str = "") -> Response:
    """
    Do the same to many badcases: `selected` (a list of ids, or `*` for all that match `q`), and the action's input.

    It is a job with an id: up to 100 badcases are done before the answer comes, more go on by themselves
    (status 202, look at `/api/v1/bulk/<id>`). Each badcase is judged by itself; the refused are named with reasons.
    """
    command = action_named(action)[0]
    selected = listed(said.pop("selected", None))
    q = str(said.pop("q", q))
    if is_form(request):  # the list's form has the fields of every action in it
        said = {k: v for k, v in said.items() if k in input_model(command).model_fields}
    everything = "*" in selected
    with hands.read() as read:
        ids = lists.matching_ids(read, q, now=hands.now, limit=MOST_AT_ONCE + 1) if everything else selected
    if everything and not ids:
        raise Refused("no badcase matches", remedy="change the query")
    started = hands.do(commands.start_bulk, action=action, query=q if everything else "", badcase_ids=ids, input=said)
    return _answer(request, hands, started, str(action_named(action)[1]))


@router.post("/api/v1/bulk/{bulk_id}/undo")
@router.post("/bulk/{bulk_id}/undo", include_in_schema=False)
def undo(request: Request, hands: Hands, bulk_id: str) -> Response:
    """Take back what a job changed, and only that: what somebody changed since stays, and is named."""
    started = hands.do(commands.undo_bulk, bulk_id=bulk_id)
    if not started.events:
        of = bulk_id + UNDO_ID
        return JSONResponse({"bulk_id": of, "position": 0}) if wants_json(request) else see(f"/bulk/{of}")
    return _answer(request, hands, started, "as they were before")


@router.post("/api/v1/bulk/{bulk_id}/stop")
@router.post("/bulk/{bulk_id}/stop", include_in_schema=False)
def stop(request: Request, hands: Hands, bulk_id: str) -> Response:
    """End a job before its list is through."""
    made = hands.do(commands.stop_bulk, bulk_id=bulk_id)
    if wants_json(request):
        return JSONResponse({"bulk_id": bulk_id, "position": made.position})
    where = f"/bulk/{bulk_id}?min_position={made.position}"
    return see(where, "the job is stopped" if made.events else "the job had ended already")


def _answer(request: Request, hands: Doing, started: Done, word: str) -> Response:
    """What became of it by now."""
    begun = started.first(BulkStarted)
    position = started.position
    if len(begun.badcase_ids) <= STEP:
        position = max(position, _step(hands, begun.bulk_id))
    job = job_in_log(hands.ports.store, begun.bulk_id)
    told = told_of(job, position)
    if wants_json(request):
        return JSONResponse(told, 202 if job.running else 200, headers={"Location": f"/api/v1/bulk/{job.id}"})
    if job.running:
        return see(f"/bulk/{job.id}?min_position={position}")
    tail = f"; {len(job.refused)} refused: {job.refused[0]['problem']}" if job.refused else ""
    same = len(job.badcase_ids) - len(job.changed) - len(job.refused)
    so_already = f", {same} were so already" if same > 1 else ", 1 was so already" if same else ""
    words = f"{len(job.changed)} of {len(job.badcase_ids)} badcases {word}{so_already}{tail}"
    undo_it = f"/bulk/{job.id}/undo" if job.changed and job.action != UNDO else ""
    return see(_back(request, position), words, undo=undo_it)


def _step(hands: Doing, bulk_id: str) -> int:
    """Take one step here and now, as the handler would; the position reached. Whoever is first does it."""
    with hands.read() as read:
        step = next_step(hands.ports.store, read, bulk_id)
    if step is None:
        return hands.ports.store.head()
    return hands.executor.under(f"{bulk_id}:{step['at']}", commands.take_step, **step).position


def _back(request: Request, position: int) -> str:
    """The list that the action was asked for on, with what was written."""
    came_from = request.headers.get("referer", "")
    back = "/badcases" + (f"?{came_from.partition('?')[2]}" if "/badcases?" in came_from else "")
    return f"{back}{'&' if '?' in back else '?'}min_position={position}"


@page(router, "/bulk")
def list_jobs(request: Request, hands: Hands, before: int | None = None, limit: int = 50) -> Response:
    """Bulk jobs, the latest first."""
    limit = max(1, min(limit, 500))
    with hands.read() as read:
        jobs = bulk_jobs(read, limit=limit + 1, before=before)
        position = read.position
    older = jobs[limit - 1].position if len(jobs) > limit else None
    jobs = jobs[:limit]
    return answer(request, "badcases/bulk_list.html", {"jobs": jobs, "before": older, "position": position})


@page(router, "/bulk/{bulk_id}")
def show_job(request: Request, hands: Hands, bulk_id: str) -> Response:
    """One bulk job: how far it is, what it could not do and why."""
    with hands.read() as read:
        job = _existing(bulk_job(read, bulk_id), bulk_id)
        refusals = bulk_refusals_of(read, bulk_id)
        position = read.position
    if wants_json(request):
        return answer(request, "badcases/bulk.html", {**asdict(job), "refusals": refusals, "position": position})
    return render(request, "badcases/bulk.html", job=job, refusals=refusals, position=position, word=word_of(job))


@router.get("/bulk/{bulk_id}/live", include_in_schema=False)
def live(request: Request, hands: Hands, bulk_id: str) -> Response:
    """The moving part of a job's page; once it has ended, the page is asked to load itself anew."""
    with hands.read() as read:
        job = _existing(bulk_job(read, bulk_id), bulk_id)
    if not job.running:
        return Response(headers={"HX-Refresh": "true", "Cache-Control": "no-store"})
    return render(request, "badcases/bulk_live.html", job=job, word=word_of(job))


def word_of(job: BulkView) -> str:
    """What is said of a badcase that the job changed."""
    return "as it was before" if job.action == UNDO else str(action_named(job.action)[1])


def _existing(job: BulkView | None, bulk_id: str) -> BulkView:
    if job is None:
        raise NotFound(f"there is no bulk job {bulk_id}", remedy="look at /bulk for those that there are")
    return job
