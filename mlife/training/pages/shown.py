"""What pages of tasks share: where things are, and how a task is said in a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request

from mlife.core.errors import there_is
from mlife.core.projection import Reader
from mlife.training import views
from mlife.training.live import Live, live
from mlife.training.views import ModelFacts, Result, TaskView

FILE_PAGE, THUMBNAIL = "/files/{}", "/files/{}/thumbnail?size=96"
REPORT_FORM = "/badcases/report"
"""BAM's form; it is filled from the address."""


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
class Tile:
    """A sample in a gallery: its picture, what it is, what the model said, and where it can be reported."""

    src: str
    href: str
    alt: str
    truth: str
    label: str
    score: float | None
    correct: bool
    report: str


def tile(task_like: TaskView | None, model_id: str, result: Result) -> Tile:
    """*result* as a tile; the report link carries all that BAM's form asks for."""
    return Tile(
        src=THUMBNAIL.format(result.sha256),
        href=FILE_PAGE.format(result.sha256),
        alt=f"{result.truth} read as {result.label}",
        truth=result.truth,
        label=result.label,
        score=result.score,
        correct=result.correct,
        report="" if result.correct else report_link(task_like, model_id, result),
    )


def report_link(task: TaskView | None, model_id: str, result: Result) -> str:
    """The hyperlink between MTT and BAM: a failing sample as a badcase report that only has to be sent."""
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
    return f"{REPORT_FORM}?{urlencode({k: v for k, v in said.items() if v is not None})}"
