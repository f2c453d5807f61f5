"""Folds models, verdicts, policies and deployments into the tables of `mlife.serving.views`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import select, update

from mlife.core.control import PolicyLoaded
from mlife.core.events import Recorded
from mlife.core.projection import Projection, Tx
from mlife.core.query import version_key
from mlife.serving.events import (
    DeploymentActivated,
    DeploymentAnnotated,
    DeploymentCreated,
    DeploymentFailed,
    DeploymentRolledBack,
    ModelAdded,
    ModelJudged,
    ModelNoted,
)
from mlife.serving.states import slot_of
from mlife.serving.views import tables as t
from mlife.training.events import ModelTrained

Run = Sequence[Recorded[Any]]

serving = Projection(
    "serving",
    version=1,
    tables=[t.models, t.notes, t.verdicts, t.known, t.deployments, t.deployed, t.slots, t.policies],
)


def text(value: Any) -> str:
    """*value* as JSON, in the form that a JSON column keeps."""
    return orjson.dumps(value).decode()


@serving.on(ModelTrained, ModelAdded)
def add_models(run: Run, tx: Tx) -> None:
    """One row for each model; a note that came along is a note."""
    rows = []
    notes = []
    for r in run:
        e = r.event
        trained = isinstance(e, ModelTrained)
        rows.append(
            {
                "model_id": e.model_id,
                "place": r.position,
                "made_at": r.draft.time,
                "name": e.name,
                "system": e.system,
                "function": e.function,
                "origin": "trained" if trained else "adopted",
                "task_id": e.task_id if trained else None,
                "sha256": e.sha256,
                "size": e.size,
                "metrics": text(e.metrics),
                "parents": text(e.parents),
                "digests": text(e.digests if trained else {}),
                "iteration_id": e.iteration_id if trained else None,
                "made_by": r.draft.actor if trained else e.by,
                "gate": "not judged",
                "judged_at": None,
                "judged_place": None,
                "opponent_id": None,
                "fixed": 0,
                "failing": 0,
                "unproven": 0,
                "broken": 0,
            }
        )
        if not trained and e.note:
            notes.append(_note(r, e.note, e.by))
    tx.insert_missing(t.models, rows)
    tx.insert(t.notes, notes)


@serving.on(ModelNoted)
def note_models(run: Run, tx: Tx) -> None:
    """Notes in the order they were written."""
    tx.insert(t.notes, [_note(r, r.event.note, r.event.by) for r in run])


def _note(r: Recorded[Any], note: str, by: str | None) -> dict[str, Any]:
    return {
        "place": r.position,
        "model_id": r.event.model_id,
        "noted_at": r.draft.time,
        "note": note,
        "noted_by": by,
    }


@serving.on(ModelJudged)
def keep_verdicts(run: Run, tx: Tx) -> None:
    """Every judgement is kept; the latest of a model is its gate word and its known badcases."""
    latest = {r.event.model_id: r for r in run}
    tx.insert(
        t.verdicts,
        [
            {
                "place": r.position,
                "model_id": r.event.model_id,
                "judged_at": r.draft.time,
                "system": r.event.system,
                "function": r.event.function,
                "opponent_id": r.event.opponent_id,
                "passed": int(r.event.passed),
                "sentences": text(r.event.sentences),
                "test_sets": text(r.event.test_sets),
                "badcases": text(r.event.badcases),
                "digests": text(r.event.digests),
                "seen_at": r.event.seen_at,
                "iteration_id": r.event.iteration_id,
            }
            for r in run
        ],
    )
    tx.update(t.models, [_judged(r) for r in latest.values()])
    tx.delete(t.known, t.known.c.model_id.in_(list(latest)))
    tx.insert(
        t.known,
        [
            {
                "model_id": model_id,
                "badcase_id": b["badcase_id"],
                "verdict": b["verdict"],
                "broken": int(b["broken"]),
            }
            for model_id, r in latest.items()
            for b in r.event.badcases
        ],
    )


def _judged(r: Recorded[ModelJudged]) -> dict[str, Any]:
    words = [b["verdict"] for b in r.event.badcases]
    return {
        "model_id": r.event.model_id,
        "gate": "passed" if r.event.passed else "refused",
        "judged_at": r.draft.time,
        "judged_place": r.position,
        "opponent_id": r.event.opponent_id,
        "broken": sum(bool(b["broken"]) for b in r.event.badcases),
        **{word: words.count(word) for word in ("fixed", "failing", "unproven")},
    }


@serving.on(PolicyLoaded)
def keep_policies(run: Run, tx: Tx) -> None:
    """The policy loaded last counts."""
    tx.upsert(
        t.policies,
        [
            {
                "policy_function": r.event.function,
                "policy": text(r.event.policy),
                "digest": r.event.digest,
                "loaded_at": r.draft.time,
                "loaded_by": r.event.by,
                "place": r.position,
            }
            for r in run
        ],
    )


@serving.on(DeploymentCreated, DeploymentActivated, DeploymentFailed, DeploymentRolledBack, DeploymentAnnotated)
def follow_deployments(run: Run, tx: Tx) -> None:
    """Deployments are few and their events depend on each other: one by one, in order."""
    for r in run:
        match r.event:
            case DeploymentCreated():
                _create(r, tx)
            case DeploymentActivated():
                _activate(r, tx)
            case DeploymentFailed():
                _fail(r, tx)
            case DeploymentRolledBack():
                _roll_back(r, tx)
            case DeploymentAnnotated():
                _annotate(r, tx)


def _slot(event: Any) -> str:
    return f"{event.system}/{slot_of(event.function, event.target)}"


def _create(r: Recorded[DeploymentCreated], tx: Tx) -> None:
    e = r.event
    signed = e.override or {}
    row = {
        "deployment_id": e.deployment_id,
        "place": r.position,
        "created_at": r.draft.time,
        "created_by": e.by,
        "system": e.system,
        "function": e.function,
        "slot": _slot(e),
        "version": e.version,
        "version_order": version_key(e.version),
        "target": e.target,
        "model_ids": text(e.model_ids),
        "metrics": text(e.metrics),
        "badcases": text(e.badcases),
        "more_badcases": "[]",
        "replaces": e.replaces,
        "overridden_by": signed.get("by"),
        "override_reason": signed.get("reason"),
        "iteration_id": e.iteration_id,
        "state": "created",
        "error": "",
        "activated_at": None,
        "activated_place": None,
        "ended_at": None,
        "answered_by": None,
        "reason": "",
        "rolled_back_to": None,
        "rollback_reason": "",
        "stream_version": r.version,
    }
    tx.insert_missing(t.deployments, [row])
    tx.insert_missing(
        t.deployed,
        [{"deployment_id": e.deployment_id, "ordinal": n, "model_id": m} for n, m in enumerate(e.model_ids)],
    )


def _activate(r: Recorded[DeploymentActivated], tx: Tx) -> None:
    """It answers now; what answered in its place before is replaced, unless it was taken back."""
    e, d = r.event, t.deployments
    slot = _slot(e)
    tx.execute(
        update(d)
        .where(d.c.slot == slot, d.c.state == "active", d.c.deployment_id != e.deployment_id)
        .values(state="replaced", ended_at=r.draft.time)
    )
    change = {
        "deployment_id": e.deployment_id,
        "state": "active",
        "error": "",
        "activated_at": r.draft.time,
        "activated_place": r.position,
        "ended_at": None,
        "answered_by": e.answered_by,
        "reason": e.reason,
        "rolled_back_to": None,
        "rollback_reason": "",
        "stream_version": r.version,
    }
    tx.update(d, [change])
    now = {
        "slot": slot,
        "system": e.system,
        "function": e.function,
        "target": e.target,
        "deployment_id": e.deployment_id,
        "since_place": r.position,
        "share": e.share,
    }
    tx.upsert(t.slots, [now])


def _fail(r: Recorded[DeploymentFailed], tx: Tx) -> None:
    change = {
        "deployment_id": r.event.deployment_id,
        "state": "failed",
        "error": r.event.error,
        "ended_at": r.draft.time,
        "stream_version": r.version,
    }
    tx.update(t.deployments, [change])


def _roll_back(r: Recorded[DeploymentRolledBack], tx: Tx) -> None:
    change = {
        "deployment_id": r.event.deployment_id,
        "state": "rolled back",
        "ended_at": r.draft.time,
        "rolled_back_to": r.event.to,
        "rollback_reason": r.event.reason,
        "stream_version": r.version,
    }
    tx.update(t.deployments, [change])


def _annotate(r: Recorded[DeploymentAnnotated], tx: Tx) -> None:
    """Columns are merged, a column that is None goes; badcases are added."""
    e, d = r.event, t.deployments
    rows: Sequence[Any] = tx.execute(select(d.c.metrics, d.c.more_badcases).where(d.c.deployment_id == e.deployment_id))
    for metrics, more in rows:
        kept = {k: v for k, v in {**metrics, **e.metrics}.items() if v is not None}
        change = {
            "deployment_id": e.deployment_id,
            "metrics": text(kept),
            "more_badcases": text([*more, *(b for b in e.badcase_ids if b not in more)]),
            "stream_version": r.version,
        }
        tx.update(d, [change])
