"""What people decide about alarms and rules, and what handlers record of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from mlife.badcases.alarms import BUILT_IN, NEW_BADCASES, Kind, Rule, bundle_of
from mlife.badcases.alarms_states import Alarm, Delivery, RuleState
from mlife.badcases.commands.muting import end_of_mute
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
from mlife.core.command import Given
from mlife.core.errors import Refused, no_such
from mlife.core.events import Event, derived_id

Name = Annotated[str, Field(min_length=1, max_length=128)]
Bundle = Annotated[str, Field(max_length=500)]
Words = Annotated[str, Field(max_length=10_000)]
NAMED_IN_ALARM = 200
BACK_OFF = tuple(timedelta(seconds=s) for s in (10, 60, 300, 1_800, 7_200, 21_600, 43_200, 86_400))
"""After which time a delivery that failed is tried again; after the last it is given up."""


class Raising(BaseModel):
    """
    An alarm to be raised; the fields are those of `AlarmRaised`.

    Fields:
        ordinal: how many alarms about the bundle there were before (of new badcases: were acknowledged); with it the
            alarm's id is a function of what it is about, so that a wave in several runs raises one.
        badcase_ids: most reports first. badcases: how many there are, if not all are named.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: str
    function: str
    version: str = ""
    cause_id: str | None = None
    ordinal: int = Field(ge=0)
    since: datetime
    until: datetime
    badcase_ids: tuple[str, ...]
    badcases: int
    reports: int
    rate: float | None
    usual: float | None
    sentence: str
    rule_id: str = NEW_BADCASES
    rule_version: int = 1
    kind: Kind = "new_badcase"
    basis: str | None = None
    value: float | None = None
    p_value: float | None = None

    @property
    def bundle(self) -> str:
        """What it is about."""
        return bundle_of(self.system, self.function, self.version or self.cause_id or "")

    @property
    def alarm_id(self) -> str:
        """Its id."""
        of_old = (self.system, self.function, self.version)  # as it was before there were rules
        about = of_old if self.rule_id == NEW_BADCASES else (self.rule_id, self.bundle)
        return f"alm-{derived_id('alarm', *about, self.ordinal).hex()[:12]}"


