"""What decisions need to know of one badcase, cause, iteration or corrected report."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

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
    CauseDeleted,
    CauseExtended,
    CauseMerged,
    CauseNamed,
    CauseReduced,
    CauseRemedyChosen,
    CauseRenamed,
    CauseReopened,
    CauseTakenBack,
    CommentDeleted,
    CommentEdited,
    CommentWritten,
    IterationClosed,
    IterationOpened,
    ProposalDismissed,
    ReportCorrected,
)
from mlife.badcases.undoing import Action, Actions
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
        self.priority_reason = ""
        self.muted_until: datetime | None = None
        self.rejected: str | None = None
        self.closed_by: str | None = None
        self.regressed_by: str | None = None
        self.pinned: set[str] = set()
        self.actions = Actions()

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""
        match event:
            case BadcaseTriaged():
                self._did("triaged", triaged=True)
            case BadcaseAssigned():
                self._did("assigned", owner=event.owner)
            case BadcasePrioritised():
                self._did("prioritised", priority=event.priority, priority_reason=event.reason)
            case BadcaseMuted():
                self._did("muted", muted_until=event.until)
            case BadcaseUnmuted():
                self._did("unmuted", by_person=not event.elapsed, muted_until=None)
            case BadcasePinned():
                self.pinned.update(row["sha256"] for row in event.rows)
            case BadcaseTakenBack():
                self._take_back(event)
            case _:
                self._settle(event)

    def _settle(self, event: Event) -> None:
        match event:
            case BadcaseRejected():
                self._did("rejected", rejected=event.reason)
            case BadcaseReopened(judged=True):
                self._did("judged again", by_person=False, closed_by=None, regressed_by=None)
            case BadcaseReopened():
                self._did("reopened", rejected=None, closed_by=None, triaged=True)
            case BadcaseClosed():
                self._did("closed", by_person=False, closed_by=event.model_id, regressed_by=None)
            case BadcaseRegressed():
                self._did("regressed", by_person=False, closed_by=None, regressed_by=event.model_id)

    def _did(self, what: str, *, by_person: bool = True, **after: Any) -> None:
        before = {name: getattr(self, name) for name in after}
        self.actions.add(Action(self.version + 1, what, before, by_person))
        for name, value in after.items():
            setattr(self, name, value)

    def _take_back(self, event: BadcaseTakenBack) -> None:
        self.actions.drop(event.version)
        for name in PEOPLES:
            setattr(self, name, getattr(event, name))


PEOPLES = ("triaged", "owner", "priority", "priority_reason", "muted_until", "rejected", "closed_by")
"""What people set of a badcase, and taking back restores."""


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


class Comments(State):
    """The comments of a badcase: id → text (as stored, so perhaps sealed), those that were deleted left out."""

    category = "comments"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.texts: dict[str, str] = {}

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""
        match event:
            case CommentWritten() | CommentEdited():
                self.texts[event.comment_id] = event.text
            case CommentDeleted():
                self.texts.pop(event.comment_id, None)


class Cause(State):
    """A named cause: its badcases and the remedy chosen. `ended`: empty, `deleted` or `merged` (into `into`)."""

    category = "cause"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.system = self.function = ""
        self.words = ("", "")
        self.badcase_ids: set[str] = set()
        self.remedy = NO_REMEDY
        self.ended: Literal["", "deleted", "merged"] = ""
        self.into = ""
        self.merged_in: dict[int, str] = {}
        self.actions = Actions()

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""
        match event:
            case CauseNamed():
                self.system, self.function = event.system, event.function
                self.words = (event.title, event.explanation)
                self.badcase_ids.update(event.badcase_ids)
            case CauseRenamed():
                self._did("renamed", words=(event.title, event.explanation))
            case CauseRemedyChosen():
                self._did("remedy_chosen", remedy=remedy_of(event))
            case CauseExtended() | CauseReduced():
                self._regroup(event)
            case CauseTakenBack():
                self._take_back(event)
            case _:
                self._end(event)

    def _regroup(self, event: CauseExtended | CauseReduced) -> None:
        more = isinstance(event, CauseExtended)
        changed = [b for b in event.badcase_ids if (b in self.badcase_ids) is not more]
        if isinstance(event, CauseExtended) and event.merged_id is not None:
            self.merged_in[self.version + 1] = event.merged_id
        before = dict.fromkeys(changed, not more)
        self.actions.add(Action(self.version + 1, "extended" if more else "reduced", before))
        (self.badcase_ids.update if more else self.badcase_ids.difference_update)(changed)

    def _end(self, event: Event) -> None:
        match event:
            case CauseMerged():
                self.into = event.into_cause_id
                self._did("merged", ended="merged")
            case CauseDeleted():
                self._did("deleted", ended="deleted")
            case CauseReopened():
                self._did("reopened", ended="")

    def _did(self, what: str, **after: Any) -> None:
        self.actions.add(Action(self.version + 1, what, {name: getattr(self, name) for name in after}))
        for name, value in after.items():
            setattr(self, name, value)

    def _take_back(self, event: CauseTakenBack) -> None:
        self.actions.drop(event.version)
        self.merged_in.pop(event.version, None)
        self.words, self.remedy = (event.title, event.explanation), remedy_of(event)
        if event.what in ("extended", "reduced"):
            self.badcase_ids.update(event.added)
            self.badcase_ids.difference_update(event.removed)
        self.ended = event.ended


Remedy = tuple[str | None, str, str, tuple[tuple[str, int], ...], str]
"""What is done, a note, what to collect, how much of each label, and the query of what to exclude."""
NO_REMEDY: Remedy = (None, "", "", (), "")


def remedy_of(event: CauseRemedyChosen | CauseTakenBack) -> Remedy:
    """The remedy as an event says it."""
    return event.remedy, event.note, event.collect, tuple(sorted(event.wanted.items())), event.query


class Proposal(State):
    """A cause that was proposed: was it dismissed?"""

    category = "proposal"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.dismissed = False

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""
        self.dismissed = isinstance(event, ProposalDismissed)


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
