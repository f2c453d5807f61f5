"""What people and programs do to models and deployments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, File, Form, UploadFile
from starlette.responses import JSONResponse, Response

from mlife.core.command import Done, check_input
from mlife.core.errors import Invalid, NotFound, Refusal, shortened
from mlife.serving.commands import (
    LOCAL,
    add_model,
    adopted_id,
    annotate_deployment,
    ask_judgement,
    create_deployment,
    load_policy,
    note_model,
    roll_back,
)
from mlife.serving.events import DeploymentCreated
from mlife.ui import see
from mlife.ui.doing import Doing, Hands

router = APIRouter()
Text = Annotated[str, Form()]
JsonBody = Annotated[dict[str, Any], Body()]
LARGEST_MODEL = 2_000_000_000


# ── models ───────────────────────────────────────────────────────────────────────────────────────


@router.post("/api/v1/models", tags=["models"])
def adopt_model(
    hands: Hands,
    file: Annotated[UploadFile, File()],
    name: Text = "",
    system: Text = "",
    function: Text = "",
    parents: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI copies defaults
    metrics: Text = "",
    note: Text = "",
) -> Response:
    """Adopt a model that was made elsewhere: an ONNX file with its name, function, parents and metrics."""
    done, model_id = _adopt(hands, file, name, system, function, parents, metrics, note)
    return JSONResponse({"position": done.position, "model_id": model_id, "known": not done.events or done.known})


@router.post("/models", include_in_schema=False)
def adopt_model_form(
    hands: Hands,
    file: Annotated[UploadFile, File()],
    name: Text = "",
    system: Text = "",
    function: Text = "",
    parents: Text = "",
    metrics: Text = "",
    note: Text = "",
) -> Response:
    """The same from a page."""
    done, model_id = _adopt(hands, file, name, system, function, parents.replace(",", " ").split(), metrics, note)
    said = f"{model_id} was adopted" if done.events else f"this file is {model_id} already"
    return see(f"/models/{model_id}?min_position={done.position}", said)


def _adopt(
    hands: Doing, file: UploadFile, name: str, system: str, function: str, parents: list[str], metrics: str, note: str
) -> tuple[Done, str]:
    stored = hands.ports.blobs.put(file.file, limit=LARGEST_MODEL)
    path = hands.ports.blobs.path(stored.sha256)
    if path is None:
        raise NotFound("the file store has no local files", remedy="adopt the model by the command line")
    hands.ports.models.check(path)
    done = hands.do(
        add_model,
        sha256=stored.sha256,
        size=stored.size,
        name=name or Path(file.filename or "model").stem,
        system=system or None,
        function=function or None,
        metrics=pairs_of("metrics", metrics),
        parents=tuple(parents),
        note=note,
    )
    return done, adopted_id(stored.sha256, system or None, function or None)


@router.post("/api/v1/models/{model_id}/notes", tags=["models"])
def note(hands: Hands, model_id: str, body: JsonBody) -> Response:
    """Write a note: `{"note": "…"}`."""
    return _done(hands.edit(f"model/{model_id}", note_model, **_checked(note_model, body, model_id=model_id)))


@router.post("/models/{model_id}/notes", include_in_schema=False)
def note_form(hands: Hands, model_id: str, note: Text = "") -> Response:
    """The same from a page."""
    done = hands.do(note_model, model_id=model_id, note=note)
    return see(f"/models/{model_id}?min_position={done.position}", "the note is kept")


@router.post("/api/v1/models/{model_id}/judge", tags=["models"])
def judge(hands: Hands, model_id: str, body: Annotated[dict[str, Any] | None, Body()] = None) -> Response:
    """Ask for the gate's word again; the verdict follows as an event, if it says anything new."""
    return _done(hands.do(ask_judgement, **_checked(ask_judgement, body or {}, model_id=model_id)))


@router.post("/models/{model_id}/judge", include_in_schema=False)
def judge_form(hands: Hands, model_id: str, reason: Text = "") -> Response:
    """The same from a page."""
    done = hands.do(ask_judgement, model_id=model_id, reason=reason)
    return see(f"/models/{model_id}?min_position={done.position}", "the gate looks at it again")


@router.post("/api/v1/policies", tags=["models"])
def use_policy(hands: Hands, body: JsonBody) -> Response:
    """Load a policy: `{"function": "dms/emotion", "policy": {"largest_loss": 0.01}}`."""
    return _done(hands.do(load_policy, **_checked(load_policy, body)))


# ── deployments ──────────────────────────────────────────────────────────────────────────────────


