"""Answers of the active models: the Open Inference Protocol under `/v2`, and one picture at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from mlife import __version__
from mlife.core.errors import Invalid, MLifeError
from mlife.core.handler import Ports
from mlife.core.ports import Answering
from mlife.serving import views
from mlife.serving.answering import asked_for
from mlife.serving.commands import LOCAL
from mlife.serving.open_inference import OUTPUTS, read_ask, write_answer
from mlife.ui.doing import Hands

router = APIRouter(tags=["inference"])
LARGEST_BODY = 64_000_000


class TooLarge(Invalid):
    """A request above the size limit."""

    status = 413
    title = "Request too large"


def as_protocol(answer: Callable[..., Any]) -> Callable[..., Any]:
    """Errors in the protocol's own form: `{"error": "…"}` with the status that they have everywhere."""

    @wraps(answer)
    async def answered(*args: Any, **given: Any) -> Response:
        try:
            return await answer(*args, **given)  # type: ignore[no-any-return]
        except MLifeError as e:
            return JSONResponse({"error": str(e)}, e.status)

    return answered


@router.get("/v2")
def server() -> dict[str, Any]:
    """What this server is."""
    return {"name": "mlife", "version": __version__, "extensions": ["binary_tensor_data"]}


@router.get("/v2/health/live")
def live() -> dict[str, bool]:
    """The process answers."""
    return {"live": True}


@router.get("/v2/health/ready")
def ready(hands: Hands) -> Response:
    """Every deployment that is active on this target answers."""
    with hands.read() as read:
        names = [model for slot in views.answering(read, target=LOCAL) for model in slot.model_ids]
    dumb = [name for name in names if _answers(hands.ports, name) is None]
    return JSONResponse({"ready": not dumb, "not_ready": dumb}, 503 if dumb else 200)


def _answers(ports: Ports, name: str) -> Answering | None:
    try:
        return asked_for(ports, name)
    except MLifeError:
        return None  # asked for yes or no; the model's own address says why


@router.get("/v2/models/{model}/versions/{version}")
@router.get("/v2/models/{model}")
@as_protocol
async def metadata(hands: Hands, model: str, version: str | None = None) -> Response:
    """What a model reads and answers; `{model}` is `<system>.<function>` or the Model ID of an active one."""
    a = await run_in_threadpool(_of_version, hands.ports, model, version)
    reads = {"name": a.predictor.input_name, "datatype": "FP32", "shape": [n or -1 for n in a.predictor.shape]}
    pictures = {"name": "picture", "datatype": "BYTES", "shape": [-1]}
    said = {
        "name": a.name,
        "versions": [a.model_id],
        "platform": "onnx",
        "inputs": [pictures, reads] if a.predictor.reads_pictures else [reads],
        "outputs": [
            {"name": name, "datatype": kind, "shape": [-1]}
            for name, kind in zip(OUTPUTS, ("BYTES", "FP32"), strict=True)
        ],
        "parameters": {"deployment_id": a.deployment_id, "version": a.version, "sha256": a.sha256},
    }
    return JSONResponse(said)


@router.get("/v2/models/{model}/versions/{version}/ready")
@router.get("/v2/models/{model}/ready")
@as_protocol
async def model_ready(hands: Hands, model: str, version: str | None = None) -> Response:
    """The model answers."""
    a = await run_in_threadpool(_of_version, hands.ports, model, version)
    return JSONResponse({"name": a.name, "ready": True})


@router.post("/v2/models/{model}/versions/{version}/infer")
@router.post("/v2/models/{model}/infer")
@as_protocol
async def infer(request: Request, hands: Hands, model: str, version: str | None = None) -> Response:
    """Answer for one row or many; `model_version` in the answer is the Model ID that gave it."""
    told = request.headers.get("inference-header-content-length")
    if told is not None and not (told.isdecimal() and len(told) < 12):
        raise Invalid(
            f"Inference-Header-Content-Length is {told[:80]!r}", remedy="give the length of the JSON in bytes"
        )
    body = await _body(request)

    def work() -> tuple[bytes, int | None]:
        a = _of_version(hands.ports, model, version)
        ask = read_ask(body, int(told) if told is not None else None)
        predictor = a.predictor
        said = predictor.predict_files(ask.pictures) if ask.pictures is not None else predictor.predict(ask.batch)
        return write_answer(ask, said, a.name, a.model_id)

    content, head = await run_in_threadpool(work)
    if head is None:
        return Response(content, media_type="application/json")
    return Response(
        content, media_type="application/octet-stream", headers={"Inference-Header-Content-Length": str(head)}
    )


@router.post("/api/v1/predict/{system}/{function}")
async def predict(request: Request, hands: Hands, system: str, function: str) -> Response:
    """What the active model says about one picture, the request's body: label, score, and who answered."""
    body = await _body(request)

    def work() -> dict[str, Any]:
        a = asked_for(hands.ports, f"{system}.{function}")
        (said,) = a.predictor.predict_files([body])
        who = {"model_id": a.model_id, "deployment_id": a.deployment_id, "version": a.version}
        return {"label": said["label"], "score": said["score"], **who}

    return JSONResponse(await run_in_threadpool(work))


def _of_version(ports: Ports, model: str, version: str | None) -> Answering:
    """What answers to *model*; it must be *version* (a Model ID, or what devices report) if one is asked for."""
    a = asked_for(ports, model)
    if version is not None and version not in (a.model_id, a.version):
        raise Invalid(
            f"{model} is {a.model_id} (version {a.version}) now, not {version}", remedy=f"ask for {a.model_id}"
        )
    return a


async def _body(request: Request) -> bytes:
    """The body, as long as it is not too large; a client that lies about the length is found out on the way."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST_BODY:
            raise TooLarge(f"the request has more than {LARGEST_BODY:,} bytes", remedy="send fewer rows at a time")
        parts.append(part)
    return b"".join(parts)
