"""Two models on the same rows: what one fixed, broke, still fails and keeps. All of it is counted by the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, case, func, select

from mlife.core.projection import Reader
from mlife.training.views.tables import task_group_facts, task_latest, task_results

STATES = ("broken", "still failing", "fixed", "kept")
"""Of a row, what is wrong now first."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a model does on the *size* rows of one group beside another model."""

    group_id: str
    group_name: str
    size: int
    fixed: int
    broken: int
    still_failing: int
    kept: int

    @property
    def correct(self) -> int:
        """Rows that the model gets right."""
        return self.fixed + self.kept

    @property
    def other_correct(self) -> int:
        """Rows that the other model gets right."""
        return self.broken + self.kept

    def count(self, state: str) -> int:
        """Rows in *state*, one of `STATES`."""
        return int(getattr(self, state.replace(" ", "_")))


@dataclass(frozen=True, slots=True)
class Change:
    """One row under both models."""

    group_id: str
    sha256: str
    truth: str
    label: str
    score: float | None
    other_label: str
    other_score: float | None
    state: str


_mine = task_results.alias("mine")
_others = task_results.alias("others")
_my_set = task_latest.alias("my_set")
_other_set = task_latest.alias("other_set")
_state = case(
    (and_(_mine.c.correct, _others.c.correct), "kept"),
    (_mine.c.correct, "fixed"),
    (_others.c.correct, "broken"),
    else_="still failing",
)


def compare_models(read: Reader, model_id: str, other_id: str) -> list[Comparison]:
    """Counts for each group that both were tested on, by name of the group."""
    name = func.coalesce(task_group_facts.c.name, _my_set.c.group_id)
    counts = [func.sum(case((_state == word, 1), else_=0)) for word in ("fixed", "broken", "still failing", "kept")]
    asked = (
        _joined(select(_my_set.c.group_id, name, func.count(), *counts), model_id, other_id)
        .join(task_group_facts, task_group_facts.c.group_id == _my_set.c.group_id, isouter=True)
        .group_by(_my_set.c.group_id, name)
        .order_by(name, _my_set.c.group_id)
    )
    return [Comparison(*row) for row in read.all(asked)]


def changed_rows(
    read: Reader,
    model_id: str,
    other_id: str,
    *,
    state: str,
    group_id: str | None = None,
    after: tuple[str, str] = ("", ""),
    limit: int = 60,
) -> list[Change]:
    """Rows in *state*, by (group, sha256), after the row *after*."""
    asked = _joined(
        select(
            _my_set.c.group_id,
            _mine.c.sha256,
            _mine.c.truth,
            _mine.c.label,
            _mine.c.score,
            _others.c.label,
            _others.c.score,
            _state,
        ),
        model_id,
        other_id,
    ).where(_state == state)
    if group_id is not None:
        asked = asked.where(_my_set.c.group_id == group_id)
    later = (_my_set.c.group_id > after[0]) | and_(_my_set.c.group_id == after[0], _mine.c.sha256 > after[1])
    rows = read.all(asked.where(later).order_by(_my_set.c.group_id, _mine.c.sha256).limit(limit))
    return [Change(*row) for row in rows]


def _joined(asked: Select[Any], model_id: str, other_id: str) -> Select[Any]:
    """Latest results of one model beside those of the other, row by row."""
    return (
        asked.select_from(_my_set)
        .join(_other_set, and_(_other_set.c.group_id == _my_set.c.group_id, _other_set.c.model_id == other_id))
        .join(_mine, _mine.c.set_id == _my_set.c.set_id)
        .join(_others, and_(_others.c.set_id == _other_set.c.set_id, _others.c.sha256 == _mine.c.sha256))
        .where(_my_set.c.model_id == model_id)
    )
