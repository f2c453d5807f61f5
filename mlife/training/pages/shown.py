"""What pages of tasks share: where things are, and how a task is said in a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
from fastapi import Request

from mlife.core.errors import there_is
from mlife.core.projection import Reader
from mlife.training import views
from mlife.training.live import Live, live
from mlife.training.typed import is_class, typed, worded
from mlife.training.views import ModelFacts, Result, TaskView

FILE_PAGE, THUMBNAIL = "/files/{}", "/files/{}/thumbnail?size=96"
REPORT_FORM = "/badcases/report"
"""BAM's form; it is filled from the address."""
LONGEST_ADDRESS = 6_000
"""Characters that every server and browser takes."""


def runs_of(request: Request) -> Path:
    """Where attempts run on this machine."""
    home: Path = request.app.state.home.settings.home
    return home / "runs"


def the_task(read: Reader, task_id: str) -> TaskView:
    """
    The task.

    Raises:
        NotFound: there is none.
    """
    return there_is(views.task(read, task_id), "task", task_id)


def live_of(request: Request, task: TaskView) -> Live | None:
    """How a running task stands; None when it does not run, or on another machine."""
    return live(runs_of(request), task.task_id, task.attempt) if task.state == "running" else None


def as_json(task: TaskView, seen: Live | None = None) -> dict[str, Any]:
    """A task for programs."""
    progress = None if seen is None else {"share": seen.share, "text": seen.text, "seconds": seen.seconds}
    return {**asdict(task), "progress": progress}


def names_of(models: Sequence[ModelFacts]) -> dict[str, str]:
    """What to call each model: its name, with its id where another one is called the same."""
    same = Counter(m.name for m in models)
    return {m.model_id: m.name if same[m.name] == 1 else f"{m.name} {m.model_id}" for m in models}


@dataclass(frozen=True, slots=True)
class ReportOf:
    """
    The hyperlink between MTT and BAM: a failing sample as a badcase report that only has to be sent.

    Args:
        href: the form, filled from the address; empty where that would be too long for one.
        fields: what the form is filled with, to be posted.
        known: the reports of this file and model that there are.
    """

    href: str
    fields: Mapping[str, str]
    known: str


@dataclass(frozen=True, slots=True)
class Tile:
    """A sample in a gallery: its picture, what it is, what the model said, and where it can be reported."""

    src: str
    href: str
    alt: str
    truth: str
    label: str
    score: float | None
    correct: bool
    report: ReportOf | None


def tile(task_like: TaskView | None, model_id: str, result: Result) -> Tile:
    """*result* as a tile; the report link carries all that BAM's form asks for."""
    truth, label = worded(result.truth), worded(result.label)
    return Tile(
        src=THUMBNAIL.format(result.sha256),
        href=FILE_PAGE.format(result.sha256),
        alt=f"{truth} read as {label}",
        truth=truth,
        label=label,
        score=result.score,
        correct=result.correct,
        report=None if result.correct else report_link(task_like, model_id, result),
    )


def report_link(task: TaskView | None, model_id: str, result: Result) -> ReportOf:
    """Where a failing sample of any type is reported."""
    said: dict[str, Any] = {
        "system": task.system if task else None,
        "function": task.function if task else None,
        "version": model_id,  # a model under test has no version that devices report
        "model_id": model_id,
        "task_id": task.task_id if task else None,
        "sha256": result.sha256,
        "truth": result.truth,
        "prediction": result.label,
        "score": result.score,
    }
    if not (is_class(result.truth) and is_class(result.label)):
        prediction = typed(result.label)
        said |= {"type": prediction["type"], "prediction": _text(prediction), "truth": _text(typed(result.truth))}
        said["score"] = None  # parts have their own
    fields = {name: str(value) for name, value in said.items() if value is not None}
    href = f"{REPORT_FORM}?{urlencode(fields)}"
    known = f"/reports?{urlencode({'q': f'sha256:{result.sha256} model:{model_id}'})}"
    return ReportOf(href if len(href) <= LONGEST_ADDRESS else "", fields, known)


def _text(annotation: dict[str, Any]) -> str:
    return orjson.dumps(annotation).decode()
