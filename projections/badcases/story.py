"""The story of an iteration: each of its events as a line that a person reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlife.badcases.events import (
    BadcaseClosed,
    BadcasePinned,
    BadcaseRegressed,
    CauseNamed,
    CauseRemedyChosen,
    IterationClosed,
    IterationOpened,
)
from mlife.core.events import Event, Recorded
from mlife.data.events import CollectionReceived, CollectionRequested, DocumentGrouped, DocumentImported
from mlife.serving.events import (
    DeploymentActivated,
    DeploymentCreated,
    DeploymentFailed,
    DeploymentRolledBack,
    ModelJudged,
)
from mlife.training.events import ModelTrained, TaskDrafted, TaskFailed, TaskFinished, TaskQueued

Line = tuple[str, str, str]
"""What happened in a word, a sentence about it, and where its page is."""


def line_of(recorded: Recorded[Event]) -> dict[str, Any] | None:
    """The line of an event of an iteration, as a row; None for others."""
    event = recorded.event
    tell = _LINES.get(type(event))
    iteration_id = getattr(event, "iteration_id", None)
    correlation = recorded.correlation_id
    if iteration_id is None and correlation is not None and correlation.startswith("itr-"):
        iteration_id = correlation
    if tell is None or iteration_id is None:
        return None
    word, sentence, href = tell(event)
    return {
        "number": recorded.position,
        "iteration_id": iteration_id,
        "word": word,
        "sentence": sentence,
        "href": href,
        "actor": recorded.draft.actor,
        "happened_at": recorded.draft.time,
    }


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}".replace(",", "\u202f")


def _opened(e: IterationOpened) -> Line:
    return "opened", f"{e.title}: {_many(len(e.badcase_ids), 'badcase')} in the target", f"/iterations/{e.iteration_id}"


def _closed(e: IterationClosed) -> Line:
    note = f": {e.note}" if e.note else ""
    return f"ended, {e.outcome}", f"{e.deployment_id or 'no deployment'}{note}", f"/iterations/{e.iteration_id}"


def _cause(e: CauseNamed) -> Line:
    return "cause named", f"{e.title}: {_many(len(e.badcase_ids), 'badcase')}", f"/causes/{e.cause_id}"


def _remedy(e: CauseRemedyChosen) -> Line:
    return "remedy chosen", f"{e.remedy.replace('_', ' ')}{f': {e.note}' if e.note else ''}", f"/causes/{e.cause_id}"


def _pinned(e: BadcasePinned) -> Line:
    return "added to test data", f"{_many(len(e.rows), 'file')} of {e.badcase_id}", f"/badcases/{e.badcase_id}"


def _badcase_closed(e: BadcaseClosed) -> Line:
    return "badcase closed", f"{e.badcase_id}: {e.sentence}", f"/badcases/{e.badcase_id}"


def _badcase_regressed(e: BadcaseRegressed) -> Line:
    return "badcase regressed", f"{e.badcase_id}: {e.sentence}", f"/badcases/{e.badcase_id}"


def _requested(e: CollectionRequested) -> Line:
    return "collection requested", f"{_many(sum(e.wanted.values()), 'row')}: {e.what}", f"/requests/{e.request_id}"


def _received(e: CollectionReceived) -> Line:
    return "collected", f"{_many(e.rows, 'row')} for {e.request_id}", f"/documents/{e.document_id}"


def _imported(e: DocumentImported) -> Line:
    return "document imported", f"{e.name}, {_many(e.rows, 'row')}", f"/documents/{e.document_id}"


def _grouped(e: DocumentGrouped) -> Line:
    left = f", {_many(e.left_out, 'row')} kept out by the leakage guard" if e.left_out else ""
    return f"grouped for {e.purpose}", f"{e.group_id} {e.name}: {_many(e.rows, 'row')}{left}", f"/groups/{e.group_id}"


def _drafted(e: TaskDrafted) -> Line:
    return f"{e.kind} task drafted", f"{e.task_id} {e.name}", f"/tasks/{e.task_id}"


def _queued(e: TaskQueued) -> Line:
    return "task started", f"{e.task_id}: {e.entry_point}", f"/tasks/{e.task_id}"


def _finished(e: TaskFinished) -> Line:
    return f"{e.kind} finished", f"{e.task_id} after {e.seconds:.0f} s", f"/tasks/{e.task_id}"


def _failed(e: TaskFailed) -> Line:
    return "task failed", f"{e.task_id}: {e.error}", f"/tasks/{e.task_id}"


def _trained(e: ModelTrained) -> Line:
    return "model trained", f"{e.model_id} {e.name}", f"/models/{e.model_id}"


def _judged(e: ModelJudged) -> Line:
    word = "gate passed" if e.passed else "gate refused"
    fixed = sum(b["verdict"] == "fixed" for b in e.badcases)
    said = f"{e.model_id}: {e.sentences[0] if e.sentences else ''} {fixed} of {_many(len(e.badcases), 'badcase')} fixed"
    return word, said, f"/models/{e.model_id}"


def _created(e: DeploymentCreated) -> Line:
    override = f", overridden: {e.override.get('reason', '')}" if e.override else ""
    said = f"{', '.join(e.model_ids)} as {e.version} to {e.target}{override}"
    return "deployment decided", said, f"/deployments/{e.deployment_id}"


def _activated(e: DeploymentActivated) -> Line:
    said = f"{e.target} answers with {e.answered_by}, version {e.version} ({e.reason})"
    return "deployment active", said, f"/deployments/{e.deployment_id}"


def _deployment_failed(e: DeploymentFailed) -> Line:
    return "deployment failed", e.error, f"/deployments/{e.deployment_id}"


def _rolled_back(e: DeploymentRolledBack) -> Line:
    return "rolled back", f"{e.deployment_id} to {e.to}: {e.reason}", f"/deployments/{e.deployment_id}"


_LINES: dict[type[Event], Callable[[Any], Line]] = {
    IterationOpened: _opened,
    IterationClosed: _closed,
    CauseNamed: _cause,
    CauseRemedyChosen: _remedy,
    BadcasePinned: _pinned,
    BadcaseClosed: _badcase_closed,
    BadcaseRegressed: _badcase_regressed,
    CollectionRequested: _requested,
    CollectionReceived: _received,
    DocumentImported: _imported,
    DocumentGrouped: _grouped,
    TaskDrafted: _drafted,
    TaskQueued: _queued,
    TaskFinished: _finished,
    TaskFailed: _failed,
    ModelTrained: _trained,
    ModelJudged: _judged,
    DeploymentCreated: _created,
    DeploymentActivated: _activated,
    DeploymentFailed: _deployment_failed,
    DeploymentRolledBack: _rolled_back,
}
