"""Samples of a test, and two models on the same rows."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from mlife.core.errors import Invalid, NotFound, Refusal, no_such, shortened
from mlife.core.judgement.verdicts import shown_p
from mlife.core.projection import Reader
from mlife.core.statistics import mcnemar_exact
from mlife.training import views
from mlife.training.pages.shown import FILE_PAGE, THUMBNAIL, names_of, report_link, the_task, tile
from mlife.training.typed import worded
from mlife.training.views import Change, Comparison, ModelFacts, Result, TaskView
from mlife.ui import answer, page, with_query
from mlife.ui.doing import Hands

router = APIRouter()
TILES = 60


@page(router, "/tasks/{task_id}/samples")
def samples(
    request: Request,
    hands: Hands,
    task_id: str,
    model: str = "",
    group: str = "",
    truth: str | None = None,
    label: str | None = None,
    wrong: Annotated[bool, Query()] = False,  # noqa: FBT002 - a query parameter has a name
    after: str = "",
) -> Response:
    """Samples of one model on one group as this task tested them; by class, by answer, or only the wrong ones."""
    with hands.read() as read:
        task = the_task(read, task_id)
        scores = views.scores_of_task(read, task_id)
        score = next((s for s in scores if model in {"", s.model_id} and group in {"", s.group_id}), None)
        if score is None:
            raise NotFound(
                f"task {task_id} has no results of {model or 'any model'} on {group or 'any group'}",
                remedy=f"open /tasks/{task_id}: it lists what was tested",
            )
        key = views.set_key(task_id, score.model_id, score.group_id)
        found = views.samples(
            read, key, truth=truth, label=label, correct=False if wrong else None, after=after, limit=TILES + 1
        )
    more = found[TILES - 1].sha256 if len(found) > TILES else None
    return answer(
        request,
        "training/samples.html",
        {
            "task_id": task_id,
            "model_id": score.model_id,
            "group_id": score.group_id,
            "samples": found[:TILES],
            "after": more,
        },
        task=task,
        score=score,
        tiles=[tile(task, score.model_id, r) for r in found[:TILES]],
        asked={"truth": truth, "label": label, "wrong": wrong},
        more=with_query(request, after=more) if more else None,
    )


@page(router, "/comparisons")
def compare(
    request: Request,
    hands: Hands,
    model: str,
    other: str,
    group: str | None = None,
    state: str = "broken",
    after: str = "",
) -> Response:
    """A model beside another: per test group what it fixed, broke, still fails and keeps, and the rows in *state*."""
    if state not in views.STATES:
        refusal = Refusal(1, "state", shortened(state), "is no state of a row", ", ".join(views.STATES))
        raise Invalid("the state can't be read", refusals=(refusal,))
    place = (after.partition("/")[0], after.partition("/")[2])
    with hands.read() as read:
        known = _known(read, model, other)
        counted = views.compare_models(read, model, other)
        rows = views.changed_rows(read, model, other, state=state, group_id=group, after=place, limit=TILES + 1)
        source = known[model].task_id
        task = views.task(read, source) if source else None
    last = rows[TILES - 1] if len(rows) > TILES else None
    more = f"{last.group_id}/{last.sha256}" if last else None
    data = {
        "model_id": model,
        "other_id": other,
        "groups": [_counts(c) for c in counted],
        "state": state,
        "rows": rows[:TILES],
        "after": more,
    }
    return answer(
        request,
        "training/compare.html",
        data,
        counted=counted,
        names=names_of(list(known.values())),
        states=views.STATES,
        total={s: sum(c.count(s) for c in counted if group in {None, c.group_id}) for s in views.STATES},
        tiles=[_tile(task, model, c) for c in rows[:TILES]],
        group=group,
        p_of=lambda c: shown_p(mcnemar_exact(c.broken, c.fixed)),
        more=with_query(request, after=more) if more else None,
    )


def _known(read: Reader, *model_ids: str) -> dict[str, ModelFacts]:
    known = {m.model_id: m for m in views.models(read, model_ids)}
    for wanted in model_ids:
        if wanted not in known:
            raise no_such("model", wanted)
    return known


def _tile(task: TaskView | None, model_id: str, change: Change) -> dict[str, object]:
    right = change.state in ("fixed", "kept")
    result = Result(change.sha256, change.truth, change.label, change.score, right)
    return {
        "truth": worded(change.truth),
        "label": worded(change.label),
        "other_label": worded(change.other_label),
        "src": THUMBNAIL.format(change.sha256),
        "href": FILE_PAGE.format(change.sha256),
        "alt": f"a {worded(change.truth)}",
        "report": None if result.correct else report_link(task, model_id, result),
    }


def _counts(c: Comparison) -> dict[str, object]:
    return {
        "group_id": c.group_id,
        "name": c.group_name,
        "rows": c.size,
        "fixed": c.fixed,
        "broken": c.broken,
        "still_failing": c.still_failing,
        "kept": c.kept,
        "p_value": mcnemar_exact(c.broken, c.fixed),
    }
