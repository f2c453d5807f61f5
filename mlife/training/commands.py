"""
Decisions about tasks: drafting, starting, leasing, finishing, giving up.

A worker's commands name the attempt that they speak for. Attempts only grow, so that a worker that lost its lease can't
finish what another one runs now.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from mlife.core.command import Given
from mlife.core.errors import Invalid, Refusal, Refused, no_such, shortened
from mlife.core.events import Event
from mlife.training.entry_point import read_entry_point
from mlife.training.events import (
    SAMPLES_IN_EVENT,
    ModelTrained,
    ResultRecorded,
    TaskCancelled,
    TaskDrafted,
    TaskFailed,
    TaskFinished,
    TaskQueued,
    TaskStarted,
)
from mlife.training.states import Group, Kind, Model, TaskState

Sample = tuple[str, str, str, float | None]
"""SHA-256, truth label, predicted label, score."""

TRIES = 3
"""How often a task is begun before the death of its workers counts as its own fault."""

LARGEST_PARAMETERS = 64_000
OPEN = ("draft", "queued", "running")


# ── people ───────────────────────────────────────────────────────────────────────────────────────


def draft_task(
    given: Given,
    *,
    kind: Kind,
    group_ids: tuple[str, ...] = (),
    name: str = "",
    task_id: str | None = None,
    system: str | None = None,
    function: str | None = None,
    iteration_id: str | None = None,
) -> list[Event]:
    """
    Make a draft: for a group that was just made (with the Task ID minted there), or by hand on groups that exist.

    Drafting a Task ID that exists does nothing.
    """
    made = task_id or given.new_id("tsk")
    if given(TaskState, made).exists:
        return []
    groups = _groups(given, kind, group_ids)
    drafted = TaskDrafted(
        task_id=made,
        kind=kind,
        name=name.strip() or " + ".join(g.name for g in groups if g.name) or f"{kind} task",
        group_ids=tuple(g.id for g in groups),
        system=system,
        function=function,
        iteration_id=iteration_id,
        by=given.actor,
    )
    return [drafted]


def start_task(
    given: Given,
    *,
    task_id: str,
    entry_point: str,
    workdir: str | None = None,
    group_ids: tuple[str, ...] | None = None,
    model_ids: tuple[str, ...] = (),
    parents: tuple[str, ...] | None = None,
    deployed: tuple[str, ...] = (),
    parameters: dict[str, Any] | None = None,
    seed: int = 0,
    model_name: str = "",
    time_limit: float | None = None,
) -> list[Event]:
    """
    Queue a draft: from now on it is a worker's to run.

    Args:
        group_ids: None: those of the draft.
        model_ids: to test.
        parents: the models that the trained one is meant to replace; None: *deployed*, those that are active now.
    """
    task = _known(given, task_id)
    if task.state != "draft":
        raise Refused(
            f"task {task_id} is {task.state} and can be started only once",
            remedy="retry it as it was (`mlife task retry`), or draft another on the same groups (`mlife task draft`)"
            if task.state in {"failed", "cancelled"}
            else "draft another task on the same groups with `mlife task draft`",
        )
    read_entry_point(entry_point)
    if workdir is not None and not workdir.startswith("/"):
        refusal = Refusal(1, "workdir", shortened(workdir), "is relative", "the whole path of a folder")
        raise Invalid("the working folder is relative to nothing", refusals=(refusal,))
    groups = _groups(given, task.kind, task.group_ids if group_ids is None else group_ids)
    _check_enough(task, groups, model_ids)
    chosen = deployed if parents is None else parents
    queued = TaskQueued(
        task_id=task_id,
        entry_point=entry_point.strip(),
        workdir=workdir,
        group_ids=tuple(g.id for g in groups),
        model_ids=_models(given, task, model_ids),
        parents=_models(given, task, chosen) if task.kind == "training" else (),
        parameters=_checked_parameters(parameters or {}),
        seed=seed,
        model_name=model_name.strip(),
        time_limit=time_limit,
        iteration_id=task.iteration_id,
        by=given.actor,
    )
    return [queued]


def cancel_task(given: Given, *, task_id: str, reason: str = "") -> list[Event]:
    """Give a task up; a worker that runs it stops the code within a second."""
    task = _known(given, task_id)
    if task.state == "cancelled":
        return []
    if task.state not in OPEN:
        raise Refused(f"task {task_id} is {task.state} already", remedy="there is nothing left to cancel")
    return [TaskCancelled(task_id=task_id, reason=reason.strip(), iteration_id=task.iteration_id, by=given.actor)]


def retry_task(given: Given, *, task_id: str) -> list[Event]:
    """Queue a failed or cancelled task again, as it was started."""
    task = _known(given, task_id)
    if task.state not in {"failed", "cancelled"}:
        raise Refused(
            f"task {task_id} is {task.state}",
            remedy="only a failed or cancelled task is retried; draft another task on the same groups",
        )
    if task.queued is None:
        raise Refused(f"task {task_id} was never started", remedy="draft another task on the same groups")
    return [task.queued.model_copy(update={"by": given.actor})]


# ── workers ──────────────────────────────────────────────────────────────────────────────────────


def lease_task(
    given: Given, *, task_id: str, worker: str, files: dict[str, str] | None = None, tries: int = TRIES
) -> list[Event]:
    """
    Begin an attempt. The caller holds the task's lock, so an attempt that seems to run was killed, or its worker was.

    After *tries* attempts without an end, the task fails instead.

    Args:
        files: what the attempt before left (its log), kept if the task fails.
    """
    task = _known(given, task_id)
    if task.state not in {"queued", "running"}:
        raise Refused(f"task {task_id} is {task.state}", remedy="there is nothing to run")
    if task.tries >= tries:
        why = f"it was killed {task.tries} times before it ended (kill -9, out of memory, or the machine stopped)"
        end = TaskFailed(
            task_id=task_id, attempt=task.attempt, error=why, files=files or {}, iteration_id=task.iteration_id
        )
        return [end]
    started = TaskStarted(task_id=task_id, attempt=task.attempt + 1, worker=worker, iteration_id=task.iteration_id)
    return [started]


def release_task(given: Given, *, task_id: str, attempt: int) -> list[Event]:
    """Put a task back into the queue, because its worker is told to stop; that is not counted against the task."""
    task = _held(given, task_id, attempt)
    return [task.queued] if task.queued is not None else []


@dataclass(frozen=True)
class Results:
    """What one model answered on one test group."""

    model_id: str
    group_id: str
    samples: Sequence[Sample]
    judged: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainedFile:
    """The stored file of a trained model."""

    sha256: str
    size: int


def finish_task(
    given: Given,
    *,
    task_id: str,
    attempt: int,
    seconds: float,
    metrics: dict[str, Any],
    files: dict[str, str],
    digests: dict[str, str],
    model: TrainedFile | None = None,
    results: tuple[Results, ...] = (),
) -> list[Event]:
    """Record what a task left, in one append: the model or the results, then the end."""
    task = _held(given, task_id, attempt)
    events: list[Event] = []
    model_id = None
    if model is not None:
        model_id = given.new_id("mdl")
        events.append(_trained(task, model_id, model, metrics, digests))
    for r in results:
        for at in range(0, len(r.samples), SAMPLES_IN_EVENT):
            part = tuple(r.samples[at : at + SAMPLES_IN_EVENT])
            judged = {s[0]: r.judged[s[0]] for s in part if s[0] in r.judged}
            events.append(
                ResultRecorded(task_id=task_id, model_id=r.model_id, group_id=r.group_id, samples=part, judged=judged)
            )
    tested: dict[str, dict[str, int]] = {}
    for r in results:
        tested.setdefault(r.model_id, {})[r.group_id] = len(r.samples)
    end = TaskFinished(
        task_id=task_id,
        attempt=attempt,
        kind=task.kind,
        metrics=metrics,
        files=files,
        seconds=seconds,
        model_id=model_id,
        tested=tested,
        digests=digests,
        iteration_id=task.iteration_id,
    )
    return [*events, end]


def fail_task(
    given: Given,
    *,
    task_id: str,
    attempt: int,
    error: str,
    files: dict[str, str] | None = None,
    seconds: float = 0.0,
) -> list[Event]:
    """Record that the user's code ended badly, or left what can't be used."""
    task = _held(given, task_id, attempt)
    return [
        TaskFailed(
            task_id=task_id,
            attempt=attempt,
            error=error,
            files=files or {},
            seconds=seconds,
            iteration_id=task.iteration_id,
        )
    ]


# ── checks ───────────────────────────────────────────────────────────────────────────────────────


def _known(given: Given, task_id: str) -> TaskState:
    task = given(TaskState, task_id)
    if not task.exists:
        raise no_such("task", task_id)
    return task


def _held(given: Given, task_id: str, attempt: int) -> TaskState:
    task = _known(given, task_id)
    if task.state != "running" or task.attempt != attempt:
        raise Refused(
            f"attempt {attempt} of task {task_id} is over: the task is {task.state}, at attempt {task.attempt}",
            remedy="what this attempt left is not used",
        )
    return task


def _groups(given: Given, kind: Kind, group_ids: Sequence[str]) -> list[Group]:
    groups = [given(Group, g) for g in dict.fromkeys(group_ids)]
    for group in groups:
        if not group.purpose:
            raise no_such("group", group.id)
        if (group.purpose == "testing") != (kind == "testing"):
            raise Refused(
                f"{group.id} is a {group.purpose} group and this is a {kind} task",
                remedy="a testing task tests on testing groups, and nothing else may see their rows",
            )
    return groups


def _check_enough(task: TaskState, groups: Sequence[Group], model_ids: Sequence[str]) -> None:
    if task.kind == "training":
        if not any(g.purpose == "training" for g in groups):
            raise Refused(
                f"task {task.id} has no training group", remedy="add one: `mlife document group … --purpose training`"
            )
        if model_ids:
            raise Refused(
                f"task {task.id} trains a model and tests none", remedy="give --parent for the model it is to replace"
            )
        return
    if not groups:
        raise Refused(
            f"task {task.id} has no testing group", remedy="add one: `mlife document group … --purpose testing`"
        )
    if not model_ids:
        raise Refused(
            f"task {task.id} tests, and no Model ID is given",
            remedy="name the model: `mlife task start … --model mdl-…`; `mlife model list` shows them",
        )


def _models(given: Given, task: TaskState, model_ids: Sequence[str]) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(model_ids))
    for model in (given(Model, m) for m in chosen):
        if not model.exists:
            raise no_such("model", model.id)
        for what, own, other in zip(("system", "function"), (task.system, task.function), model.function, strict=True):
            if own is not None and other is not None and own != other:
                raise Refused(
                    f"model {model.id} is for {what} {other}, and task {task.id} for {own}",
                    remedy="choose a model of the same function",
                )
    return chosen


def _checked_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    wrong = next(_not_json(parameters, "parameters"), None)
    if wrong is not None:
        raise Invalid("the parameters can't be kept as JSON", refusals=(wrong,))
    if len(orjson.dumps(parameters)) > LARGEST_PARAMETERS:
        raise Invalid(
            f"the parameters take more than {LARGEST_PARAMETERS:,} bytes", remedy="keep large settings in a file"
        )
    return parameters


def _not_json(value: Any, place: str) -> Iterator[Refusal]:
    """What in *value* has no JSON form that reads back the same."""
    if isinstance(value, float) and not math.isfinite(value):
        yield Refusal(1, place, str(value), "is no finite number", "a finite number")
    elif isinstance(value, dict):
        for name, part in value.items():
            if not isinstance(name, str):
                yield Refusal(1, place, shortened(name), "is no name", "text")
            yield from _not_json(part, f"{place}.{name}")
    elif isinstance(value, list | tuple):
        for at, part in enumerate(value):
            yield from _not_json(part, f"{place}.{at}")
    elif isinstance(value, int) and not -(2**63) <= value < 2**64:
        yield Refusal(1, place, shortened(value), "is too large", "a number of 64 bits")
    elif not isinstance(value, str | int | float | None):
        yield Refusal(
            1, place, shortened(value), "is no JSON", "text, a number, true, false, null, a list or an object"
        )


def _trained(
    task: TaskState, model_id: str, model: TrainedFile, metrics: dict[str, Any], digests: dict[str, str]
) -> ModelTrained:
    queued = task.queued
    assert queued is not None  # a running task was queued
    return ModelTrained(
        model_id=model_id,
        task_id=task.id,
        name=queued.model_name or task.name,
        system=task.system,
        function=task.function,
        sha256=model.sha256,
        size=model.size,
        metrics=metrics,
        parents=queued.parents,
        digests=digests,
        iteration_id=task.iteration_id,
    )
