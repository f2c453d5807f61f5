"""What moves while a task runs: progress, log, files."""

from __future__ import annotations

import mimetypes
import os
import re
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from mlife.core.errors import NotFound
from mlife.training.live import LOG, lines_after, log_since
from mlife.training.pages.shown import as_json, live_of, runs_of, the_task
from mlife.training.views import TaskView
from mlife.ui import render
from mlife.ui.doing import Hands
from mlife.ui.pages import environment

router = APIRouter()
CHUNK = 1 << 18
AT_ONCE = 200_000
"""Bytes of a log in one answer."""

SHOWABLE = re.compile(r"image/(png|jpeg|webp|gif)|text/plain|application/json")
"""Kinds that a browser may show from here; anything else is downloaded."""


@router.get("/tasks/{task_id}/live", include_in_schema=False)
def live(request: Request, hands: Hands, task_id: str, seen: str = "") -> Response:
    """The progress of a task; when its state is no longer the one *seen*, the page is asked to load itself anew."""
    with hands.read() as read:
        task = the_task(read, task_id)
    if f"{task.state}-{task.attempt}" != seen:
        return Response(status_code=200, headers={"HX-Refresh": "true", "Cache-Control": "no-store"})
    return render(request, "training/live.html", task=task, live=live_of(request, task))


@router.get("/api/v1/tasks/{task_id}/progress")
def progress(request: Request, hands: Hands, task_id: str) -> dict[str, Any]:
    """State and progress of a task."""
    with hands.read() as read:
        task = the_task(read, task_id)
    shown = as_json(task, live_of(request, task))
    return {name: shown[name] for name in ("task_id", "state", "attempt", "progress")}


@router.get("/tasks/{task_id}/log", include_in_schema=False)
def log(request: Request, hands: Hands, task_id: str, after: int = 0) -> HTMLResponse:
    """What the code wrote since byte *after*, for the log on the page."""
    with hands.read() as read:
        task = the_task(read, task_id)
    lines, end, is_live = log_of(request, hands, task, max(0, after))
    ui: Any = environment().globals["ui"]
    return HTMLResponse(
        ui.log_tail(lines, f"/tasks/{task_id}/log", end, is_live), headers={"Cache-Control": "no-store"}
    )


def log_of(request: Request, hands: Hands, task: TaskView, after: int = 0) -> tuple[list[str], int, bool]:
    """Lines from byte *after*, the byte after them, and whether more may come."""
    is_live = task.state == "running"
    if LOG in task.files and not is_live:
        with hands.ports.blobs.open(task.files[LOG]) as f:
            found = lines_after(f, max(after, f.seek(0, os.SEEK_END) - AT_ONCE), AT_ONCE)
    else:
        found = log_since(runs_of(request), task.task_id, task.attempt, after, AT_ONCE) or (b"", after)
    lines = found[0].decode("utf-8", "replace").splitlines()
    return [line for line in lines if not line.startswith("MLIFE progress ")], found[1], is_live  # the bar shows those


@router.get("/api/v1/tasks/{task_id}/log", response_class=Response)
@router.get("/tasks/{task_id}/log.txt", include_in_schema=False)
def whole_log(request: Request, hands: Hands, task_id: str) -> Response:
    """The log as a file; of a running task what there is by now."""
    with hands.read() as read:
        task = the_task(read, task_id)
    if task.state != "running" and LOG in task.files:
        return _sent(hands, task.files[LOG], f"{task_id}.log.txt", "text/plain; charset=utf-8")
    data, _ = log_since(runs_of(request), task_id, task.attempt, 0, 50_000_000) or (b"", 0)
    return Response(data, media_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"})


@router.get("/api/v1/tasks/{task_id}/files/{name:path}", response_class=Response)
@router.get("/tasks/{task_id}/files/{name:path}", include_in_schema=False)
def file(hands: Hands, task_id: str, name: str) -> Response:
    """A file that the task left."""
    with hands.read() as read:
        task = the_task(read, task_id)
    sha256 = task.files.get(name)
    if sha256 is None:
        raise NotFound(f"task {task_id} left no file {name!r}", remedy=f"it left {', '.join(task.files) or 'none'}")
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if name.endswith((".jsonl", ".py", ".yaml", ".yml", ".toml", ".log", ".csv")):
        kind = "text/plain"
    return _sent(hands, sha256, name.rsplit("/", 1)[-1], kind)


def _sent(hands: Hands, sha256: str, name: str, kind: str) -> Response:
    stream = hands.ports.blobs.open(sha256)

    def parts() -> Any:
        with stream:
            while part := stream.read(CHUNK):
                yield part

    plain = SHOWABLE.match(kind) is not None
    headers = {
        "Content-Disposition": f"{'inline' if plain else 'attachment'}; filename*=UTF-8''{quote(name)}",
        "ETag": f'"{sha256}"',
        "Cache-Control": "private, max-age=31536000, immutable",
    }
    shown = f"{kind}; charset=utf-8" if kind == "text/plain" else kind
    return StreamingResponse(parts(), media_type=shown if plain else "application/octet-stream", headers=headers)
