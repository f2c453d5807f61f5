"""What people decide about one badcase, or about one of its reports."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from mlife.badcases.commands.muting import end_of_mute
from mlife.badcases.events import (
    BadcaseAssigned,
    BadcaseMuted,
    BadcasePinned,
    BadcasePrioritised,
    BadcaseRejected,
    BadcaseReopened,
    BadcaseTakenBack,
    BadcaseTriaged,
    BadcaseUnmuted,
    ReportCorrected,
)
from mlife.badcases.fingerprint import badcase_id as id_of
from mlife.badcases.fingerprint import fingerprint, version_of
from mlife.badcases.functions import function_id
from mlife.badcases.intake.refusal import Unfit
from mlife.badcases.intake.report import check_annotation
from mlife.badcases.places import Ruling
from mlife.badcases.states import PEOPLES, Badcase, Correction
from mlife.core.command import Given
from mlife.core.errors import Invalid, Refused
from mlife.core.events import Event
from mlife.core.names import test_document_id

JSON = Any
Words = Annotated[str, Field(max_length=2_000)]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Owner = Annotated[str, Field(max_length=128)]
MOST_PINS = 1_000


def triage(given: Given, *, badcase_id: Name, note: Words = "") -> list[Event]:
    """Look at a badcase and take it seriously; the second time with a note only."""
    badcase = _open(given, badcase_id)
    if badcase.triaged and not note.strip():
        return []
    return [BadcaseTriaged(badcase_id=badcase_id, note=note, by=given.actor)]


def assign(
    given: Given, *, badcase_id: Name, owner: Annotated[str, Field(max_length=128)] | None = None
) -> list[Event]:
    """Give a badcase an owner; None or empty: nobody."""
    owner = (owner or "").strip() or None
    if given(Badcase, badcase_id).owner == owner:
        return []
    return [BadcaseAssigned(badcase_id=badcase_id, owner=owner, by=given.actor)]


def prioritise(
    given: Given,
    *,
    badcase_id: Name,
    priority: Annotated[float, Field(ge=0, le=100)] | None = None,
    reason: Words = "",
) -> list[Event]:
    """Set the priority by hand, with a reason; None: computed again."""
    if priority is not None and not reason.strip():
        raise Refused("a priority set by hand needs a reason", remedy="say why the computed one is wrong")
    if given(Badcase, badcase_id).priority == priority and priority is None:
        return []
    return [BadcasePrioritised(badcase_id=badcase_id, priority=priority, reason=reason, by=given.actor)]


def mute(given: Given, *, badcase_id: Name, until: datetime, reason: Words) -> list[Event]:
    """Let a badcase ask for no attention until a moment in the future, at most a year ahead."""
    badcase = _open(given, badcase_id)
    until = end_of_mute(given, until, reason)
    if badcase.muted_until == until:
        return []
    return [BadcaseMuted(badcase_id=badcase_id, until=until, reason=reason, by=given.actor)]


def unmute(given: Given, *, badcase_id: Name, elapsed: bool = False) -> list[Event]:
    """End a mute; with *elapsed* only if its time has come."""
    until = given(Badcase, badcase_id).muted_until
    if until is None or (elapsed and until > given.now):
        return []
    return [BadcaseUnmuted(badcase_id=badcase_id, elapsed=elapsed, by=given.actor)]


def reject(
    given: Given,
    *,
    badcase_id: Name,
    reason: Literal["not_a_failure", "truth_was_wrong", "wont_fix"],
    note: Words = "",
) -> list[Event]:
    """Decide that a badcase is no target."""
    if given(Badcase, badcase_id).rejected == reason:
        return []
    return [BadcaseRejected(badcase_id=badcase_id, reason=reason, note=note, by=given.actor)]


def reopen(given: Given, *, badcase_id: Name, reason: Words) -> list[Event]:
    """Take a rejection or a closing back."""
    badcase = given(Badcase, badcase_id)
    if badcase.rejected is None and badcase.closed_by is None:
        raise Refused(f"{badcase_id} is neither rejected nor closed", remedy="there is nothing to reopen")
    if not reason.strip():
        raise Refused("reopening needs a reason", remedy="say what was wrong about it")
    return [BadcaseReopened(badcase_id=badcase_id, reason=reason, by=given.actor)]


def take_back(given: Given, *, badcase_id: Name, version: Annotated[int, Field(ge=1)] | None = None) -> list[Event]:
    """
    Undo what a person did: triage, assign, prioritise, mute, unmute, reject, reopen.

    Args:
        version: of the event, in the badcase's stream; None: the last that can be taken back.

    Raises:
        Refused: nothing can be, or what it set has changed since.
    """
    badcase = given(Badcase, badcase_id)
    action = badcase.actions.choose(version, badcase_id, lambda field: field.replace("_", " "))
    after = {name: getattr(badcase, name) for name in PEOPLES} | dict(action.before)
    restored = BadcaseTakenBack.model_validate(
        {"badcase_id": badcase_id, "what": action.what, "version": action.version, "by": given.actor, **after}
    )
    return [restored]


def pin(
    given: Given,
    *,
    badcase_id: Name,
    system: Name,
    function: Name,
    rows: Annotated[list[dict[str, Any]], Field(max_length=MOST_PINS)],
    must_pass: bool = False,
    iteration_id: str | None = None,
) -> list[Event]:
    """
    Add to Test Data: make files of a badcase testing rows.

    Args:
        rows: `uid`, `sha256`, `annotation` (the typed truth), perhaps `must_pass`; one for each distinct file. Files
            that are pinned already are passed over, so that pinning twice changes nothing.
        must_pass: of rows that do not say it themselves.
    """
    already = given(Badcase, badcase_id).pinned
    kept: dict[str, dict[str, Any]] = {}
    for row in rows:
        if not row.get("sha256") or not row.get("annotation"):
            raise Refused(
                f"{row.get('uid', 'a report')} can't be test data: its file or its truth is unknown",
                remedy="add the truth, and put the file into the store, then pin it",
            )
        if row["sha256"] not in already:
            kept.setdefault(
                row["sha256"],
                {
                    "uid": row.get("uid", ""),
                    "sha256": row["sha256"],
                    "annotation": row["annotation"],
                    "must_pass": bool(row.get("must_pass", must_pass)),
                },
            )
    if not kept:
        return []
    return [
        BadcasePinned(
            badcase_id=badcase_id,
            system=system,
            function=function,
            document_id=test_document_id(system, function),
            rows=tuple(kept.values()),
            iteration_id=iteration_id,
            by=given.actor,
        )
    ]


def correct_report(
    given: Given,
    *,
    uid: Name,
    badcase_id: Name,
    system: Name,
    function: Name,
    prediction: dict[str, Any],
    truth: dict[str, Any] | None,
    reason: Words,
    group_key: str | None = None,
    position: int | None = None,
    fields: dict[str, Any] | None = None,
) -> list[Event]:
    """
    Add, mend or dispute the truth of a report; it moves to the badcase where it then belongs.

    Args:
        badcase_id: what the report's event names; later corrections are known here. position: of that event.
        prediction, system, function, fields: of the report, as sent. group_key: its `key`.
        truth: the truth from now on; None: disputed, unknown again.
    """
    correction = given(Correction, uid)
    if not reason.strip():
        raise Refused("a correction needs a reason", remedy="say how the truth is known")
    if truth is not None:
        try:
            truth = check_annotation("truth", truth)
            if truth["type"] != prediction["type"]:
                raise Unfit("truth.type", truth["type"], f"is another type than the prediction's {prediction['type']}")
        except Unfit as e:
            raise Invalid("this is no truth for the report", refusals=(e.at(1),)) from None
    if correction.exists and correction.truth == truth:
        return []
    now_in = correction.badcase_id or badcase_id
    named = {"system": system, "function": function, "key": group_key, "fields": fields}
    rule = given(Ruling, function_id(system, function)).rule
    text = fingerprint({**named, "truth": truth, "prediction": prediction}, rule)
    version = version_of(text)
    return [
        ReportCorrected(
            uid=uid,
            truth=truth,
            reason=reason,
            from_badcase_id=now_in,
            badcase_id=id_of(text, version),
            fingerprint=text,
            fingerprint_version=version,
            position=position,
            by=given.actor,
        )
    ]


def _open(given: Given, badcase_id: str) -> Badcase:
    badcase = given(Badcase, badcase_id)
    if badcase.rejected is not None:
        why = badcase.rejected.replace("_", " ")
        raise Refused(f"{badcase_id} was rejected ({why})", remedy="reopen it first")
    return badcase
