"""Tasks, and what they are linked to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import func, literal, or_, select, tuple_

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
from mlife.training.views.tables import (
    task_deployed,
    task_files,
    task_group_facts,
    task_links,
    task_model_facts,
    task_rows,
)

KINDS = ("training", "testing")
TASK_STATES = ("draft", "queued", "running", "done", "failed", "cancelled")
WAITING = ("queued", "running")


@dataclass(frozen=True, slots=True)
class TaskView:
    """
    A task as it stands.

    Args:
        model_ids: those it tests. model_id: the one it trained. parents: those that that one is meant to replace.
        attempt: number of the last start; 0 before the first.
        error: why it failed, its last log lines included; the reason of a cancellation.
        tested: model id → group id → samples.
        stream_version: for `If-Match`.
    """

    task_id: str
    name: str
    kind: str
    state: str
    system: str | None
    function: str | None
    iteration_id: str | None
    group_ids: tuple[str, ...]
    model_ids: tuple[str, ...]
    parents: tuple[str, ...]
    entry_point: str
    workdir: str | None
    parameters: dict[str, Any]
    seed: int
    model_name: str
    time_limit: float | None
    attempt: int
    worker: str | None
    error: str | None
    metrics: dict[str, float]
    digests: dict[str, str]
    tested: dict[str, dict[str, int]]
    model_id: str | None
    seconds: float | None
    drafted_by: str | None
    started_by: str | None
    drafted_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    changed_at: datetime
    stream_version: int
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A group as tasks show it."""

    group_id: str
    name: str
    purpose: str
    system: str | None
    function: str | None
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model as tasks show it; `task_id` is None for an adopted one."""

    model_id: str
    name: str
    system: str | None
    function: str | None
    sha256: str
    task_id: str | None


def _linked(role: str) -> Any:
    return lambda condition: task_rows.c.task_id.in_(
        select(task_links.c.task_id).where(task_links.c.role == role, condition)
    )


tasks_search = Searchable(
    name="tasks",
    key=task_rows.c.task_id,
    fields=(
        Field("id", task_rows.c.task_id, "text", "The Task ID."),
        Field("name", task_rows.c.name, "text", "What the task is called."),
        Field("state", task_rows.c.state, "choice", "Where it stands.", TASK_STATES, aliases=("status",)),
        Field("kind", task_rows.c.kind, "choice", "Training or testing.", KINDS),
        Field("system", task_rows.c.system, "text", "The system that its model belongs to."),
        Field("function", task_rows.c.function, "text", "The function of that system."),
        Field("iteration", task_rows.c.iteration_id, "text", "The iteration that it belongs to."),
        Field("group", task_links.c.linked_id, "text", "A group that it uses.", via=_linked("group")),
        Field("tests", task_links.c.linked_id, "text", "A model that it tests.", via=_linked("tested")),
        Field("model", task_rows.c.model_id, "text", "The model that it trained."),
        Field("code", task_rows.c.entry_point, "text", "The entry point.", aliases=("entry_point",)),
        Field("by", task_rows.c.started_by, "text", "Who started it."),
        Field("attempt", task_rows.c.attempt, "number", "How often it was begun."),
        Field("seconds", task_rows.c.seconds, "number", "How long the code ran."),
        Field("changed", task_rows.c.changed_at, "date", "When anything last happened to it."),
        Field("drafted", task_rows.c.drafted_at, "date", "When it was drafted."),
    ),
    text=contains_text(task_rows.c.name, task_rows.c.task_id, task_rows.c.entry_point),
    default_sort="-changed",
)


def task_page(
    read: Reader, q: str, *, now: datetime, sort: str | None = None, after: str | None = None, limit: int = 50
) -> Listing[TaskView]:
    """A page of the tasks that *q* finds (without their files), the last changed first unless *sort* says otherwise."""
    asked = page(select(task_rows), tasks_search, q, now=now, sort=sort, after=after, limit=limit)
    return read_page(read, asked, lambda rows: [_view(row, {}) for row in rows], among=task_rows)


def tasks_by(read: Reader, what: str, q: str, *, now: datetime) -> list[tuple[str, int]]:
    """Counts of the tasks that *q* finds by `state`, `kind` or `function`, the most first."""
    return counts_by(read, task_rows.c[what], compile_query(parse(q), tasks_search, now))


def task(read: Reader, task_id: str) -> TaskView | None:
    """One task with its files; None if there is none."""
    row = read.one(select(task_rows).where(task_rows.c.task_id == task_id))
    if row is None:
        return None
    f = task_files.c
    files = read.all(select(f.name, f.sha256).where(f.task_id == task_id).order_by(f.name))
    return _view(row, dict(map(tuple, files)))


def waiting_tasks(read: Reader) -> list[str]:
    """Tasks for workers to look at, in the order in which they were queued: queued ones and those said to run."""
    rows = read.all(
        select(task_rows.c.task_id)
        .where(task_rows.c.state.in_(WAITING))
        .order_by(task_rows.c.queued_at, task_rows.c.task_id)
    )
    return [row[0] for row in rows]


def last_start(read: Reader, kind: str, function: str | None) -> tuple[str, str | None]:
    """Entry point and working folder that a task of this kind was last started with; empty if none was."""
    asked = select(task_rows.c.entry_point, task_rows.c.workdir).where(
        task_rows.c.kind == kind, task_rows.c.queued_at.is_not(None)
    )
    if function is not None:
        asked = asked.where(task_rows.c.function == function)
    row = read.one(asked.order_by(task_rows.c.queued_at.desc(), task_rows.c.task_id).limit(1))
    return (row[0], row[1]) if row is not None else ("", None)


def neighbours(read: Reader, task: TaskView) -> tuple[str | None, str | None]:
    """The tasks that changed just after and just before this one: the default list's neighbours."""
    place = (task_rows.c.changed_at, task_rows.c.task_id)
    here = tuple_(*(literal(v, type_=c.type) for v, c in zip((task.changed_at, task.task_id), place, strict=True)))
    newer = select(task_rows.c.task_id).where(tuple_(*place) > here).order_by(*(c.asc() for c in place)).limit(1)
    older = select(task_rows.c.task_id).where(tuple_(*place) < here).order_by(*(c.desc() for c in place)).limit(1)
    return read.value(newer), read.value(older)


