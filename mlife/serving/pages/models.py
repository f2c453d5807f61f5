"""The list of models, one model, its verdicts and its file."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, JSONResponse, Response

from mlife.core.errors import NotFound
from mlife.core.query import without
from mlife.serving import views
from mlife.serving.commands import LOCAL
from mlife.serving.pages.shown import (
    badcases_chart,
    in_words,
    sets_chart,
    the_model,
)
from mlife.ui import answer, page
from mlife.ui.completing import completes
from mlife.ui.doing import Hands
from mlife.ui.lists import asked, facet_links
from mlife.ui.timeline import history_of

router = APIRouter(tags=["models"])
completes(views.MODELS)
FACETS = ("gate", "function", "origin")


@page(router, "/models")
def list_models(
    request: Request,
    hands: Hands,
    q: str = "",
    sort: str | None = None,
    after: str | None = None,
    limit: int = 50,
) -> Response:
    """Models that the query asks for, the newest first, with counts by gate, function and origin."""
    now = hands.now
    ask = asked(request, q, views.MODELS, now)
    with hands.read() as read:
        found = views.model_page(read, ask.readable, now=now, sort=sort, after=after, limit=limit)
        facets = {name: views.models_by(read, name, without(ask.readable, name), now=now) for name in FACETS}
        position = read.position
    told = (asdict(m) for m in found.items)
    data = found.told("models", told, position, facets={name: dict(counts) for name, counts in facets.items()})
    return answer(
        request,
        "serving/models.html",
        data,
        q=ask.q,
        error=ask.error,
        shown=found.items,
        facet_groups=facet_links(request, ask.readable, facets, views.MODELS),
    )


@page(router, "/models/{model_id}")
def show_model(request: Request, hands: Hands, model_id: str) -> Response:
    """One model: what the gate says and why, its known badcases, where it comes from, where it answers."""
    with hands.read() as read:
        model = the_model(read, model_id)
        verdicts = views.verdicts_of(read, model_id)
        notes = views.notes_of(read, model_id)
        deployments = views.deployments_of_model(read, model_id)
        children = views.children_of(read, model_id)
        policy = views.policy_of(read, model.system, model.function)
        active = [
            s for s in views.answering(read, system=model.system) if model.system and s.function == model.function
        ]
        position = read.position
    last = verdicts[0] if verdicts else None
    known = [b for b in (last.badcases if last else ()) if b["verdict"] != "fixed" or b["broken"]]
    data = {
        "model": asdict(model),
        "verdict": asdict(last) if last else None,
        "known_badcases": known,
        "verdicts": [{"place": v.place, "passed": v.passed, "judged_at": v.judged_at} for v in verdicts],
        "notes": [asdict(n) for n in notes],
        "deployments": [d.deployment_id for d in deployments],
        "children": children,
        "position": position,
    }
    stale = last is not None and last.digests.get("policy") != policy.digest()
    return answer(
        request,
        "serving/model.html",
        data,
        m=model,
        last=last,
        stale=stale,
        passed=last is not None and last.passed and not stale,
        sets=sets_chart(last, policy) if last and last.test_sets else None,
        wrong=badcases_chart(known, policy) if known else None,
        fixed=badcases_chart([b for b in last.badcases if b not in known], policy) if last else None,
        said_of={b["badcase_id"]: b for b in last.badcases} if last else {},
        shipped=deployments,
        active=active,
        target=LOCAL,
        history=history_of(hands, f"model/{model_id}", f"verdict/{model_id}", say=in_words),
    )


@router.get("/models/{model_id}/file", include_in_schema=False)
@router.get("/api/v1/models/{model_id}/file", response_class=FileResponse)
def download_model(hands: Hands, model_id: str) -> Response:
    """The model's ONNX file."""
    with hands.read() as read:
        model = the_model(read, model_id)
    path = hands.ports.blobs.path(model.sha256)
    if path is None:
        raise NotFound(f"the file of {model_id} is not on this machine", remedy="ask the store for it")
    headers = {"Cache-Control": "private, max-age=31536000, immutable", "ETag": f'"{model.sha256}"'}
    return FileResponse(path, media_type="application/octet-stream", filename=f"{model_id}.onnx", headers=headers)


@router.get("/api/v1/verdicts")
def list_verdicts(hands: Hands, model: str | None = None, before: int | None = None, limit: int = 50) -> Response:
    """Judgements, the latest first: of one *model*, or of all before position *before*."""
    limit = max(1, min(limit, 500))
    with hands.read() as read:
        if model is not None:
            the_model(read, model)
            found = views.verdicts_of(read, model, limit)
        else:
            found = views.verdicts_before(read, before, limit)
        position = read.position
    rows: list[dict[str, Any]] = [{**asdict(v), "judged_at": v.judged_at.isoformat()} for v in found]
    older = found[-1].place if len(found) == limit else None
    return JSONResponse({"verdicts": rows, "before": older, "position": position})


@router.get("/api/v1/policies")
def list_policies(hands: Hands) -> Response:
    """Policies that were loaded; what they do not name has its built-in value."""
    with hands.read() as read:
        rows = views.policies(read)
        position = read.position
    return JSONResponse(
        {"policies": [{**r, "loaded_at": r["loaded_at"].isoformat()} for r in rows], "position": position}
    )
