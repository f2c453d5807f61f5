"""Questions about models and their verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from mlife.core.judgement import Policy
from mlife.core.projection import Reader
from mlife.core.query import (
    Field,
    Listing,
    Searchable,
    compile_query,
    contains_text,
    counts_by,
    page,
    parse,
    read_page,
)
from mlife.core.tables import AnyRow
from mlife.serving.states import DEFAULT_POLICY
from mlife.serving.views import tables as t

GATE_WORDS = ("passed", "refused", "not judged")
KNOWN_WORDS = ("failing", "unproven")


@dataclass(frozen=True, slots=True)
class ModelView:
    """
    A model as lists and pages show it.

    Args:
        origin: `trained` or `adopted`. gate: `passed`, `refused` or `not judged`, by its latest verdict.
        fixed, failing, unproven, broken: counts of badcases in that verdict.
        active_in: deployments that answer with it now.
    """

    model_id: str
    place: int
    made_at: datetime
    name: str
    system: str | None
    function: str | None
    origin: str
    task_id: str | None
    sha256: str
    size: int
    metrics: dict[str, Any]
    parents: tuple[str, ...]
    digests: dict[str, str]
    iteration_id: str | None
    made_by: str | None
    gate: str
    judged_at: datetime | None
    judged_place: int | None
    opponent_id: str | None
    fixed: int
    failing: int
    unproven: int
    broken: int
    active_in: tuple[str, ...] = ()

    @property
    def judged_badcases(self) -> int:
        """How many badcases its verdict speaks of."""
        return self.fixed + self.failing + self.unproven


@dataclass(frozen=True, slots=True)
class NoteView:
    """A note on a model."""

    place: int
    note: str
    noted_at: datetime
    noted_by: str | None


@dataclass(frozen=True, slots=True)
class VerdictView:
    """One judgement; the fields are those of `ModelJudged`, `place` its position."""

    place: int
    model_id: str
    judged_at: datetime
    system: str | None
    function: str | None
    opponent_id: str | None
    passed: bool
    sentences: tuple[str, ...]
    test_sets: tuple[dict[str, Any], ...]
    badcases: tuple[dict[str, Any], ...]
    digests: dict[str, str]
    seen_at: int
    iteration_id: str | None

    @property
    def word(self) -> str:
        """The gate's word."""
        return "passed" if self.passed else "refused"

    def with_word(self, word: str) -> list[dict[str, Any]]:
        """Its badcases that are `fixed`, `failing`, `unproven` or `broken`."""
        return [b for b in self.badcases if (b["broken"] if word == "broken" else b["verdict"] == word)]


