"""What decisions need to know of one alarm, rule or delivery."""

from __future__ import annotations

from datetime import datetime

from mlife.badcases.alarms import ACTIVE_FROM_THE_START, BUILT_IN, Rule
from mlife.badcases.events.alarms import (
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
from mlife.core.command import State
from mlife.core.events import Event


class Alarm(State):
    """An alarm, whether somebody saw it, and whether it is over."""

    category = "alarm"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.acknowledged = False
        self.ended = False

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""
        match event:
            case AlarmRaised():
                self.acknowledged = self.ended = False
            case AlarmAcknowledged():
                self.acknowledged = True
            case AlarmEnded():
                self.ended = True


class RuleState(State):
    """A rule: its text, whether it is active, and what it is muted about. Built-in ones need no event."""

    category = "rule"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.rule: Rule | None = BUILT_IN.get(id)
        self.number = 1
        self.word = "active" if id in ACTIVE_FROM_THE_START or id not in BUILT_IN else "paused"
        self.muted: dict[str, datetime] = {}
        self.undo: Event | None = None
        """What would take the last event back."""

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""
        self.undo = self._undoing(event)
        match event:
            case RuleCreated():
                self.rule = Rule.model_validate(event.definition)
            case RuleChanged():
                self.rule, self.number = Rule.model_validate(event.definition), event.version
            case RulePaused():
                self.word = "paused"
            case RuleResumed():
                self.word = "active"
            case RuleDeleted():
                self.word = "deleted"
            case RuleMuted():
                self.muted[event.bundle] = event.until
            case RuleUnmuted():
                self.muted.pop(event.bundle, None)

    def _undoing(self, event: Event) -> Event | None:
        match event:
            case RuleCreated():
                return RuleDeleted(rule_id=self.id)
            case RuleChanged() if self.rule is not None:
                before = self.rule.model_dump(mode="json")
                return RuleChanged(rule_id=self.id, version=event.version + 1, definition=before)
            case RulePaused() | RuleResumed() | RuleDeleted():
                again: dict[str, Event] = {
                    "active": RuleResumed(rule_id=self.id),
                    "paused": RulePaused(rule_id=self.id),
                    "deleted": RuleDeleted(rule_id=self.id),
                }
                return again[self.word]
            case RuleMuted():
                return RuleUnmuted(rule_id=self.id, bundle=event.bundle, elapsed=False)
        return None


class Delivery(State):
    """A message on its way."""

    category = "delivery"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.attempts = 0
        self.is_open = False

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""
        match event:
            case DeliveryPlanned():
                self.is_open = True
            case DeliveryMade():
                self.attempts, self.is_open = event.attempt, False
            case DeliveryFailed():
                self.attempts, self.is_open = event.attempt, event.again_at is not None
