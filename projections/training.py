"""Tasks, and what models answered on test groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from mlife.core.events import Event, Recorded
from mlife.core.projection import Projection, Tx
from mlife.data.events import DocumentGrouped
from mlife.serving.events import DeploymentActivated, ModelAdded
from mlife.training.events import (
    ModelTrained,
    ResultRecorded,
    TaskCancelled,
    TaskDrafted,
    TaskFailed,
    TaskFinished,
    TaskQueued,
    TaskStarted,
)
from mlife.training.views.tables import (
    set_key,
    task_deployed,
    task_files,
    task_group_facts,
    task_latest,
    task_links,
    task_model_facts,
    task_results,
    task_rows,
    task_scores,
)

training = Projection(
    "training",
    version=1,
    tables=[
        task_rows,
        task_files,
        task_links,
        task_group_facts,
        task_model_facts,
        task_deployed,
        task_scores,
        task_latest,
        task_results,
    ],
)

EMPTY_LIST, EMPTY_OBJECT = "[]", "{}"


@training.on(TaskDrafted, TaskQueued, TaskStarted, TaskFinished, TaskFailed, TaskCancelled)
def follow_tasks(run: Sequence[Recorded[Any]], tx: Tx) -> None:
    """A task's row is replaced by what each of its events says, in order."""
    for recorded in run:
        event: Event = recorded.event
        changes: dict[str, Any] = {"changed_at": recorded.draft.time, "stream_version": recorded.version}
        match event:
            case TaskDrafted():
                tx.insert_missing(task_rows, [_drafted(event) | changes | {"drafted_at": recorded.draft.time}])
                _link(tx, event.task_id, "group", event.group_ids)
                continue
            case TaskQueued():
                changes |= _queued(event) | {"queued_at": recorded.draft.time}
                tx.delete(task_links, task_links.c.task_id == event.task_id)
                _link(tx, event.task_id, "group", event.group_ids)
                _link(tx, event.task_id, "tested", event.model_ids)
            case TaskStarted():
                changes |= {"state": "running", "attempt": event.attempt, "worker": event.worker}
                changes |= {"started_at": recorded.draft.time}
            case TaskFinished():
                changes |= _finished(event) | {"ended_at": recorded.draft.time}
                _keep_files(tx, event.task_id, event.files)
                _link(tx, event.task_id, "trained", [event.model_id] if event.model_id else [])
            case TaskFailed():
                changes |= {"state": "failed", "error": event.error, "seconds": event.seconds}
                changes |= {"ended_at": recorded.draft.time}
                _keep_files(tx, event.task_id, event.files)
            case TaskCancelled():
                changes |= {"state": "cancelled", "error": event.reason or None, "ended_at": recorded.draft.time}
        tx.update(task_rows, [{"task_id": recorded.event.task_id} | changes])


@training.on(ResultRecorded)
def keep_results(run: Sequence[Recorded[ResultRecorded]], tx: Tx) -> None:
    """One row per sample, and sums per test; the task that recorded last counts for its model and group."""
    rows, scores, latest = [], [], []
    for recorded in run:
        e = recorded.event
        key = set_key(e.task_id, e.model_id, e.group_id)
        made = [
            {
                "set_id": key,
                "sha256": sha,
                "truth": truth,
                "label": label,
                "score": score,
                "correct": e.judged.get(sha, truth == label),
            }
            for sha, truth, label, score in e.samples
        ]
        rows += made
        scores.append(
            {
                "set_id": key,
                "task_id": e.task_id,
                "model_id": e.model_id,
                "group_id": e.group_id,
                "size": len(made),
                "correct": sum(e.judged.get(sha, truth == label) for sha, truth, label, _ in e.samples),
            }
        )
        latest.append({"model_id": e.model_id, "group_id": e.group_id, "set_id": key, "position": recorded.position})
    tx.upsert(task_results, rows)
    tx.add(task_scores, scores)
    tx.upsert(task_latest, latest)


@training.on(DocumentGrouped)
def know_groups(run: Sequence[Recorded[DocumentGrouped]], tx: Tx) -> None:
    """What a group is called and what it is for."""
    tx.upsert(
        task_group_facts,
        [
            {
                "group_id": r.event.group_id,
                "name": r.event.name,
                "purpose": r.event.purpose,
                "system": r.event.system,
                "function": r.event.function,
                "size": r.event.rows,
                "digest": r.event.digest,
                "position": r.position,
            }
            for r in run
        ],
    )


@training.on(ModelTrained, ModelAdded)
def know_models(run: Sequence[Recorded[ModelTrained | ModelAdded]], tx: Tx) -> None:
    """What a model is called and which task made it."""
    tx.upsert(
        task_model_facts,
        [
            {
                "model_id": r.event.model_id,
                "name": r.event.name,
                "system": r.event.system,
                "function": r.event.function,
                "sha256": r.event.sha256,
                "task_id": getattr(r.event, "task_id", None),
                "position": r.position,
            }
            for r in run
        ],
    )


@training.on(DeploymentActivated)
def know_deployed(run: Sequence[Recorded[DeploymentActivated]], tx: Tx) -> None:
    """Which models are active for a function on a target."""
    tx.upsert(
        task_deployed,
        [
            {
                "system": r.event.system,
                "function": r.event.function or "",
                "target": r.event.target,
                "model_ids": _json(r.event.model_ids),
                "position": r.position,
            }
            for r in run
        ],
    )


def _drafted(event: TaskDrafted) -> dict[str, Any]:
    return {
        "task_id": event.task_id,
        "name": event.name,
        "kind": event.kind,
        "state": "draft",
        "system": event.system,
        "function": event.function,
        "iteration_id": event.iteration_id,
        "group_ids": _json(event.group_ids),
        "model_ids": EMPTY_LIST,
        "parents": EMPTY_LIST,
        "entry_point": "",
        "parameters": EMPTY_OBJECT,
        "seed": 0,
        "model_name": "",
        "attempt": 0,
        "metrics": EMPTY_OBJECT,
        "digests": EMPTY_OBJECT,
        "tested": EMPTY_OBJECT,
        "drafted_by": event.by,
    }


def _queued(event: TaskQueued) -> dict[str, Any]:
    return {
        "state": "queued",
        "group_ids": _json(event.group_ids),
        "model_ids": _json(event.model_ids),
        "parents": _json(event.parents),
        "entry_point": event.entry_point,
        "workdir": event.workdir,
        "parameters": _json(event.parameters),
        "seed": event.seed,
        "model_name": event.model_name,
        "time_limit": event.time_limit,
        "started_by": event.by,
        "worker": None,
        "error": None,
        "seconds": None,
        "started_at": None,
        "ended_at": None,
    }


def _finished(event: TaskFinished) -> dict[str, Any]:
    return {
        "state": "done",
        "metrics": _json(event.metrics),
        "digests": _json(event.digests),
        "tested": _json(event.tested),
        "model_id": event.model_id,
        "seconds": event.seconds,
    }


def _keep_files(tx: Tx, task_id: str, files: dict[str, str]) -> None:
    tx.delete(task_files, task_files.c.task_id == task_id)
    tx.insert(task_files, [{"task_id": task_id, "name": name, "sha256": sha} for name, sha in files.items()])


def _link(tx: Tx, task_id: str, role: str, linked: Sequence[str]) -> None:
    tx.insert_missing(task_links, [{"task_id": task_id, "role": role, "linked_id": each} for each in linked])


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
