"""What people and handlers do to a badcase."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from mlife.core.events import Event, event

JSON = dict[str, Any]


@event("mlife.badcase.triaged", stream="badcase/{badcase_id}", key="badcase_id")
class BadcaseTriaged(Event):
    """A person looked at it and takes it seriously."""

    badcase_id: str
    note: str = ""
    by: str | None = None


@event("mlife.badcase.assigned", stream="badcase/{badcase_id}", key="badcase_id")
class BadcaseAssigned(Event):
    """Somebody owns it now; None: nobody."""

    badcase_id: str
    owner: str | None
    by: str | None = None


@event("mlife.badcase.prioritised", stream="badcase/{badcase_id}", key="badcase_id")
class BadcasePrioritised(Event):
    """A person overrides the computed priority (0 to 100); None: computed again."""

    badcase_id: str
    priority: float | None = Field(ge=0, le=100)
    reason: str
    by: str | None = None


@event("mlife.badcase.muted", stream="badcase/{badcase_id}", key="badcase_id")
class BadcaseMuted(Event):
    """It asks for no attention until a moment."""

    badcase_id: str
    until: datetime
    reason: str
    by: str | None = None


@event("mlife.badcase.unmuted", stream="badcase/{badcase_id}", key="badcase_id")
class BadcaseUnmuted(Event):
    """The mute is over: its time came, or a person ended it."""

    badcase_id: str
    elapsed: bool
    by: str | None = None


@event("mlife.badcase.rejected", stream="badcase/{badcase_id}", key="badcase_id")
class BadcaseRejected(Event):
    """A person decided that it is no target."""

    badcase_id: str
    reason: Literal["not_a_failure", "truth_was_wrong", "wont_fix"]
    note: str = ""
    by: str | None = None


@event("mlife.badcase.reopened", stream="badcase/{badcase_id}", key="badcase_id")
class BadcaseReopened(Event):
    """
    A rejection or a closing is taken back.

    Fields:
        judged: not by a person: what is counted in it now is not what was judged. Its closing and its return are over,
            and what people set stays.
    """

    badcase_id: str
    reason: str
    judged: bool = False
    by: str | None = None


@event("mlife.badcase.taken_back", stream="badcase/{badcase_id}", key="badcase_id")
class BadcaseTakenBack(Event):
    """
    A person took an action back; what it changed is as it was before.

    Fields:
        what: the action. version: of its event, in the badcase's stream.
        triaged, owner, priority, priority_reason, muted_until, rejected, closed_by: as they are from now on.
    """

    badcase_id: str
    what: Literal["triaged", "assigned", "prioritised", "muted", "unmuted", "rejected", "reopened"]
    version: int = Field(ge=1)
    triaged: bool
    owner: str | None = None
    priority: float | None = Field(default=None, ge=0, le=100)
    priority_reason: str = ""
    muted_until: datetime | None = None
    rejected: str | None = None
    closed_by: str | None = None
    by: str | None = None


@event("mlife.badcase.pinned", stream="badcase/{badcase_id}", key="badcase_id")
class BadcasePinned(Event):
    """
    Add to Test Data: files of its reports become testing rows of its function's test document.

    Fields:
        rows: `{"uid", "sha256", "annotation", "must_pass"}`, each a report's file with its truth; only files that were
            not pinned before.
        document_id: the function's test document (`doc-test-…`, a function of system and function).
    """

    badcase_id: str
    system: str
    function: str
    document_id: str
    rows: tuple[JSON, ...] = Field(min_length=1)
    iteration_id: str | None = None
    by: str | None = None


@event("mlife.badcase.closed", stream="badcase/{badcase_id}", key="badcase_id")
class BadcaseClosed(Event):
    """
    Fixed by an active model and not regressed after its bake.

    Fields:
        bake: requests that the model answered since its activation.
    """

    badcase_id: str
    model_id: str
    deployment_id: str
    bake: int
    sentence: str
    iteration_id: str | None = None


@event("mlife.badcase.regressed", stream="badcase/{badcase_id}", key="badcase_id")
class BadcaseRegressed(Event):
    """
    A model that had fixed it (by its verdict), or replaced one that had, fails on it again in the field.

    Fields:
        model_id: the model that the reports came from.
        fixed_by: the model with the verdict `fixed` that it is measured against (itself or an ancestor).
        files: distinct files reported against it. requests: traffic that it answered. accepted: the residual share of
        failures accepted at the verdict. p_value: of the exact rate test.
    """

    badcase_id: str
    model_id: str
    fixed_by: str
    deployment_id: str | None
    files: int
    requests: int
    accepted: float
    p_value: float
    sentence: str
    iteration_id: str | None = None
