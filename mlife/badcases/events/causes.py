"""Causes: why badcases happen, and what is done about it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mlife.core.events import Event, event


@event("mlife.cause.named", stream="cause/{cause_id}", key="cause_id")
class CauseNamed(Event):
    """
    A person says why several badcases happen.

    Fields:
        proposal_id: the proposal that the person took, if it was one.
    """

    cause_id: str
    system: str
    function: str
    title: str
    explanation: str = ""
    badcase_ids: tuple[str, ...] = ()
    by: str | None = None
    proposal_id: str | None = None


@event("mlife.cause.renamed", stream="cause/{cause_id}", key="cause_id")
class CauseRenamed(Event):
    """A person says it in other words."""

    cause_id: str
    title: str
    explanation: str = ""
    by: str | None = None


@event("mlife.cause.extended", stream="cause/{cause_id}", key="cause_id")
class CauseExtended(Event):
    """
    More badcases have this cause.

    Fields:
        merged_id: the cause that was merged into this one and had them.
    """

    cause_id: str
    badcase_ids: tuple[str, ...] = Field(min_length=1)
    by: str | None = None
    merged_id: str | None = None


@event("mlife.cause.reduced", stream="cause/{cause_id}", key="cause_id")
class CauseReduced(Event):
    """Badcases don't have this cause after all."""

    cause_id: str
    badcase_ids: tuple[str, ...] = Field(min_length=1)
    by: str | None = None


@event("mlife.cause.remedy_chosen", stream="cause/{cause_id}", key="cause_id")
class CauseRemedyChosen(Event):
    """
    What is done about it.

    Fields:
        collect: what to collect, in words. wanted: label → rows of it; with them a collection is requested.
        query: over rows of training data: those that are to be excluded.
    """

    cause_id: str
    remedy: Literal["collect", "exclude", "relabel", "fix_code", "wont_fix"]
    note: str = ""
    by: str | None = None
    collect: str = ""
    wanted: dict[str, int] = Field(default_factory=dict)
    query: str = ""


@event("mlife.cause.merged", stream="cause/{cause_id}", key="cause_id")
class CauseMerged(Event):
    """It is the same as another cause, which has its badcases from now on."""

    cause_id: str
    into_cause_id: str
    by: str | None = None


@event("mlife.cause.deleted", stream="cause/{cause_id}", key="cause_id")
class CauseDeleted(Event):
    """It is no cause; its badcases are without it."""

    cause_id: str
    reason: str
    by: str | None = None


@event("mlife.cause.reopened", stream="cause/{cause_id}", key="cause_id")
class CauseReopened(Event):
    """It is a cause after all, of the badcases that it had."""

    cause_id: str
    badcase_ids: tuple[str, ...] = ()
    by: str | None = None


@event("mlife.cause.taken_back", stream="cause/{cause_id}", key="cause_id")
class CauseTakenBack(Event):
    """
    A person took an action back; what it changed is as it was before.

    Fields:
        what: the action. version: of its event, in the cause's stream.
        added, removed: badcases that are counted for it again, and no more.
        title, explanation, remedy, note, collect, wanted, query: as they are from now on; remedy None: none chosen.
        ended: empty: it is a cause; else `deleted` or `merged`.
    """

    cause_id: str
    what: Literal["renamed", "extended", "reduced", "remedy_chosen", "merged", "deleted", "reopened"]
    version: int = Field(ge=1)
    title: str
    explanation: str = ""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    remedy: str | None = None
    note: str = ""
    collect: str = ""
    wanted: dict[str, int] = Field(default_factory=dict)
    query: str = ""
    ended: Literal["", "deleted", "merged"] = ""
    by: str | None = None


@event("mlife.proposal.dismissed", stream="proposal/{proposal_id}", key="proposal_id")
class ProposalDismissed(Event):
    """
    What badcases share is no cause: it is not proposed again.

    Fields:
        proposal_id: a function of system, function, attribute and value.
        attribute, value: what they share, e.g. `place` and `tunnel`.
    """

    proposal_id: str
    system: str
    function: str
    attribute: str
    value: str
    by: str | None = None


@event("mlife.proposal.restored", stream="proposal/{proposal_id}", key="proposal_id")
class ProposalRestored(Event):
    """A dismissal is taken back: it may be proposed again."""

    proposal_id: str
    by: str | None = None
