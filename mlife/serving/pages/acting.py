"""What people and programs do to models and deployments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, File, Form, Request, UploadFile
from starlette.responses import Response

from mlife.core.command import check_input
from mlife.core.errors import Invalid, NotFound, Refusal, shortened
from mlife.serving.commands import (
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
from mlife.ui.doing import Hands, answered
from mlife.ui.said import Said, is_form, listed

router = APIRouter()
Text = Annotated[str, Form()]
LARGEST_MODEL = 2_000_000_000


# ── models ───────────────────────────────────────────────────────────────────────────────────────


@router.post("/api/v1/models", tags=["models"])
@router.post("/models", include_in_schema=False)
def adopt_model(
    request: Request,
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
        parents=ids_of(parents),
        note=note,
    )
    model_id = adopted_id(stored.sha256, system or None, function or None)
    words = f"{model_id} was adopted" if done.events else f"this file is {model_id} already"
    known = not done.events or done.known
    return answered(request, done, f"/models/{model_id}", words, model_id=model_id, known=known)


@router.post("/api/v1/models/{model_id}/notes", tags=["models"])
@router.post("/models/{model_id}/notes", include_in_schema=False)
def note(request: Request, hands: Hands, model_id: str, said: Said) -> Response:
    """Write a note: `{"note": "…"}`."""
    done = hands.edit(f"model/{model_id}", note_model, **_checked(note_model, said, model_id=model_id))
    return answered(request, done, f"/models/{model_id}", "the note is kept")


@router.post("/api/v1/models/{model_id}/judge", tags=["models"])
@router.post("/models/{model_id}/judge", include_in_schema=False)
def judge(request: Request, hands: Hands, model_id: str, said: Said) -> Response:
    """Ask for the gate's word again; the verdict follows as an event, if it says anything new."""
    done = hands.do(ask_judgement, **_checked(ask_judgement, said, model_id=model_id))
    return answered(request, done, f"/models/{model_id}", "the gate looks at it again")


@router.post("/api/v1/policies", tags=["models"])
def use_policy(request: Request, hands: Hands, said: Said) -> Response:
    """Load a policy: `{"function": "dms/emotion", "policy": {"largest_loss": 0.01}}`."""
    return answered(request, hands.do(load_policy, **_checked(load_policy, said)), "/models", "the policy is in force")


# ── deployments ──────────────────────────────────────────────────────────────────────────────────


@router.post("/api/v1/deployments", tags=["deployments"])
@router.post("/deployments", include_in_schema=False)
def deploy(request: Request, hands: Hands, said: Said) -> Response:
    """
    Ship models: system, model_ids, version; optional function, target, metrics, override `{"by", "reason"}`.

    Refused with 409 and the gate's sentences if a model has no passed verdict and there is no override.
    """
    given = _from_form(said) if is_form(request) else said
    done = hands.do(create_deployment, **_checked(create_deployment, given))
    deployment_id = done.first(DeploymentCreated).deployment_id
    words = f"{deployment_id} is created"
    return answered(request, done, f"/deployments/{deployment_id}", words, deployment_id=deployment_id)


@router.post("/api/v1/deployments/{deployment_id}/rollback", tags=["deployments"])
@router.post("/deployments/{deployment_id}/rollback", include_in_schema=False)
def take_back(request: Request, hands: Hands, deployment_id: str, said: Said) -> Response:
    """Take it back: `{"reason": "…"}`; what answered before it is activated again."""
    checked = _checked(roll_back, said, deployment_id=deployment_id)
    done = hands.edit(f"deployment/{deployment_id}", roll_back, **checked)
    words = f"{deployment_id} is rolled back"
    return answered(request, done, f"/deployments/{deployment_id}", words, deployment_id=deployment_id)


@router.post("/api/v1/deployments/{deployment_id}/annotate", tags=["deployments"])
@router.post("/deployments/{deployment_id}/annotate", include_in_schema=False)
def annotate(request: Request, hands: Hands, deployment_id: str, said: Said) -> Response:
    """Change columns, attach badcases, write a note: `{"metrics": {"client": "fleet-7"}, "badcase_ids": ["bc-…"]}`."""
    given = _from_form(said) if is_form(request) else said
    checked = _checked(annotate_deployment, given, deployment_id=deployment_id)
    done = hands.edit(f"deployment/{deployment_id}", annotate_deployment, **checked)
    return answered(request, done, f"/deployments/{deployment_id}", "kept", deployment_id=deployment_id)


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


def _from_form(said: Mapping[str, Any]) -> dict[str, Any]:
    """What a form says, as a program would: columns came in lines, ids in words, an override in two fields."""
    given = {k: v for k, v in said.items() if not k.startswith("override_")}
    signed = {name: str(said.get(f"override_{name}", "")) for name in ("by", "reason")}
    if any(signed.values()):
        given["override"] = signed
    if "metrics" in given:
        given["metrics"] = pairs_of("metrics", str(given["metrics"]))
    return given | {k: ids_of(listed(given[k])) for k in ("model_ids", "badcase_ids") if k in given}


def ids_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Ids as people write them: several in a text, with commas or blanks between."""
    return tuple(i for text in texts for i in text.replace(",", " ").split())
