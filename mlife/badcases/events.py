"""What happens to reports, badcases, causes, alarms and iterations. Topic `mlife.badcases`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, ConfigDict, Field

from mlife.core.events import Event, Personal, event

JSON = dict[str, Any]
From = Annotated[datetime, Field(validation_alias=AliasChoices("from", "from_"), serialization_alias="from")]
"""`from` is a keyword in Python and the plain word in JSON."""


@event("mlife.badcase.reported", stream="report/{uid}", key="badcase_id", single=True)
class BadcaseReported(Event):
    """
    A client, a tester or a monitor saw a deployed model fail (or met a rare or long-tail case).

    The fields are the report as it was sent (`mlife.badcases.report.Report` says what is allowed in) and what intake
    added. Nothing is trimmed or rounded.

    Fields:
        data: links to the original data, at least one; `sha256` where it is known, `pending` where bytes follow.
        prediction: what the model said, typed (`{"type": "class", "label": "4", "score": 0.91}`).
        truth: what is right, typed; None if unknown.
        report_id: the client's own key, or the SHA-256 of the content; unique for its client.
        uid: SHA-256 of client and report_id, 32 hex digits: the report's name in MLife.
        badcase_id: a function of fingerprint and its version.
        content_sha256: of the canonical JSON of the report as sent.

    Source: the paper's BAM section; contract "A report, as a client sends it".
    """

    system: str
    function: str
    version: str
    level: Literal["system", "model"] = "model"
    model_ids: tuple[str, ...] = ()
    data: Annotated[tuple[JSON, ...], Personal] = Field(min_length=1)
    prediction: JSON
    truth: JSON | None = None
    description: Annotated[str | None, Personal] = None
    client: Annotated[str | None, Personal] = None
    device: Annotated[str | None, Personal] = None
    reporter: Annotated[str | None, Personal] = None
    severity: Literal["minor", "major", "critical"] | None = None
    observed_at: datetime
    kind: Literal["failure", "rare", "long_tail"] = "failure"
    fields: Annotated[JSON, Personal] = Field(default_factory=dict)
    key: str | None = None
    report_id: str
    uid: str
    badcase_id: str
    fingerprint: str
    fingerprint_version: int = Field(ge=1)
    content_sha256: str


@event("mlife.report.corrected", stream="correction/{uid}", key="badcase_id")
class ReportCorrected(Event):
    """
    The truth of a report was added, disputed or mended; the report moves to the badcase that it then belongs to.

    Fields:
        truth: the truth from now on; None: disputed, unknown again.
        from_badcase_id: where the report was counted before.
    """

    uid: str
    truth: JSON | None
    reason: str
    from_badcase_id: str
    badcase_id: str
    fingerprint: str
    fingerprint_version: int = Field(ge=1)
    by: str | None = None


@event("mlife.traffic.counted", stream="traffic/{uid}", key="function", single=True)
class TrafficCounted(Event):
    """
    So many requests were answered in an interval, right or wrong: what rates and bakes are measured against.

    Fields:
        uid: SHA-256 of everything but the count, 32 hex digits: the same interval counts once.
        from_, to: the interval, UTC, half open.
        count: requests answered.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    system: str
    function: str
    version: str
    client: Annotated[str | None, Personal] = None
    device: Annotated[str | None, Personal] = None
    from_: From
    to: datetime
    count: int = Field(ge=0)
    uid: str


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
    """A rejection or a closing is taken back."""

    badcase_id: str
    reason: str
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


@event("mlife.cause.named", stream="cause/{cause_id}", key="cause_id")
class CauseNamed(Event):
    """A person (or a proposal that a person took) says why several badcases happen."""

    cause_id: str
    system: str
    function: str
    title: str
    explanation: str = ""
    badcase_ids: tuple[str, ...] = ()
    by: str | None = None


@event("mlife.cause.extended", stream="cause/{cause_id}", key="cause_id")
class CauseExtended(Event):
    """More badcases have this cause."""

    cause_id: str
    badcase_ids: tuple[str, ...] = Field(min_length=1)
    by: str | None = None


@event("mlife.cause.remedy_chosen", stream="cause/{cause_id}", key="cause_id")
class CauseRemedyChosen(Event):
    """What is done about it."""

    cause_id: str
    remedy: Literal["collect", "exclude", "relabel", "fix_code", "wont_fix"]
    note: str = ""
    by: str | None = None


@event("mlife.alarm.raised", stream="alarm/{alarm_id}", key="alarm_id")
class AlarmRaised(Event):
    """
    Failures of one function that came together: one alarm for all badcases of one shift.

    Fields:
        badcase_ids: the new or rising badcases, most reports first, at most 200.
        badcases: how many there are. reports: how many reports they have.
        rate: reports per request in the window; None without traffic counts. usual: the rate before it.
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


@event("mlife.alarm.acknowledged", stream="alarm/{alarm_id}", key="alarm_id")
class AlarmAcknowledged(Event):
    """A person saw it."""

    alarm_id: str
    note: str = ""
    by: str | None = None


@event("mlife.iteration.opened", stream="iteration/{iteration_id}", key="iteration_id")
class IterationOpened(Event):
    """One turn of the loop begins: these badcases are its target."""

    iteration_id: str
    system: str
    function: str
    title: str
    badcase_ids: tuple[str, ...]
    alarm_id: str | None = None
    cause_id: str | None = None
    by: str | None = None


@event("mlife.iteration.closed", stream="iteration/{iteration_id}", key="iteration_id")
class IterationClosed(Event):
    """The turn is over."""

    iteration_id: str
    outcome: Literal["shipped", "abandoned"]
    deployment_id: str | None = None
    note: str = ""
    by: str | None = None
