"""Alarms: what a rule found, whether somebody saw it, whether it is over, and whom it was told to."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from mlife.badcases.events.moments import From
from mlife.core.events import Event, event

JSON = dict[str, Any]


@event("mlife.alarm.raised", stream="alarm/{alarm_id}", key="alarm_id")
class AlarmRaised(Event):
    """
    Failures of one function that came together: one alarm for all badcases of one shift.

    Fields:
        badcase_ids: the new or rising badcases, most reports first, at most 200.
        badcases: how many there are. reports: how many reports they have.
        rate: reports per request in the window; None without traffic counts. usual: the rate before it.
        rule_id, rule_version: the rule that raised it; None: before there were rules, so the built-in one.
        bundle: what one alarm of the rule is about: system, function, and version or cause, with slashes.
        basis: what `value` and `usual` are of: `requests` or `days` for a rate, else what is counted.
        value: what crossed the rule's upper line; None where the rule has none.
        p_value: of the exact rate test; None where none was made.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    alarm_id: str
    system: str
    function: str
    version: str
    from_: From
    to: datetime
    badcase_ids: tuple[str, ...]
    badcases: int
    reports: int
    rate: float | None
    usual: float | None
    sentence: str
    rule_id: str | None = None
    rule_version: int | None = None
    kind: str | None = None
    bundle: str | None = None
    cause_id: str | None = None
    basis: str | None = None
    value: float | None = None
    p_value: float | None = None


@event("mlife.alarm.acknowledged", stream="alarm/{alarm_id}", key="alarm_id")
class AlarmAcknowledged(Event):
    """A person saw it."""

    alarm_id: str
    note: str = ""
    by: str | None = None


@event("mlife.alarm.ended", stream="alarm/{alarm_id}", key="alarm_id")
class AlarmEnded(Event):
    """What raised it has fallen to the rule's lower line. `value`: where it stands now, as in the alarm."""

    alarm_id: str
    value: float | None
    sentence: str


@event("mlife.rule.created", stream="rule/{rule_id}", key="rule_id")
class RuleCreated(Event):
    """
    A person wants to be told of something.

    Fields:
        definition: the rule whole, as `mlife.badcases.alarms.Rule` has it.
    """

    rule_id: str
    definition: JSON
    by: str | None = None


@event("mlife.rule.changed", stream="rule/{rule_id}", key="rule_id")
class RuleChanged(Event):
    """A rule says something else from now on; `version` counts its texts, from 1. `definition`: the new one, whole."""

    rule_id: str
    version: int = Field(ge=2)
    definition: JSON
    by: str | None = None


@event("mlife.rule.paused", stream="rule/{rule_id}", key="rule_id")
class RulePaused(Event):
    """It raises nothing until somebody resumes it."""

    rule_id: str
    reason: str = ""
    by: str | None = None


@event("mlife.rule.resumed", stream="rule/{rule_id}", key="rule_id")
class RuleResumed(Event):
    """A pause or a deletion is taken back."""

    rule_id: str
    by: str | None = None


@event("mlife.rule.deleted", stream="rule/{rule_id}", key="rule_id")
class RuleDeleted(Event):
    """Nobody needs it any more; its alarms stay, and resuming brings it back."""

    rule_id: str
    by: str | None = None


@event("mlife.rule.muted", stream="rule/{rule_id}", key="rule_id")
class RuleMuted(Event):
    """A rule raises nothing about a bundle until a moment. `bundle`: as in its alarms; empty: about anything."""

    rule_id: str
    bundle: str = ""
    until: datetime
    reason: str
    by: str | None = None


@event("mlife.rule.unmuted", stream="rule/{rule_id}", key="rule_id")
class RuleUnmuted(Event):
    """The mute is over: its time came, or a person ended it."""

    rule_id: str
    bundle: str = ""
    elapsed: bool
    by: str | None = None


@event("mlife.delivery.planned", stream="delivery/{delivery_id}", key="alarm_id")
class DeliveryPlanned(Event):
    """
    An alarm is to be told to somebody outside.

    Fields:
        delivery_id: the id of the message, the same in every try.
        occasion: what is told.
        channel, target: how and to whom, as it may be shown; the whole address is a setting.
    """

    delivery_id: str
    alarm_id: str
    occasion: Literal["raised", "ended"]
    channel: Literal["webhook", "mail"]
    target: str


@event("mlife.delivery.made", stream="delivery/{delivery_id}", key="alarm_id")
class DeliveryMade(Event):
    """The target took it. `attempt`: the try that succeeded, from 1."""

    delivery_id: str
    alarm_id: str
    attempt: int


@event("mlife.delivery.failed", stream="delivery/{delivery_id}", key="alarm_id")
class DeliveryFailed(Event):
    """The target did not take it. `again_at`: when the next try is due; None: given up."""

    delivery_id: str
    alarm_id: str
    attempt: int
    reason: str
    again_at: datetime | None