class Ending(BaseModel):
    """An alarm that is over; the fields are those of `AlarmEnded`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alarm_id: str
    value: float | None
    sentence: str


def settle_alarms(given: Given, *, raised: Sequence[Raising] = (), ended: Sequence[Ending] = ()) -> list[Event]:
    """
    Record what rules saw, in one append, so that it is done whole or not at all.

    An alarm that was raised before, or is over already, is passed over.
    """
    events: list[Event] = []
    for r in raised:
        if not given(Alarm, r.alarm_id).exists:
            told = r.model_dump(exclude={"ordinal", "since", "until", "badcase_ids"})
            named = r.badcase_ids[:NAMED_IN_ALARM]
            period = {"from": r.since, "to": r.until}
            told |= {"alarm_id": r.alarm_id, "bundle": r.bundle, "badcase_ids": named, **period}
            events.append(AlarmRaised.model_validate(told))
    for e in ended:
        alarm = given(Alarm, e.alarm_id)
        if alarm.exists and not alarm.ended:
            events.append(AlarmEnded(**e.model_dump()))
    return events


def acknowledge_alarm(given: Given, *, alarm_id: Name, note: Words = "") -> list[Event]:
    """Say that somebody saw it; from now on a clear rise raises the next one."""
    alarm = given(Alarm, alarm_id)
    if not alarm.exists:
        raise no_such("alarm", alarm_id)
    return [] if alarm.acknowledged else [AlarmAcknowledged(alarm_id=alarm_id, note=note, by=given.actor)]


# --- rules ---


def create_rule(given: Given, *, rule: Rule) -> list[Event]:
    """Begin to watch for something. What was there before is not new to a rule for new badcases."""
    return [RuleCreated(rule_id=given.new_id("rul"), definition=rule.model_dump(mode="json"), by=given.actor)]


def change_rule(given: Given, *, rule_id: Name, rule: Rule) -> list[Event]:
    """Let a rule say something else; its alarms keep the version that raised them."""
    before = _rule(given, rule_id)
    if before.rule == rule:
        return []
    if before.rule is not None and before.rule.kind != rule.kind:
        raise Refused(f"{rule_id} is of kind {before.rule.kind}, and stays it", remedy="create another rule")
    return [
        RuleChanged(rule_id=rule_id, version=before.number + 1, definition=rule.model_dump(mode="json"), by=given.actor)
    ]


def pause_rule(given: Given, *, rule_id: Name, reason: Words = "") -> list[Event]:
    """Let a rule raise nothing until it is resumed."""
    if _rule(given, rule_id).word != "active":
        return []
    return [RulePaused(rule_id=rule_id, reason=reason, by=given.actor)]


def resume_rule(given: Given, *, rule_id: Name) -> list[Event]:
    """Take a pause or a deletion back."""
    return [] if _rule(given, rule_id).word == "active" else [RuleResumed(rule_id=rule_id, by=given.actor)]


def delete_rule(given: Given, *, rule_id: Name) -> list[Event]:
    """Take a rule off the list; its alarms stay, and `resume_rule` brings it back."""
    return [] if _rule(given, rule_id).word == "deleted" else [RuleDeleted(rule_id=rule_id, by=given.actor)]


def mute_rule(given: Given, *, rule_id: Name, until: datetime, reason: Words, bundle: Bundle = "") -> list[Event]:
    """Let a rule raise nothing about a bundle (empty: about anything) until a moment, at most a year ahead."""
    state = _rule(given, rule_id)
    until = end_of_mute(given, until, reason)
    if state.muted.get(bundle) == until:
        return []
    return [RuleMuted(rule_id=rule_id, bundle=bundle, until=until, reason=reason, by=given.actor)]


def unmute_rule(given: Given, *, rule_id: Name, bundle: Bundle = "", elapsed: bool = False) -> list[Event]:
    """End a mute; with *elapsed* only if its time has come."""
    until = _rule(given, rule_id).muted.get(bundle)
    if until is None or (elapsed and until > given.now):
        return []
    return [RuleUnmuted(rule_id=rule_id, bundle=bundle, elapsed=elapsed, by=given.actor)]


def undo_rule(given: Given, *, rule_id: Name) -> list[Event]:
    """Take the last thing back that was done to a rule, except that a mute ended; twice is as it was."""
    undo = _rule(given, rule_id).undo
    if undo is None:
        raise Refused(f"nothing was done to {rule_id} that can be taken back", remedy="change it, or mute it again")
    return [undo.model_copy(update={"by": given.actor})]


def _rule(given: Given, rule_id: str) -> RuleState:
    state = given(RuleState, rule_id)
    if not state.exists and rule_id not in BUILT_IN:
        raise no_such("rule", rule_id)
    return state


# --- deliveries ---


def plan_deliveries(
    given: Given, *, alarm_id: Name, occasion: Literal["raised", "ended"], targets: list[tuple[str, str]]
) -> list[Event]:
    """Write down to whom an alarm is to be told: (channel, target) pairs. Their message ids follow from it."""
    events: list[Event] = []
    for channel, target in targets:
        delivery_id = f"msg_{derived_id('delivery', alarm_id, occasion, channel, target).hex()}"
        if not given(Delivery, delivery_id).exists:
            events.append(
                DeliveryPlanned.model_validate(
                    {
                        "delivery_id": delivery_id,
                        "alarm_id": alarm_id,
                        "occasion": occasion,
                        "channel": channel,
                        "target": target,
                    }
                )
            )
    return events


def record_delivery(
    given: Given, *, delivery_id: Name, alarm_id: Name, attempt: int, reason: str | None = None, final: bool = False
) -> list[Event]:
    """What came of a try: *reason* None: it was taken. *final*: another try would not help."""
    delivery = given(Delivery, delivery_id)
    if not delivery.is_open or attempt <= delivery.attempts:
        return []
    if reason is None:
        return [DeliveryMade(delivery_id=delivery_id, alarm_id=alarm_id, attempt=attempt)]
    gives_up = final or attempt > len(BACK_OFF)
    again_at = None if gives_up else given.now + BACK_OFF[attempt - 1]
    return [
        DeliveryFailed(
            delivery_id=delivery_id, alarm_id=alarm_id, attempt=attempt, reason=reason[:500], again_at=again_at
        )
    ]
