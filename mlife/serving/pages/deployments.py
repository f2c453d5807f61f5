"""The list of deployments, and one deployment."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.core.query import without
from mlife.serving import views
from mlife.serving.pages.shown import in_words, the_deployment
from mlife.ui import answer, page
from mlife.ui.completing import completes
from mlife.ui.doing import Hands
from mlife.ui.lists import asked, facet_links
from mlife.ui.timeline import history_of

router = APIRouter(tags=["deployments"])
completes(views.DEPLOYMENTS)
FACETS = ("state", "target", "function")


@page(router, "/deployments")
def list_deployments(
    request: Request,
    hands: Hands,
    q: str = "",
    sort: str | None = None,
    after: str | None = None,
    limit: int = 50,
) -> Response:
    """Deployments that the query asks for, the newest first, and what answers now."""
    now = hands.now
    ask = asked(request, q, views.DEPLOYMENTS, now)
    with hands.read() as read:
        found = views.deployment_page(read, ask.readable, now=now, sort=sort, after=after, limit=limit)
        facets = {name: views.deployments_by(read, name, without(ask.readable, name), now=now) for name in FACETS}
        slots = views.answering(read)
        position = read.position
    data = found.told(
        "deployments",
        (asdict(d) for d in found.items),
        position,
        answering=[asdict(s) for s in slots],
        facets={name: dict(counts) for name, counts in facets.items()},
    )
    return answer(
        request,
        "serving/deployments.html",
        data,
        q=ask.q,
        error=ask.error,
        shown=found.items,
        slots=slots,
        facet_groups=facet_links(request, ask.readable, facets, views.DEPLOYMENTS),
    )


@page(router, "/deployments/{deployment_id}")
def show_deployment(request: Request, hands: Hands, deployment_id: str) -> Response:
    """One deployment: its checklist, its life, the badcases it shipped with, and how to take it back."""
    with hands.read() as read:
        d = the_deployment(read, deployment_id)
        models = views.models_by_id(read, d.model_ids)
        verdicts = {m: views.verdict(read, m) for m in d.model_ids}
        now = [s for s in views.answering(read) if s.slot == d.slot]
        position = read.position
    return answer(
        request,
        "serving/deployment.html",
        {"deployment": asdict(d), "answering_now": now[0].deployment_id if now else None, "position": position},
        d=d,
        models=[models[m] for m in d.model_ids if m in models],
        checklist=_checklist(d, verdicts),
        life=_life(d),
        now=now[0] if now else None,
        badcases=sorted(d.badcases.items(), key=lambda b: (("failing", "unproven", "fixed").index(b[1]), b[0])),
        titles={b["badcase_id"]: b["title"] for v in verdicts.values() if v for b in v.badcases},
        history=history_of(hands, f"deployment/{deployment_id}", say=in_words),
    )


def _checklist(d: views.DeploymentView, verdicts: dict[str, views.VerdictView | None]) -> list[dict[str, Any]]:
    """What had to be so before it could answer, each with the word for how it is."""
    rows: list[dict[str, Any]] = []
    for model_id, verdict in verdicts.items():
        said = verdict.sentences[0] if verdict else "never judged: no testing task ran with it"
        rows.append({"word": verdict.word if verdict else "not judged", "says": said, "href": f"/models/{model_id}"})
    if d.overridden_by:
        says = f"{d.overridden_by} ships it all the same: {d.override_reason}"
        rows.append({"word": "override", "says": says, "href": None})
    says = f"devices report {d.version}, which no other models of {d.system} have"
    rows.append({"word": "done", "says": says, "href": None})
    if d.activated_at:
        says = f"asked which model answers, {d.target} said {d.answered_by}"
        rows.append({"word": "done", "says": says, "href": None})
    elif d.state == "failed":
        rows.append({"word": "failed", "says": d.error, "href": None})
    else:
        rows.append({"word": "waiting", "says": f"{d.target} has not taken the models yet", "href": None})
    return rows


def _life(d: views.DeploymentView) -> list[dict[str, Any]]:
    """Its stages from left to right."""

    def stage(word: str, state: str, note: str = "", href: str | None = None) -> dict[str, Any]:
        return {"word": word, "state": state, "note": note, "href": href}

    stages = [stage("created", "done", d.created_by or "")]
    if d.state == "failed":
        return [*stages, stage("failed", "wrong", "what answered before still does")]
    if d.activated_at is None:
        return [*stages, stage("active", "ahead", f"waits for {d.target}")]
    stages.append(stage("active", "now" if d.state == "active" else "done", d.answered_by or ""))
    if d.state == "rolled back":
        stages.append(stage("rolled back", "done", d.rolled_back_to or "", f"/deployments/{d.rolled_back_to}"))
    elif d.state == "replaced":
        stages.append(stage("replaced", "done"))
    return stages