def _active(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Models of a deployment that answers now and fits *condition*."""
    answering = (
        select(t.deployed.c.model_id)
        .join(t.slots, t.slots.c.deployment_id == t.deployed.c.deployment_id)
        .where(condition)
    )
    return t.models.c.model_id.in_(answering)


def _about(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Models whose verdict has a badcase that fits *condition*."""
    return t.models.c.model_id.in_(select(t.known.c.model_id).where(condition))


def _failing(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return _about(condition & t.known.c.verdict.in_(KNOWN_WORDS))


MODELS = Searchable(
    name="models",
    key=t.models.c.model_id,
    fields=(
        Field("id", t.models.c.model_id, "text", "The Model ID.", aliases=("model",)),
        Field("name", t.models.c.name, "text", "What the model is called."),
        Field("system", t.models.c.system, "text", "The system it was made for."),
        Field("function", t.models.c.function, "text", "The function it was made for."),
        Field("gate", t.models.c.gate, "choice", "The gate's last word.", choices=GATE_WORDS),
        Field("origin", t.models.c.origin, "choice", "Where it comes from.", choices=("trained", "adopted")),
        Field("target", t.slots.c.target, "text", "A target where it answers now.", via=_active),
        Field("badcase", t.known.c.badcase_id, "text", "A badcase that its verdict speaks of.", via=_about),
        Field("fails", t.known.c.badcase_id, "text", "A badcase that it does not fix.", via=_failing),
        Field("task", t.models.c.task_id, "text", "The task that trained it."),
        Field("iteration", t.models.c.iteration_id, "text", "The iteration it belongs to."),
        Field("sha256", t.models.c.sha256, "text", "Digest of its file."),
        Field("size", t.models.c.size, "number", "Bytes of its file."),
        Field("fixed", t.models.c.fixed, "number", "Badcases that it fixes."),
        Field("broken", t.models.c.broken, "number", "Badcases that it breaks."),
        Field("made", t.models.c.made_at, "date", "When it was trained or adopted."),
        Field("place", t.models.c.place, "number", "Position of the event that made it."),
    ),
    text=contains_text(t.models.c.model_id, t.models.c.name, t.models.c.function),
    default_sort="-place",
)


def model_page(
    read: Reader, q: str, *, now: datetime, sort: str | None = None, after: str | None = None, limit: int = 50
) -> Listing[ModelView]:
    """A page of the models that *q* finds, newest first unless *sort* says otherwise."""
    asked = page(select(*t.models.c), MODELS, q, now=now, sort=sort, after=after, limit=limit)
    return read_page(read, asked, lambda rows: _models(read, rows), among=t.models)


def count_models(read: Reader) -> int:
    """How many models there are."""
    return int(read.value(select(func.count()).select_from(t.models)))


def models_by(read: Reader, what: str, q: str, *, now: datetime) -> list[tuple[str, int]]:
    """Counts of the models that *q* finds by `gate`, `function` or `origin`, the most first."""
    return counts_by(read, t.models.c[what], compile_query(parse(q), MODELS, now))


def model(read: Reader, model_id: str) -> ModelView | None:
    """One model."""
    found = _models(read, read.all(select(*t.models.c).where(t.models.c.model_id == model_id)))
    return found[0] if found else None


def models_by_id(read: Reader, model_ids: Sequence[str]) -> dict[str, ModelView]:
    """Those of *model_ids* that exist."""
    rows = read.all(select(*t.models.c).where(t.models.c.model_id.in_(model_ids)).order_by(t.models.c.place))
    return {m.model_id: m for m in _models(read, rows)}


def parents_of(read: Reader, system: str | None, function: str | None) -> dict[str, tuple[str, ...]]:
    """Model → the models that it is meant to replace, for all models of a function."""
    m = t.models.c
    asked = select(m.model_id, m.parents).where(m.system.is_not_distinct_from(system))
    rows = read.all(asked.where(m.function.is_not_distinct_from(function)).order_by(m.place))
    return {model_id: tuple(parents) for model_id, parents in rows}


def children_of(read: Reader, model_id: str) -> list[str]:
    """Models that name this one among their parents, oldest first."""
    m = t.models.c
    found = read.all(select(m.system, m.function).where(m.model_id == model_id))
    if not found:
        return []
    mine = found[0]
    asked = select(m.model_id, m.parents).where(m.system.is_not_distinct_from(mine[0]))
    rows = read.all(asked.where(m.function.is_not_distinct_from(mine[1])).order_by(m.place))
    return [child for child, parents in rows if model_id in parents]


def notes_of(read: Reader, model_id: str) -> list[NoteView]:
    """The notes on a model, oldest first."""
    n = t.notes.c
    rows = read.all(
        select(n.place, n.note, n.noted_at, n.noted_by).where(n.model_id == model_id).order_by(n.place).limit(500)
    )
    return [NoteView(*row) for row in rows]


def verdicts_of(read: Reader, model_id: str, limit: int = 50) -> list[VerdictView]:
    """The judgements of a model, the latest first."""
    v = t.verdicts
    rows = read.all(select(*v.c).where(v.c.model_id == model_id).order_by(v.c.place.desc()).limit(limit))
    return [_verdict(row) for row in rows]


def verdicts_before(read: Reader, before: int | None, limit: int = 50) -> list[VerdictView]:
    """Judgements of all models, the latest first, before position *before*."""
    asked = select(*t.verdicts.c).order_by(t.verdicts.c.place.desc()).limit(limit)
    rows = read.all(asked if before is None else asked.where(t.verdicts.c.place < before))
    return [_verdict(row) for row in rows]


def verdict(read: Reader, model_id: str, *, before: int | None = None) -> VerdictView | None:
    """The latest judgement of a model (before position *before*); None if there is none."""
    v = t.verdicts
    asked = select(*v.c).where(v.c.model_id == model_id).order_by(v.c.place.desc()).limit(1)
    rows = read.all(asked if before is None else asked.where(v.c.place < before))
    return _verdict(rows[0]) if rows else None


def passed_models(read: Reader, system: str | None, function: str | None, *, before: int) -> list[str]:
    """Models of a function whose latest verdict before position *before* is `passed`, the one judged last first."""
    v = t.verdicts
    last = (
        select(func.max(v.c.place).label("last_place"))
        .where(v.c.system.is_not_distinct_from(system), v.c.function.is_not_distinct_from(function))
        .where(v.c.place < before)
        .group_by(v.c.model_id)
        .subquery()
    )
    asked = select(v.c.model_id).join(last, last.c.last_place == v.c.place).where(v.c.passed == 1)
    return [row[0] for row in read.all(asked.order_by(v.c.place.desc()))]


def policy_of(read: Reader, system: str | None, function: str | None) -> Policy:
    """The policy in force for a function: its own, else the loaded default, else the built-in one."""
    p = t.policies.c
    asked = select(p.policy_function, p.policy).where(p.policy_function.in_([f"{system}/{function}", DEFAULT_POLICY]))
    loaded = {name: policy for name, policy in read.all(asked)}  # noqa: C416 - pairs, which the type checker cannot see
    found = loaded.get(f"{system}/{function}", loaded.get(DEFAULT_POLICY))
    return Policy() if found is None else Policy.model_validate(found)


def policies(read: Reader) -> list[dict[str, Any]]:
    """Every loaded policy: function, numbers that differ from the built-in ones, digest, when and by whom."""
    p = t.policies.c
    rows = read.all(select(p.policy_function, p.policy, p.digest, p.loaded_at, p.loaded_by).order_by(p.policy_function))
    names = ("function", "policy", "digest", "loaded_at", "loaded_by")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _models(read: Reader, rows: Sequence[AnyRow]) -> list[ModelView]:
    width = len(t.models.c)
    active: dict[str, list[str]] = {}
    ids = [row[0] for row in rows]
    asked: Select[Any] = (
        select(t.deployed.c.model_id, t.deployed.c.deployment_id)
        .join(t.slots, t.slots.c.deployment_id == t.deployed.c.deployment_id)
        .where(t.deployed.c.model_id.in_(ids))
        .order_by(t.slots.c.since_place)
    )
    for model_id, deployment_id in read.all(asked):
        active.setdefault(model_id, []).append(deployment_id)
    found = []
    for row in rows:
        values = dict(zip((c.name for c in t.models.c), row[:width], strict=True))
        values["parents"] = tuple(values["parents"])
        found.append(ModelView(**values, active_in=tuple(active.get(row[0], ()))))
    return found


def _verdict(row: AnyRow) -> VerdictView:
    values = dict(zip((c.name for c in t.verdicts.c), row, strict=True))
    values["passed"] = bool(values["passed"])
    for name in ("sentences", "test_sets", "badcases"):
        values[name] = tuple(values[name])
    return VerdictView(**values)
