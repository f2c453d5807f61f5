"""What people and programs do with tasks: a form and its JSON are one input for the same command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.core.errors import Invalid, Refusal, shortened
from mlife.training import commands, views
from mlife.training.pages.shown import the_task
from mlife.ui.doing import Doing, Hands, answered
from mlife.ui.said import Said, is_form, listed

router = APIRouter()


def _stream(task_id: str) -> str:
    return f"task/{task_id}"


@router.post("/api/v1/tasks", status_code=201, response_model=None)
@router.post("/tasks", include_in_schema=False, response_model=None)
def draft(request: Request, hands: Hands, said: Said) -> Response:
    """Draft a task: kind, group_ids, name, system, function, iteration_id."""
    done = hands.do(commands.draft_task, **(_drafted(hands, said) if is_form(request) else said))
    task_id = getattr(done.events[0], "task_id", "") if done.events else str(said.get("task_id"))
    response = answered(request, done, f"/tasks/{task_id}", f"{task_id} is drafted", task_id=task_id)
    if response.status_code == 200:
        response.status_code = 201
    return response


def _drafted(hands: Doing, said: dict[str, Any]) -> dict[str, Any]:
    """The form's input; system and function are those of the first group."""
    group_ids = listed(said.get("group_ids"))
    with hands.read() as read:
        found = {g.group_id: g for g in views.groups(read, group_ids)}
    first = found.get((group_ids or [""])[0])
    of = {"system": first.system, "function": first.function} if first else {}
    return {**said, "group_ids": tuple(group_ids), **of}


@router.post("/api/v1/tasks/{task_id}/start", response_model=None)
@router.post("/tasks/{task_id}/start", include_in_schema=False, response_model=None)
def start(request: Request, hands: Hands, task_id: str, said: Said) -> Response:
    """Queue a draft: entry_point; if wanted workdir, group_ids, model_ids, parents, parameters, seed, time_limit."""
    given = _started(said) if is_form(request) else said
    with hands.read() as read:
        task = the_task(read, task_id)
        deployed = views.deployed_models(read, task.system, task.function)  # the parents, where none are named
    input = {**given, "task_id": task_id, "deployed": deployed}
    done = hands.edit(_stream(task_id), commands.start_task, **input)
    words = f"{task_id} is queued; the next free worker runs it"
    return answered(request, done, f"/tasks/{task_id}", words, task_id=task_id)


def _started(said: dict[str, Any]) -> dict[str, Any]:
    """The form's input. Its boxes say all parents, so none checked means none."""
    several: dict[str, Any] = {k: tuple(listed(said[k])) for k in ("group_ids", "model_ids", "parents") if k in said}
    given: dict[str, Any] = {"workdir": str(Path.cwd()), "parents": (), **said, **several}
    return {**given, "parameters": _parameters(str(said.get("parameters", "")))}


@router.post("/api/v1/tasks/{task_id}/cancel", response_model=None)
@router.post("/tasks/{task_id}/cancel", include_in_schema=False, response_model=None)
def cancel(request: Request, hands: Hands, task_id: str, said: Said) -> Response:
    """Give a task up: reason."""
    done = hands.edit(_stream(task_id), commands.cancel_task, **{**said, "task_id": task_id})
    words, undo = f"{task_id} is cancelled", f"/tasks/{task_id}/retry"
    return answered(request, done, f"/tasks/{task_id}", words, undo=undo, task_id=task_id)


@router.post("/api/v1/tasks/{task_id}/retry", response_model=None)
@router.post("/tasks/{task_id}/retry", include_in_schema=False, response_model=None)
def retry(request: Request, hands: Hands, task_id: str) -> Response:
    """Queue a failed or cancelled task again."""
    done = hands.edit(_stream(task_id), commands.retry_task, task_id=task_id)
    return answered(request, done, f"/tasks/{task_id}", f"{task_id} is queued again", task_id=task_id)


def _parameters(text: str) -> dict[str, Any]:
    try:
        said = orjson.loads(text) if text.strip() else {}
    except orjson.JSONDecodeError as e:
        said = e
    if not isinstance(said, dict):
        problem = f"is no JSON ({said})" if isinstance(said, Exception) else "is no object"
        refusal = Refusal(1, "parameters", shortened(text), problem, '{"C": 10.0, "epochs": 4}')
        raise Invalid("the parameters can't be read", refusals=(refusal,))
    return said
