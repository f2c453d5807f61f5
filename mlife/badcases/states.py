"""What decisions need to know of one badcase, cause, alarm, iteration or corrected report."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mlife.badcases.events import (
    AlarmAcknowledged,
    AlarmRaised,
    BadcaseAssigned,
    BadcaseClosed,
    BadcaseMuted,
    BadcasePinned,
    BadcasePrioritised,
    BadcaseRegressed,
    BadcaseRejected,
    BadcaseReopened,
    BadcaseTriaged,
    BadcaseUnmuted,
    CauseExtended,
    CauseNamed,
    CauseRemedyChosen,
    IterationClosed,
    IterationOpened,
    ReportCorrected,
)
from mlife.core.command import State
from mlife.core.events import Event


class Badcase(State):
    """
    What people and handlers did to a badcase. Its reports are streams of their own, so a badcase that nobody touched
    has no events: whether it exists is for the query tables to say.
    """

    category = "badcase"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.triaged = False
        self.owner: str | None = None
        self.priority: float | None = None
        self.muted_until: datetime | None = None
        self.rejected: str | None = None
        self.closed_by: str | None = None
        self.regressed_by: str | None = None
        self.pinned: set[str] = set()

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""
        match event:
            case BadcaseTriaged():
                self.triaged = True
            case BadcaseAssigned():
                self.owner = event.owner
            case BadcasePrioritised():
                self.priority = event.priority
            case BadcaseMuted():
                self.muted_until = event.until
            case BadcaseUnmuted():
                self.muted_until = None
            case BadcasePinned():
                self.pinned.update(row["sha256"] for row in event.rows)
            case _:
                self._settle(event)

    def _settle(self, event: Event) -> None:
        match event:
            case BadcaseRejected():
                self.rejected = event.reason
            case BadcaseReopened():
                self.rejected = self.closed_by = None
                self.triaged = True
            case BadcaseClosed():
                self.closed_by, self.regressed_by = event.model_id, None
            case BadcaseRegressed():
                self.closed_by, self.regressed_by = None, event.model_id


class Correction(State):
    """The last correction of a report: where it is counted now, and the truth it has."""

    category = "correction"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.badcase_id: str | None = None
        self.truth: dict[str, Any] | None = None

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""
        if isinstance(event, ReportCorrected):
            self.badcase_id, self.truth = event.badcase_id, event.truth


class Cause(State):
    """A named cause: its badcases and the remedy chosen."""

    category = "cause"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.badcase_ids: set[str] = set()
        self.remedy: tuple[str, str] | None = None

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""
        match event:
            case CauseNamed() | CauseExtended():
                self.badcase_ids.update(event.badcase_ids)
            case CauseRemedyChosen():
                self.remedy = (event.remedy, event.note)


class Alarm(State):
    """An alarm, and whether somebody saw it."""

    category = "alarm"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.acknowledged = False

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""
        match event:
            case AlarmRaised():
                self.acknowledged = False
            case AlarmAcknowledged():
                self.acknowledged = True


class Iteration(State):
    """One turn of the loop: open until it has an outcome."""

    category = "iteration"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.outcome: str | None = None

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""
        match event:
            case IterationOpened():
                self.outcome = None
            case IterationClosed():
                self.outcome = event.outcome
