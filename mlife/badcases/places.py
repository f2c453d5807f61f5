"""Where badcases are counted and by which rule reports are told apart, as decisions need to know it."""

from __future__ import annotations

from mlife.badcases.events.grouping import (
    BadcaseMerged,
    BadcaseRejoined,
    BadcaseSplit,
    BadcaseUnmerged,
    GroupingApplied,
    GroupingRuled,
    GroupingUnapplied,
    LikenessChosen,
    SuggestionDismissed,
    SuggestionRestored,
)
from mlife.badcases.fingerprint import PLAIN, Rule
from mlife.badcases.functions import function_id
from mlife.core.command import State
from mlife.core.events import Event
from mlife.core.ports import EventStore


class Place(State):
    """
    What people decided about which reports a badcase counts: the other state of its stream.

    Attributes:
        merged_into: the badcase that it is counted in; None: in itself.
        split: how it was split off, if a person made it so. rejoined: and taken back since.
    """

    category = "badcase"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.merged_into: str | None = None
        self.split: BadcaseSplit | None = None
        self.rejoined = False

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""
        match event:
            case BadcaseMerged():
                self.merged_into = event.into
            case BadcaseUnmerged():
                self.merged_into = None
            case BadcaseSplit():
                self.split, self.rejoined = event, False
            case BadcaseRejoined():
                self.rejoined = True


class Ruling(State):
    """The rule by which a function's reports are told apart, and the applications of rules to its old reports."""

    category = "grouping"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.rule = PLAIN
        self.applied: dict[str, int] = {}

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""
        match event:
            case GroupingRuled():
                self.rule = rule_in(event)
            case GroupingApplied():
                self.applied[event.application_id] = event.revision
            case GroupingUnapplied():
                self.applied.pop(event.application_id, None)


def rule_in(event: GroupingRuled) -> Rule:
    """The rule that an event makes."""
    return Rule(event.revision, event.template, event.fields)


def rule_of(store: EventStore, system: str, function: str) -> Rule:
    """The rule of a function now, read from the log."""
    for recorded in reversed(store.read_stream(f"grouping/{function_id(system, function)}")):
        if isinstance(recorded.event, GroupingRuled):
            return rule_in(recorded.event)
    return PLAIN


class Compared(State):
    """By which embedders badcases of a function are compared; None: whatever is installed."""

    category = "likeness"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.embedders: tuple[str, ...] | None = None

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""
        if isinstance(event, LikenessChosen):
            self.embedders = event.embedders


class Dismissal(State):
    """Whether a suggestion is dismissed."""

    category = "suggestion"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.dismissed = False

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""
        match event:
            case SuggestionDismissed():
                self.dismissed = True
            case SuggestionRestored():
                self.dismissed = False
