"""What the queries answer with: plain rows that pages draw and programs read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mlife.core.query import Listing


@dataclass(frozen=True, slots=True)
class BadcaseView:
    """
    A badcase as lists and pages show it.

    Args:
        truth, prediction: labels where it compares classes; truth None: unknown.
        reports, pictures, clients: how many reports it has, distinct files among them (None: too many for a list to
            count, see `lists.pictures_of`), and clients that it hit.
        rate: reports per 1,000 requests of its function; None without traffic counts.
        severity: the worst that was given, or None.
        priority: 0 to 100. priority_reason: why a person set it; None if it is computed.
        first_version, last_version: the lowest and the highest that it was reported on.
        trend: reports of the last 12 weeks up to the function's latest report.
        preview: SHA-256 of the file of its latest report with one; None if none is stored under one.
        wrong_now: is it wrong in what is active now?
        said: the sentence of its last closing or regression.
    """

    badcase_id: str
    system: str
    function: str
    title: str
    truth: str | None
    prediction: str | None
    status: str
    reports: int
    pictures: int | None
    clients: int
    rate: float | None
    severity: str | None
    priority: float
    priority_reason: str | None
    owner: str | None
    first_at: datetime
    last_at: datetime
    first_version: str
    last_version: str
    trend: Sequence[int]
    preview: str | None
    muted_until: datetime | None
    rejected: str | None
    closed_by: str | None
    regressed_by: str | None
    said: str | None
    fingerprint: str
    fingerprint_version: int
    causes: Sequence[tuple[str, str]] = ()
    iterations: Sequence[tuple[str, str]] = ()

    @property
    def wrong_now(self) -> bool:
        """Is something wrong that was right before?"""
        return self.status in ("regressed", "recurring")


@dataclass(frozen=True, slots=True)
class ReportView:
    """
    A report as lists show it; the whole of it is in the log at `position`.

    Args:
        model_ids: the models that it is against: named by the client, else those of its version; empty: unknown model.
        picture: what tells its file from others. sha256: None if the client did not give it.
    """

    position: int
    uid: str
    badcase_id: str
    system: str
    function: str
    version: str
    model_ids: tuple[str, ...]
    client: str | None
    device: str | None
    place: str | None
    severity: str | None
    kind: str
    observed_at: datetime
    truth: str | None
    prediction: str | None
    score: float | None
    sha256: str | None
    media_type: str | None
    description: str | None


@dataclass(frozen=True, slots=True)
class BadcaseListing(Listing[BadcaseView]):
    """A page of badcases; *reports* is how many reports all that the query finds have."""

    reports: int


@dataclass(frozen=True, slots=True)
class Share:
    """One value of a facet or a statistic: what the query would be narrowed to, and how many there are."""

    value: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Week:
    """Reports observed in the week that begins on the Monday *begins*."""

    begins: datetime
    count: int


@dataclass(frozen=True, slots=True)
class VerdictView:
    """The latest word of the gate on a badcase, for one model; `active` if it answers for the function now."""

    model_id: str
    name: str
    verdict: str
    passes: int
    evidence: int
    low: float
    high: float
    missing: int
    broken: bool
    sentence: str
    position: int
    judged_at: datetime
    active: bool


@dataclass(frozen=True, slots=True)
class VersionCount:
    """
    Reports of a badcase on one version.

    Args:
        model_ids: behind the version; empty: unknown model. old: none of them is active now.
        requests: traffic of the version; None if it was not counted.
        files: distinct files.
    """

    version: str
    model_ids: tuple[str, ...]
    reports: int
    files: int
    first_at: datetime
    last_at: datetime
    requests: int | None
    active: bool

    @property
    def word(self) -> str:
        """What the reports are against."""
        if not self.model_ids:
            return "unknown model"
        return "active model" if self.active else "old model"


@dataclass(frozen=True, slots=True)
class Pin:
    """A file of a badcase that is a testing row; `annotation` is the typed truth."""

    badcase_id: str
    sha256: str
    uid: str
    annotation: Any
    must_pass: bool
    document_id: str


@dataclass(frozen=True, slots=True)
class CauseView:
    """
    A cause with its counts.

    Args:
        remedy: None: none chosen yet. collect, wanted, query: of the remedy; see `CauseRemedyChosen`.
        ended: empty, `deleted` or `merged` (into `into_cause_id`).
        needing_me: badcases that wait for a person's first look.
    """

    cause_id: str
    system: str
    function: str
    title: str
    explanation: str
    remedy: str | None
    remedy_note: str | None
    named_by: str | None
    named_at: datetime
    badcases: int
    open_badcases: int
    reports: int
    needing_me: int = 0
    collect: str = ""
    wanted: Mapping[str, int] = field(default_factory=dict)
    query: str = ""
    ended: str = ""
    into_cause_id: str | None = None
    position: int = 0


@dataclass(frozen=True, slots=True)
class AlarmView:
    """
    An alarm.

    Args:
        acknowledged_at: None: nobody saw it yet. ended_at, ended: when it was over, and the sentence of that.
        rule_id, rule_version, kind: what raised it. bundle: what it is about, in the rule's own words.
        basis: what `usual` and `value` are of: requests or days.
    """

    alarm_id: str
    system: str
    function: str
    version: str
    from_at: datetime
    to_at: datetime
    badcase_ids: tuple[str, ...]
    badcases: int
    reports: int
    rate: float | None
    usual: float | None
    sentence: str
    raised_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    note: str | None
    rule_id: str
    rule_version: int
    kind: str
    bundle: str
    cause_id: str | None
    basis: str | None
    value: float | None
    p_value: float | None
    ended_at: datetime | None
    ended: str | None

    @property
    def firing(self) -> bool:
        """Is it still so, as far as anybody knows? News is over once it was seen."""
        if self.kind == "new_badcase":
            return self.acknowledged_at is None
        return self.ended_at is None


@dataclass(frozen=True, slots=True)
class IterationView:
    """
    One turn of the loop.

    Args:
        outcome: None: still open. by_status: its badcases by status.
        query: what found its target, frozen at position `frozen_at`; empty: they were chosen one by one.
    """

    iteration_id: str
    system: str
    function: str
    title: str
    alarm_id: str | None
    cause_id: str | None
    opened_by: str | None
    opened_at: datetime
    outcome: str | None
    deployment_id: str | None
    note: str | None
    closed_at: datetime | None
    badcases: int
    reports: int
    by_status: dict[str, int] = field(default_factory=dict)
    query: str = ""
    view_id: str | None = None
    frozen_at: int | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of an iteration's story."""

    position: int
    word: str
    sentence: str
    href: str | None
    actor: str | None
    happened_at: datetime
