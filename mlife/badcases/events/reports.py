"""What comes from outside: reports, their corrections, traffic."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from mlife.badcases.events.moments import From
from mlife.core.events import Event, Personal, event

JSON = dict[str, Any]


@event("mlife.badcase.reported", stream="report/{uid}", key="badcase_id", single=True)
class BadcaseReported(Event):
    """
    A client, a tester or a monitor saw a deployed model fail (or met a rare or long-tail case).

    The fields are the report as it was sent (`mlife.badcases.intake.report.Report` says what is allowed in) and what
    intake added. Nothing is trimmed or rounded.

    Fields:
        data: links to the original data, at least one; `sha256` where it is known, `pending` where bytes follow.
        prediction: what the model said, typed (`{"type": "class", "label": "4", "score": 0.91}`).
        truth: what is right, typed; None if unknown.
        place: where it happened; without it the free field `place` says it, as clients sent it before.
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
    place: Annotated[str | None, Personal] = None
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
        from_badcase_id: what its fingerprint named before; people may have merged that elsewhere.
        position: of the report in the log.
    """

    uid: str
    truth: JSON | None
    reason: str
    from_badcase_id: str
    badcase_id: str
    fingerprint: str
    fingerprint_version: int = Field(ge=1)
    position: int | None = None
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
