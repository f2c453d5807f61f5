"""What models answered on test groups. The latest results of a model on a group count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select

from mlife.core.projection import Reader
from mlife.training.views.tables import task_group_facts, task_latest, task_results, task_scores


@dataclass(frozen=True, slots=True)
class Result:
    """One sample: what is right, what the model said, its score in [0, 1] or None, and whether that was right."""

    sha256: str
    truth: str
    label: str
    score: float | None
    correct: bool


@dataclass(frozen=True, slots=True)
class Sample(Result):
    """A result with the group that its row stands in."""

    group_id: str


@dataclass(frozen=True, slots=True)
class Score:
    """How many of *size* rows of a group a model got right, by its latest test, and which task that was."""

    model_id: str
    group_id: str
    group_name: str
    digest: str
    task_id: str
    size: int
    correct: int

    @property
    def accuracy(self) -> float:
        """The share that is right."""
        return self.correct / self.size if self.size else 0.0


@dataclass(frozen=True, slots=True)
class Confusion:
    """*count* rows of class *truth* were read as *label*."""

    truth: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class LabelScore:
    """Rows of one class: how many, how many right; *said*: how often the model answered this class at all."""

    truth: str
    size: int
    correct: int
    said: int

    @property
    def recall(self) -> float:
        """Share of the class that is found."""
        return self.correct / self.size if self.size else 0.0

    @property
    def precision(self) -> float | None:
        """Share right of what was called so; None if nothing was."""
        return self.correct / self.said if self.said else None


def results(read: Reader, model_id: str, group_id: str) -> dict[str, Result]:
    """Every sample of a group by its sha256, as *model_id* answered it in its latest test; empty if it never was."""
    asked = _columns().where(task_results.c.set_id == _latest(model_id, group_id))
    rows = read.all(asked.order_by(task_results.c.sha256))
    return {row[0]: Result(*row) for row in rows}


def tested_groups(read: Reader, model_id: str) -> list[Score]:
    """The test groups that a model was tested on, by name."""
    return accuracy(read, model_ids=[model_id])


def accuracy(
    read: Reader, *, model_ids: Sequence[str] | None = None, group_ids: Sequence[str] | None = None
) -> list[Score]:
    """Scores by (group, model), by the latest tests."""
    asked = _scores().join(task_latest, task_latest.c.set_id == task_scores.c.set_id)
    if model_ids is not None:
        asked = asked.where(task_latest.c.model_id.in_(model_ids))
    if group_ids is not None:
        asked = asked.where(task_latest.c.group_id.in_(group_ids))
    return [Score(*row) for row in read.all(asked)]


def scores_of_task(read: Reader, task_id: str) -> list[Score]:
    """Scores that one task measured, whether or not a later one measured them again."""
    return [Score(*row) for row in read.all(_scores().where(task_scores.c.task_id == task_id))]


def siblings(read: Reader, model_id: str, truth: str, label: str, *, limit: int = 10_000) -> list[Sample]:
    """Rows of any test group on which the model makes the confusion (*truth* read as *label*), by group and sha256."""
    asked = (
        _columns(task_latest.c.group_id)
        .join(task_latest, task_latest.c.set_id == task_results.c.set_id)
        .where(task_latest.c.model_id == model_id, task_results.c.truth == truth, task_results.c.label == label)
        .order_by(task_latest.c.group_id, task_results.c.sha256)
        .limit(limit)
    )
    return [Sample(*row) for row in read.all(asked)]


def confusions(read: Reader, set_id: int) -> list[Confusion]:
    """How often each class was read as each other (or as itself), the most frequent first."""
    count = func.count()
    asked = (
        select(task_results.c.truth, task_results.c.label, count)
        .where(task_results.c.set_id == set_id)
        .group_by(task_results.c.truth, task_results.c.label)
        .order_by(count.desc(), task_results.c.truth, task_results.c.label)
    )
    return [Confusion(*row) for row in read.all(asked)]


def by_label(found: Sequence[Confusion]) -> list[LabelScore]:
    """Confusions summed up by class, in the order of the labels."""
    labels = sorted({c.truth for c in found} | {c.label for c in found})
    return [
        LabelScore(
            truth,
            sum(c.count for c in found if c.truth == truth),
            sum(c.count for c in found if c.truth == c.label == truth),
            sum(c.count for c in found if c.label == truth),
        )
        for truth in labels
    ]


def samples(
    read: Reader,
    set_id: int,
    *,
    truth: str | None = None,
    label: str | None = None,
    correct: bool | None = None,
    after: str = "",
    limit: int = 60,
) -> list[Result]:
    """Rows of one test by sha256, after *after*; those of a class, answer or correctness if asked."""
    asked = _columns().where(task_results.c.set_id == set_id, task_results.c.sha256 > after)
    if truth is not None:
        asked = asked.where(task_results.c.truth == truth)
    if label is not None:
        asked = asked.where(task_results.c.label == label)
    if correct is not None:
        asked = asked.where(task_results.c.correct == correct)
    return [Result(*row) for row in read.all(asked.order_by(task_results.c.sha256).limit(limit))]


def _latest(model_id: str, group_id: str) -> Any:
    return (
        select(task_latest.c.set_id)
        .where(task_latest.c.model_id == model_id, task_latest.c.group_id == group_id)
        .scalar_subquery()
    )


def _columns(*more: Any) -> Select[Any]:
    return select(*(task_results.c[name] for name in Result.__slots__), *more)


def _scores() -> Select[Any]:
    return (
        select(
            task_scores.c.model_id,
            task_scores.c.group_id,
            func.coalesce(task_group_facts.c.name, task_scores.c.group_id),
            func.coalesce(task_group_facts.c.digest, ""),
            task_scores.c.task_id,
            task_scores.c.size,
            task_scores.c.correct,
        )
        .select_from(task_scores)
        .join(task_group_facts, task_group_facts.c.group_id == task_scores.c.group_id, isouter=True)
        .order_by(func.coalesce(task_group_facts.c.name, ""), task_scores.c.group_id, task_scores.c.model_id)
    )
