"""Alarms, rules and deliveries: few events, each folded by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from mlife.projections.badcases.declared import badcases
from sqlalchemy import and_

from mlife.badcases.alarms import NEW_BADCASES, bundle_of
from mlife.badcases.events import (
    AlarmAcknowledged,
    AlarmEnded,
    AlarmRaised,
    DeliveryFailed,
    DeliveryMade,
    DeliveryPlanned,
    RuleChanged,
    RuleCreated,
    RuleDeleted,
    RuleMuted,
    RulePaused,
    RuleResumed,
    RuleUnmuted,
)
from mlife.badcases.views.tables.alarms import alarm_rows, delivery_rows, rule_mutes, rule_rows
from mlife.core.events import Event, Recorded, to_micros
from mlife.core.projection import Tx

STATES: Mapping[type[Event], str] = {RulePaused: "paused", RuleResumed: "active", RuleDeleted: "deleted"}


def _raised(r: Recorded[AlarmRaised], tx: Tx) -> None:
    e = r.event
    row = {
        "alarm_id": e.alarm_id,
        "system": e.system,
        "function": e.function,
        "version": e.version,
        "from_at": to_micros(e.from_),
        "to_at": to_micros(e.to),
        "badcase_ids": orjson.dumps(e.badcase_ids).decode(),
        "badcase_count": e.badcases,
        "report_count": e.reports,
        "rate": e.rate,
        "usual": e.usual,
        "sentence": e.sentence,
        "number": r.position,
        "raised_at": r.draft.time,
        "rule_id": e.rule_id or NEW_BADCASES,
        "rule_version": e.rule_version or 1,
        "kind": e.kind or "new_badcase",
        "bundle": e.bundle or bundle_of(e.system, e.function, e.version),
        "cause_id": e.cause_id,
        "basis": e.basis,
        "value": e.value,
        "p_value": e.p_value,
    }
    tx.insert_missing(alarm_rows, [row])


def _acknowledged(r: Recorded[AlarmAcknowledged], tx: Tx) -> None:
    e = r.event
    row = {"alarm_id": e.alarm_id, "acknowledged_at": r.draft.time, "acknowledged_by": e.by, "note": e.note}
    tx.update(alarm_rows, [row])


def _ended(r: Recorded[AlarmEnded], tx: Tx) -> None:
    e = r.event
    tx.update(alarm_rows, [{"alarm_id": e.alarm_id, "ended_at": r.draft.time, "ended": e.sentence}])


def _touched(r: Recorded[Any]) -> dict[str, Any]:
    return {"rule_id": r.event.rule_id, "changed_at": r.draft.time, "changed_by": r.event.by}


def _created(r: Recorded[RuleCreated], tx: Tx) -> None:
    text = orjson.dumps(r.event.definition).decode()
    tx.upsert(rule_rows, [{**_touched(r), "definition": text, "state": "active", "number": r.position}])


def _changed(r: Recorded[RuleChanged], tx: Tx) -> None:
    text = orjson.dumps(r.event.definition).decode()
    tx.upsert(rule_rows, [{**_touched(r), "definition": text, "version": r.event.version}])


def _in_state(r: Recorded[Any], tx: Tx) -> None:
    tx.upsert(rule_rows, [{**_touched(r), "state": STATES[type(r.event)]}])


def _muted(r: Recorded[RuleMuted], tx: Tx) -> None:
    e = r.event
    mute = {"until_at": to_micros(e.until), "reason": e.reason, "muted_by": e.by}
    tx.upsert(rule_mutes, [{"rule_id": e.rule_id, "bundle": e.bundle, **mute}])


def _unmuted(r: Recorded[RuleUnmuted], tx: Tx) -> None:
    m = rule_mutes.c
    tx.delete(rule_mutes, and_(m.rule_id == r.event.rule_id, m.bundle == r.event.bundle))


def _planned(r: Recorded[DeliveryPlanned], tx: Tx) -> None:
    row = {**r.event.model_dump(), "number": r.position, "planned_at": r.draft.time, "due_at": r.draft.time}
    tx.insert_missing(delivery_rows, [row])


def _made(r: Recorded[DeliveryMade], tx: Tx) -> None:
    e = r.event
    made = {"attempts": e.attempt, "made_at": r.draft.time, "due_at": None, "problem": None}
    tx.update(delivery_rows, [{"delivery_id": e.delivery_id, **made}])


def _failed(r: Recorded[DeliveryFailed], tx: Tx) -> None:
    e = r.event
    due_at = None if e.again_at is None else to_micros(e.again_at)
    tx.update(
        delivery_rows,
        [{"delivery_id": e.delivery_id, "attempts": e.attempt, "due_at": due_at, "problem": e.reason}],
    )


_FOLDS: Mapping[type[Event], Callable[[Recorded[Any], Tx], None]] = {
    AlarmRaised: _raised,
    AlarmAcknowledged: _acknowledged,
    AlarmEnded: _ended,
    RuleCreated: _created,
    RuleChanged: _changed,
    RulePaused: _in_state,
    RuleResumed: _in_state,
    RuleDeleted: _in_state,
    RuleMuted: _muted,
    RuleUnmuted: _unmuted,
    DeliveryPlanned: _planned,
    DeliveryMade: _made,
    DeliveryFailed: _failed,
}


@badcases.on(*_FOLDS)
def follow_alarms(run: Sequence[Recorded[Event]], tx: Tx) -> None:
    """Everything about alarms, in order."""
    for recorded in run:
        _FOLDS[type(recorded.event)](recorded, tx)
