"""One task: where it stands, what it is made of, what it found, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.core.projection import Reader
from mlife.core.statistics import wilson_interval
from mlife.training import views
from mlife.training.pages.live import log_of
from mlife.training.pages.shown import as_json, live_of, names_of, the_task, tile
from mlife.training.states import Kind
from mlife.training.typed import is_class
from mlife.training.views import Comparison, Score, TaskView
from mlife.ui import Cell, Interval, answer, comparison, matrix, page, render
from mlife.ui.doing import Hands

router = APIRouter()
WRONG_SHOWN = 12
TAIL = 300
"""Lines of a finished log that the page shows."""


@router.get("/tasks/draft", include_in_schema=False)
def draft(request: Request, hands: Hands, kind: Kind = "testing") -> Response:
    """The form for a draft by hand."""
    with hands.read() as read:
        usable = [g for g in views.groups(read) if (g.purpose == "testing") == (kind == "testing")]
    return render(request, "training/draft.html", kind=kind, usable=usable[:100])


@page(router, "/tasks/{task_id}")
def show_task(request: Request, hands: Hands, task_id: str) -> Response:
    """A task with its configuration, progress, files, metrics and results."""
    with hands.read() as read:
        task = the_task(read, task_id)
        scores = views.scores_of_task(read, task_id)
        found = [_found(read, task, s) for s in scores]
        beside = _beside(read, task)
        facts = _facts(read, task)
        newer, older = views.neighbours(read, task)
        names = names_of(views.models(read, [*{s.model_id for s in scores}, *(o for _, o, _ in beside)]))
    seen = live_of(request, task)
    data = {**as_json(task, seen), "scores": [{**asdict(s), "accuracy": s.accuracy} for s in scores]}
    lines, log_end, log_live = log_of(request, hands, task)
    return answer(
        request,
        "training/task.html",
        {"task": data},
        shown=task,
        live=seen,
        found=found,
        chart=_chart(task, scores, names) if scores else None,
        names=names,
        beside=beside,
        life=_life(task),
        facts=facts,
        log_lines=lines[-TAIL:],
        log_end=log_end,
        log_live=log_live,
        before=f"/tasks/{newer}" if newer else None,
        after=f"/tasks/{older}" if older else None,
        parameters=orjson.dumps(task.parameters, option=orjson.OPT_INDENT_2).decode() if task.parameters else "",
    )


def _life(task: TaskView) -> list[dict[str, Any]]:
    """The strip: drafted, queued, running, and how it ended."""
    ended = {"done": "done", "failed": "wrong", "cancelled": "wrong"}.get(task.state, "ahead")
    place = ["draft", "queued", "running"].index(task.state) if ended == "ahead" else 3
    last = task.state if ended != "ahead" else "done"
    tries = f"attempt {task.attempt}" if task.attempt > 1 else ""
    notes = [task.drafted_by or "", task.started_by or "", tries, ""]
    words = ["drafted", "queued", "running", last]
    states = ["done" if i < place else "now" if i == place and ended == "ahead" else "ahead" for i in range(3)]
    if task.started_at is None and place == 3:
        states[2] = "ahead"  # cancelled before any worker took it
    return [
        {"word": w, "state": s, "note": n, "href": None} for w, s, n in zip(words, [*states, ended], notes, strict=True)
    ]


def _found(read: Reader, task: TaskView, score: Score) -> dict[str, Any]:
    """What a model did on a group: by class, as a matrix, and the first wrong samples."""
    key = views.set_key(task.task_id, score.model_id, score.group_id)
    confusions = views.confusions(read, key)
    if not all(is_class(c.truth) and is_class(c.label) for c in confusions):
        confusions = []  # nothing that could stand in a matrix
    labels = sorted({c.truth for c in confusions} | {c.label for c in confusions})
    here = f"/tasks/{task.task_id}/samples?model={score.model_id}&group={score.group_id}"
    cells = {
        (c.truth, c.label): Cell(0 if c.truth == c.label else c.count, f"{here}&truth={c.truth}&label={c.label}")
        for c in confusions
        if c.truth != c.label
    }
    wrong = views.samples(read, key, correct=False, limit=WRONG_SHOWN)
    return {
        "score": score,
        "by_label": views.by_label(confusions),
        "matrix": matrix(f"What was read as what: {score.group_name}", labels, labels, cells, "sample")
        if cells
        else None,
        "wrong": [tile(task, score.model_id, r) for r in wrong],
        "wrong_count": score.size - score.correct,
        "href": here,
    }


def _chart(task: TaskView, scores: list[Score], names: Mapping[str, str]) -> Any:
    results = {}
    for s in scores:
        low, high = wilson_interval(s.correct, s.size)
        href = f"/tasks/{task.task_id}/samples?model={s.model_id}&group={s.group_id}&wrong=1"
        results[s.group_name, names.get(s.model_id, s.model_id)] = Interval(s.accuracy, low, high, s.size, href)
    groups, models = dict.fromkeys(g for g, _ in results), dict.fromkeys(m for _, m in results)
    return comparison("Right on each test group", list(groups), list(models), results)


def _beside(read: Reader, task: TaskView) -> list[tuple[str, str, list[Comparison]]]:
    """Pairs of models on the same rows: those that this task tested among themselves, or each beside its parents."""
    pairs = []
    for m in task.model_ids:
        others = [o for o in task.model_ids if o != m][:1] if len(task.model_ids) > 1 else _rivals(read, m)
        pairs += [(m, o) for o in others if (o, m) not in pairs]
    return [(m, o, counted) for m, o in pairs if (counted := views.compare_models(read, m, o))]


def _rivals(read: Reader, model_id: str) -> list[str]:
    """The models that *model_id* is meant to replace, by the task that trained it."""
    (known,) = views.models(read, [model_id]) or (None,)
    trained_by = views.task(read, known.task_id) if known and known.task_id else None
    return list(trained_by.parents) if trained_by else []


def _facts(read: Reader, task: TaskView) -> dict[str, Any]:
    """What the page and its start form need to know of groups and models."""
    groups = {g.group_id: g for g in views.groups(read)}
    models = [m for m in views.models(read) if task.function in {None, m.function} or m.function is None]
    entry, workdir = views.last_start(read, task.kind, task.function)
    return {
        "groups": groups,
        "usable": [g for g in groups.values() if (g.purpose == "testing") == (task.kind == "testing")][:50],
        "models": models[:50],
        "deployed": views.deployed_models(read, task.system, task.function),
        "entry": entry,
        "workdir": workdir or "",
    }