@router.post("/api/v1/deployments", tags=["deployments"])
def deploy(hands: Hands, body: JsonBody) -> Response:
    """
    Ship models: system, model_ids, version; optional function, target, metrics, override `{"by", "reason"}`.

    Refused with 409 and the gate's sentences if a model has no passed verdict and there is no override.
    """
    done = hands.do(create_deployment, **_checked(create_deployment, body))
    return _done(done, deployment_id=done.first(DeploymentCreated).deployment_id)


@router.post("/deployments", include_in_schema=False)
def deploy_form(
    hands: Hands,
    system: Text = "",
    function: Text = "",
    model_ids: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI copies defaults
    version: Text = "",
    target: Text = LOCAL,
    metrics: Text = "",
    override_by: Text = "",
    override_reason: Text = "",
) -> Response:
    """The same from a page."""
    signed = {"by": override_by, "reason": override_reason} if override_by or override_reason else None
    done = hands.do(
        create_deployment,
        system=system,
        function=function or None,
        model_ids=tuple(m for given in model_ids for m in given.replace(",", " ").split()),
        version=version,
        target=target or LOCAL,
        metrics=pairs_of("metrics", metrics),
        override=signed,
    )
    deployment_id = done.first(DeploymentCreated).deployment_id
    return see(f"/deployments/{deployment_id}?min_position={done.position}", f"{deployment_id} is created")


@router.post("/api/v1/deployments/{deployment_id}/rollback", tags=["deployments"])
def take_back(hands: Hands, deployment_id: str, body: JsonBody) -> Response:
    """Take it back: `{"reason": "…"}`; what answered before it is activated again."""
    checked = _checked(roll_back, body, deployment_id=deployment_id)
    return _done(hands.edit(f"deployment/{deployment_id}", roll_back, **checked), deployment_id=deployment_id)


@router.post("/deployments/{deployment_id}/rollback", include_in_schema=False)
def take_back_form(hands: Hands, deployment_id: str, reason: Text = "") -> Response:
    """The same from a page."""
    done = hands.do(roll_back, deployment_id=deployment_id, reason=reason)
    return see(f"/deployments/{deployment_id}?min_position={done.position}", f"{deployment_id} is rolled back")


@router.post("/api/v1/deployments/{deployment_id}/annotate", tags=["deployments"])
def annotate(hands: Hands, deployment_id: str, body: JsonBody) -> Response:
    """Change columns, attach badcases, write a note: `{"metrics": {"client": "fleet-7"}, "badcase_ids": ["bc-…"]}`."""
    checked = _checked(annotate_deployment, body, deployment_id=deployment_id)
    return _done(hands.edit(f"deployment/{deployment_id}", annotate_deployment, **checked), deployment_id=deployment_id)


@router.post("/deployments/{deployment_id}/annotate", include_in_schema=False)
def annotate_form(
    hands: Hands, deployment_id: str, metrics: Text = "", badcase_ids: Text = "", note: Text = ""
) -> Response:
    """The same from a page."""
    done = hands.do(
        annotate_deployment,
        deployment_id=deployment_id,
        metrics=pairs_of("metrics", metrics),
        badcase_ids=tuple(badcase_ids.replace(",", " ").split()),
        note=note,
    )
    return see(f"/deployments/{deployment_id}?min_position={done.position}", "kept")


# ── what they share ──────────────────────────────────────────────────────────────────────────────


def pairs_of(field: str, text: str) -> dict[str, Any]:
    """
    Columns as people write them, `name=value` a line, or as one JSON object. An empty value takes a column away.

    Raises:
        Invalid: with each line that is no such thing.
    """
    if text.lstrip().startswith("{"):
        try:
            said = orjson.loads(text)
        except orjson.JSONDecodeError as e:
            refusal = Refusal(1, field, shortened(text), str(e), "one JSON object")
            raise Invalid(f"{field} can't be read", refusals=(refusal,)) from e
        return dict(said) if isinstance(said, Mapping) else {}
    found: dict[str, Any] = {}
    refusals = []
    for number, line in enumerate(text.splitlines(), 1):
        name, mark, value = line.partition("=")
        if mark and name.strip():
            found[name.strip()] = _value(value.strip())
        elif line.strip():
            refusals.append(Refusal(number, field, shortened(line), "has no =", "name=value"))
    if refusals:
        raise Invalid(f"{field} can't be read", refusals=tuple(refusals))
    return found


def _value(text: str) -> Any:
    """A number where it is one, None where there is nothing, else the text."""
    if not text:
        return None
    try:
        number = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return number if isinstance(number, int | float) else text


def _checked(command: Any, body: Mapping[str, Any], **fixed: Any) -> dict[str, Any]:
    """The body as the command's input; what the address says can't be said otherwise in the body."""
    return check_input(command, {**body, **fixed})


def _done(done: Done, **ids: str) -> Response:
    return JSONResponse({"position": done.position, **ids})
