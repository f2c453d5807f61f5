"""What people do with tasks: JSON for programs, forms for pages, the same commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, Form
from starlette.responses import Response

from mlife.core.command import Done
from mlife.core.errors import Invalid, Refusal, shortened
from mlife.core.events import Event
from mlife.training import commands, views
from mlife.training.pages.shown import the_task
from mlife.training.states import Kind
from mlife.ui import see
from mlife.ui.doing import Hands

router = APIRouter()
Input = Annotated[dict[str, Any], Body(default_factory=dict)]


def _stream(task_id: str) -> str:
    return f"task/{task_id}"


def _with_parents(hands: Hands, task_id: str, said: dict[str, Any]) -> dict[str, Any]:
    """The input of a start, with the models that are deployed now for the case that no parents are named."""
    with hands.read() as read:
        task = the_task(read, task_id)
        return {**said, "task_id": task_id, "deployed": views.deployed_models(read, task.system, task.function)}


# ── programs ─────────────────────────────────────────────────────────────────────────────────────


@router.post("/api/v1/tasks", status_code=201)
def draft(hands: Hands, said: Input) -> dict[str, Any]:
    """Draft a task: kind, group_ids, name, system, function, iteration_id."""
    done = hands.do(commands.draft_task, **said)
    return _answer(done, getattr(done.events[0], "task_id", "") if done.events else str(said.get("task_id")))


@router.post("/api/v1/tasks/{task_id}/start")
def start(hands: Hands, task_id: str, said: Input) -> dict[str, Any]:
    """Queue a draft: entry_point; if wanted workdir, group_ids, model_ids, parents, parameters, seed, time_limit."""
    done = hands.edit(_stream(task_id), commands.start_task, **_with_parents(hands, task_id, said))
    return _answer(done, task_id)


@router.post("/api/v1/tasks/{task_id}/cancel")
def cancel(hands: Hands, task_id: str, said: Input) -> dict[str, Any]:
    """Give a task up: reason."""
    return _answer(hands.edit(_stream(task_id), commands.cancel_task, **{**said, "task_id": task_id}), task_id)


@router.post("/api/v1/tasks/{task_id}/retry")
def retry(hands: Hands, task_id: str) -> dict[str, Any]:
    """Queue a failed or cancelled task again."""
    return _answer(hands.edit(_stream(task_id), commands.retry_task, task_id=task_id), task_id)


def _answer(done: Done, task_id: str) -> dict[str, Any]:
    return {"position": done.position, "task_id": task_id}


# ── forms ────────────────────────────────────────────────────────────────────────────────────────


@router.post("/tasks", include_in_schema=False)
def draft_form(
    hands: Hands,
    kind: Annotated[Kind, Form()],
    group_ids: Annotated[list[str] | None, Form()] = None,
    name: Annotated[str, Form()] = "",
) -> Response:
    """Draft by the form; system and function are those of the first group."""
    with hands.read() as read:
        found = {g.group_id: g for g in views.groups(read, group_ids or [])}
    first = found.get((group_ids or [""])[0])
    done = hands.do(
        commands.draft_task,
        kind=kind,
        group_ids=tuple(group_ids or ()),
        name=name,
        system=first.system if first else None,
        function=first.function if first else None,
    )
    return _back(done, _id_of(done.events[0]), "drafted")


@router.post("/tasks/{task_id}/start", include_in_schema=False)
def start_form(
    hands: Hands,
    task_id: str,
    entry_point: Annotated[str, Form()],
    workdir: Annotated[str, Form()] = "",
    group_ids: Annotated[list[str] | None, Form()] = None,
    model_ids: Annotated[list[str] | None, Form()] = None,
    parents: Annotated[list[str] | None, Form()] = None,
    parameters: Annotated[str, Form()] = "",
    seed: Annotated[int, Form()] = 0,
    model_name: Annotated[str, Form()] = "",
) -> Response:
    """Start by the form. Its boxes say all parents, so none checked means none."""
    done = hands.do(
        commands.start_task,
        task_id=task_id,
        entry_point=entry_point,
        workdir=workdir.strip() or str(Path.cwd()),
        group_ids=tuple(group_ids) if group_ids else None,
        model_ids=tuple(model_ids or ()),
        parents=tuple(parents or ()),
        parameters=_parameters(parameters),
        seed=seed,
        model_name=model_name,
    )
    return _back(done, task_id, "queued; the next free worker runs it")


@router.post("/tasks/{task_id}/cancel", include_in_schema=False)
def cancel_form(hands: Hands, task_id: str, reason: Annotated[str, Form()] = "") -> Response:
    """Cancel by the form."""
    done = hands.do(commands.cancel_task, task_id=task_id, reason=reason)
    return _back(done, task_id, "cancelled", undo=f"/tasks/{task_id}/retry")


@router.post("/tasks/{task_id}/retry", include_in_schema=False)
def retry_form(hands: Hands, task_id: str) -> Response:
    """Retry by the form."""
    return _back(hands.do(commands.retry_task, task_id=task_id), task_id, "queued again")


def _back(done: Done, task_id: str, word: str, undo: str = "") -> Response:
    return see(f"/tasks/{task_id}?min_position={done.position}", f"{task_id} is {word}", undo)


def _id_of(event: Event) -> str:
    return str(getattr(event, "task_id", ""))


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
