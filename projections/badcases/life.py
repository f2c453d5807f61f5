"""
What people, models and deployments do to badcases.

Events here are few beside the reports, so each is folded by itself, in order; statuses are computed once for a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from mlife.projections.badcases.causes import CAUSES
from mlife.projections.badcases.comments import COMMENTS
from mlife.projections.badcases.declared import badcases
from mlife.projections.badcases.homes import say
from mlife.projections.badcases.priority import weigh
from mlife.projections.badcases.standing import restate
from mlife.projections.badcases.story import line_of
from mlife.projections.badcases.turns import TURNS, Fold, Touched, targets_of
from sqlalchemy import select, update

from mlife.badcases.events import (
    BadcaseAssigned,
    BadcaseClosed,
    BadcaseMuted,
    BadcasePinned,
    BadcasePrioritised,
    BadcaseRegressed,
    BadcaseRejected,
    BadcaseReopened,
    BadcaseTakenBack,
    BadcaseTriaged,
    BadcaseUnmuted,
    IterationClosed,
    IterationOpened,
)
from mlife.badcases.views.tables import (
    badcase_deployments,
    badcase_models,
    badcase_pins,
    badcase_rows,
    badcase_verdicts,
    iteration_facts,
)
from mlife.core.events import Event, Recorded, to_micros
from mlife.core.projection import Tx
from mlife.data.events import CollectionReceived, CollectionRequested, DocumentGrouped, DocumentImported
from mlife.serving.events import (
    DeploymentActivated,
    DeploymentCreated,
    DeploymentFailed,
    DeploymentRolledBack,
    ModelAdded,
    ModelJudged,
)
from mlife.training.events import ModelTrained, TaskDrafted, TaskFailed, TaskFinished, TaskQueued


@badcases.on(
    BadcaseTriaged,
    BadcaseAssigned,
    BadcasePrioritised,
    BadcaseMuted,
    BadcaseUnmuted,
    BadcaseRejected,
    BadcaseReopened,
    BadcasePinned,
    BadcaseClosed,
    BadcaseRegressed,
    BadcaseTakenBack,
    *COMMENTS,
    *CAUSES,
    IterationOpened,
    IterationClosed,
    ModelAdded,
    ModelTrained,
    ModelJudged,
    DeploymentCreated,
    DeploymentActivated,
    DeploymentFailed,
    DeploymentRolledBack,
    CollectionRequested,
    CollectionReceived,
    DocumentImported,
    DocumentGrouped,
    TaskDrafted,
    TaskQueued,
    TaskFinished,
    TaskFailed,
)
def follow(run: Sequence[Recorded[Event]], tx: Tx) -> None:
    """Everything but the floods."""
    pending: dict[str, Recorded[Event]] = {}
    told: list[dict[str, Any]] = []
    for recorded in run:
        fold = _FOLDS.get(type(recorded.event))
        if fold is not None:
            if pending and (type(recorded.event) in _WORLD or getattr(recorded.event, "badcase_id", None) in pending):
                restate(tx, pending, pending)  # as each was after its own event, however runs are cut
                pending = {}
            touched: Touched = set()
            fold(recorded, tx, touched)
            pending |= dict.fromkeys(touched, recorded)
        line = line_of(recorded)
        if line is not None:
            told.append(line)
    tx.insert_missing(iteration_facts, told)
    restate(tx, pending, pending)


def _change(tx: Tx, touched: Touched, badcase_id: str, **columns: Any) -> None:
    touched.add(badcase_id)
    tx.update(badcase_rows, [{"badcase_id": badcase_id, **columns}])


# --- what people do ---


def _triaged(r: Recorded[BadcaseTriaged], tx: Tx, touched: Touched) -> None:
    _change(tx, touched, r.event.badcase_id, triaged=1)


def _assigned(r: Recorded[BadcaseAssigned], tx: Tx, touched: Touched) -> None:
    _change(tx, touched, r.event.badcase_id, owner=r.event.owner)


def _prioritised(r: Recorded[BadcasePrioritised], tx: Tx, touched: Touched) -> None:
    _change(tx, touched, r.event.badcase_id, priority_set=r.event.priority, priority_reason=r.event.reason)
    weigh(tx, badcase_rows.c.badcase_id == r.event.badcase_id)


def _muted(r: Recorded[BadcaseMuted], tx: Tx, touched: Touched) -> None:
    _change(tx, touched, r.event.badcase_id, muted_until=to_micros(r.event.until))


def _unmuted(r: Recorded[BadcaseUnmuted], tx: Tx, touched: Touched) -> None:
    _change(tx, touched, r.event.badcase_id, muted_until=None)


def _rejected(r: Recorded[BadcaseRejected], tx: Tx, touched: Touched) -> None:
    _change(tx, touched, r.event.badcase_id, rejected=r.event.reason)


def _reopened(r: Recorded[BadcaseReopened], tx: Tx, touched: Touched) -> None:
    if r.event.judged:
        over = {"closed_by": None, "regressed_by": None, "regressed_number": None}
        _change(tx, touched, r.event.badcase_id, said=r.event.reason, **over)
        return
    _change(tx, touched, r.event.badcase_id, rejected=None, closed_by=None, triaged=1)


def _taken_back(r: Recorded[BadcaseTakenBack], tx: Tx, touched: Touched) -> None:
    e = r.event
    _change(
        tx,
        touched,
        e.badcase_id,
        triaged=int(e.triaged),
        owner=e.owner,
        priority_set=e.priority,
        priority_reason=e.priority_reason,
        muted_until=None if e.muted_until is None else to_micros(e.muted_until),
        rejected=e.rejected,
        closed_by=e.closed_by,
    )
    weigh(tx, badcase_rows.c.badcase_id == e.badcase_id)


def _pinned(r: Recorded[BadcasePinned], tx: Tx, touched: Touched) -> None:
    e = r.event
    touched |= say(
        tx,
        badcase_pins,
        [
            {
                "badcase_id": e.badcase_id,
                "sha256": row["sha256"],
                "uid": row.get("uid", ""),
                "annotation": orjson.dumps(row["annotation"]).decode(),
                "must_pass": int(bool(row.get("must_pass"))),
                "document_id": e.document_id,
                "number": r.position,
            }
            for row in e.rows
        ],
    )


# --- what follows from models in the field ---


def _closed(r: Recorded[BadcaseClosed], tx: Tx, touched: Touched) -> None:
    e = r.event
    _change(tx, touched, e.badcase_id, closed_by=e.model_id, regressed_by=None, regressed_number=None, said=e.sentence)


def _regressed(r: Recorded[BadcaseRegressed], tx: Tx, touched: Touched) -> None:
    e = r.event
    _change(
        tx,
        touched,
        e.badcase_id,
        closed_by=None,
        regressed_by=e.model_id,
        regressed_number=r.position,
        said=e.sentence,
    )


def _model_made(r: Recorded[Any], tx: Tx, touched: Touched) -> None:
    e = r.event
    iteration_id = getattr(e, "iteration_id", None) or _iteration_of(r)
    tx.upsert(
        badcase_models,
        [
            {
                "model_id": e.model_id,
                "name": e.name,
                "system": e.system,
                "function": e.function,
                "parents": orjson.dumps(e.parents).decode(),
                "task_id": getattr(e, "task_id", None),
                "iteration_id": iteration_id,
                "number": r.position,
                "made_at": r.draft.time,
            }
        ],
    )
    if iteration_id is not None:
        touched.update(targets_of(tx, iteration_id))


def _judged(r: Recorded[ModelJudged], tx: Tx, touched: Touched) -> None:
    e = r.event
    tx.update(
        badcase_models, [{"model_id": e.model_id, "passed": int(e.passed), "judged_sentence": "\n".join(e.sentences)}]
    )
    touched |= say(
        tx,
        badcase_verdicts,
        [
            {
                "badcase_id": b["badcase_id"],
                "model_id": e.model_id,
                "verdict": b["verdict"],
                "passes": b["passes"],
                "evidence": b["evidence"],
                "low": b["lower"],
                "high": b["upper"],
                "missing": b.get("missing", 0),
                "broken": int(bool(b.get("broken"))),
                "sentence": b["sentence"],
                "number": r.position,
                "judged_at": r.draft.time,
            }
            for b in e.badcases
        ],
        replace=True,
    )


def _deployment_created(r: Recorded[DeploymentCreated], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    e = r.event
    tx.insert_missing(
        badcase_deployments,
        [
            {
                "deployment_id": e.deployment_id,
                "system": e.system,
                "function": e.function or "",
                "version": e.version,
                "target": e.target,
                "model_ids": orjson.dumps(e.model_ids).decode(),
                "state": "created",
                "overridden_by": (e.override or {}).get("name") or (e.override and e.by),
                "number": r.position,
                "made_at": r.draft.time,
            }
        ],
    )


def _activated(r: Recorded[DeploymentActivated], tx: Tx, touched: Touched) -> None:
    e, d = r.event, badcase_deployments.c
    function = e.function or ""
    tx.execute(
        update(badcase_deployments)
        .where(d.system == e.system, d.function == function, d.target == e.target, d.state == "active")
        .values(state="replaced")
    )
    row = {
        "deployment_id": e.deployment_id,
        "system": e.system,
        "function": function,
        "version": e.version,
        "target": e.target,
        "model_ids": orjson.dumps(e.model_ids).decode(),
        "state": "active",
        "activated_number": r.position,
        "activated_at": r.draft.time,
    }
    tx.insert_missing(badcase_deployments, [{**row, "number": r.position, "made_at": r.draft.time}])
    tx.update(badcase_deployments, [row])
    b = badcase_rows.c
    mine = b.system == e.system if e.function is None else (b.system == e.system) & (b.function == e.function)
    touched.update(row[0] for row in tx.execute(select(b.badcase_id).where(mine)))


def _deployment_failed(r: Recorded[DeploymentFailed], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    tx.update(badcase_deployments, [{"deployment_id": r.event.deployment_id, "state": "failed"}])


def _iteration_of(r: Recorded[Any]) -> str | None:
    correlation = r.correlation_id
    return correlation if correlation and correlation.startswith("itr-") else None


_WORLD = frozenset(
    {
        IterationOpened,
        IterationClosed,
        ModelAdded,
        ModelTrained,
        ModelJudged,
        DeploymentCreated,
        DeploymentActivated,
        DeploymentFailed,
    }
)
"""What the status of other badcases than those it names may depend on."""

_FOLDS: dict[type[Event], Fold] = {
    **TURNS,
    **CAUSES,
    **COMMENTS,
    BadcaseTriaged: _triaged,
    BadcaseAssigned: _assigned,
    BadcasePrioritised: _prioritised,
    BadcaseMuted: _muted,
    BadcaseUnmuted: _unmuted,
    BadcaseRejected: _rejected,
    BadcaseReopened: _reopened,
    BadcaseTakenBack: _taken_back,
    BadcasePinned: _pinned,
    BadcaseClosed: _closed,
    BadcaseRegressed: _regressed,
    ModelAdded: _model_made,
    ModelTrained: _model_made,
    ModelJudged: _judged,
    DeploymentCreated: _deployment_created,
    DeploymentActivated: _activated,
    DeploymentFailed: _deployment_failed,
}