def open_tasks(read: Reader) -> int:
    """How many are queued or run."""
    return int(read.value(select(func.count()).select_from(task_rows).where(task_rows.c.state.in_(WAITING))))


def running_tasks(read: Reader, most: int = 3) -> list[TaskView]:
    """Those that run now, the one that began first at the top; without their files."""
    t = task_rows.c
    rows = read.all(select(task_rows).where(t.state == "running").order_by(t.queued_at, t.task_id).limit(most))
    return [_view(row, {}) for row in rows]


def groups(read: Reader, group_ids: Sequence[str] | None = None) -> list[GroupFacts]:
    """Groups by their ids, or all, the newest first."""
    asked = select(*(task_group_facts.c[name] for name in GroupFacts.__slots__))
    if group_ids is not None:
        asked = asked.where(task_group_facts.c.group_id.in_(group_ids))
    return [GroupFacts(*row) for row in read.all(asked.order_by(task_group_facts.c.position.desc()))]


def models(read: Reader, model_ids: Sequence[str] | None = None) -> list[ModelFacts]:
    """Models by their ids, or all, the newest first."""
    asked = select(*(task_model_facts.c[name] for name in ModelFacts.__slots__))
    if model_ids is not None:
        asked = asked.where(task_model_facts.c.model_id.in_(model_ids))
    return [ModelFacts(*row) for row in read.all(asked.order_by(task_model_facts.c.position.desc()))]


def deployed_models(read: Reader, system: str | None, function: str | None) -> tuple[str, ...]:
    """The models that are active now for a function (on any target): what a new model is meant to replace."""
    if system is None:
        return ()
    asked = select(task_deployed.c.model_ids).where(task_deployed.c.system == system)
    if function is not None:
        asked = asked.where(or_(task_deployed.c.function == function, task_deployed.c.function == ""))
    rows = read.all(asked.order_by(task_deployed.c.position.desc()))
    active = list(dict.fromkeys(m for row in rows for m in orjson.loads(row[0])))
    if function is None or not active:
        return tuple(active)
    known = {m.model_id: m.function for m in models(read, active)}
    return tuple(m for m in active if known.get(m) in {None, function})


_JSON_LISTS = ("group_ids", "model_ids", "parents")
_JSON_OBJECTS = ("parameters", "metrics", "digests", "tested")


def _view(row: AnyRow, files: dict[str, str]) -> TaskView:
    values = {name: getattr(row, name) for name in TaskView.__slots__ if name != "files"}
    for name in _JSON_LISTS:
        values[name] = tuple(orjson.loads(values[name]))
    for name in _JSON_OBJECTS:
        values[name] = orjson.loads(values[name])
    return TaskView(**values, files=files)
