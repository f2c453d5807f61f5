"""Merges, splits, corrections, applied rules: reports that are counted elsewhere from now on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from mlife.projections.badcases import homes
from mlife.projections.badcases.counting import recount
from mlife.projections.badcases.declared import badcases
from mlife.projections.badcases.reports import explained, new_badcase
from sqlalchemy import select, update

from mlife.badcases.events import (
    BadcaseMerged,
    BadcaseRejoined,
    BadcaseSplit,
    BadcaseUnmerged,
    GroupingApplied,
    GroupingRuled,
    GroupingUnapplied,
    LikenessChosen,
    ReportCorrected,
    SuggestionDismissed,
    SuggestionRestored,
)
from mlife.badcases.views.tables import badcase_rows, dismissed_rows, likeness_rows, report_rows, ruling_rows
from mlife.core.events import Event, Recorded, to_micros
from mlife.core.projection import Tx

b, r = badcase_rows.c, report_rows.c


@badcases.on(SuggestionDismissed, SuggestionRestored, LikenessChosen)
def remember(run: Sequence[Recorded[Event]], tx: Tx) -> None:
    """What is not suggested again, and by what suggestions are found."""
    for recorded in run:
        e = recorded.event
        if isinstance(e, SuggestionDismissed):
            row = {"suggestion_id": e.suggestion_id, "one_id": e.one, "other_id": e.other}
            tx.upsert(dismissed_rows, [row | {"number": recorded.position}])
        elif isinstance(e, SuggestionRestored):
            tx.delete(dismissed_rows, dismissed_rows.c.suggestion_id == e.suggestion_id)
        elif isinstance(e, LikenessChosen):
            chosen = None if e.embedders is None else orjson.dumps(e.embedders).decode()
            row = {"function_id": e.function_id, "system": e.system, "function": e.function}
            tx.upsert(likeness_rows, [{**row, "embedders": chosen}])


@badcases.on(
    BadcaseMerged,
    BadcaseUnmerged,
    BadcaseSplit,
    BadcaseRejoined,
    ReportCorrected,
    GroupingRuled,
    GroupingApplied,
    GroupingUnapplied,
)
def regroup(run: Sequence[Recorded[Event]], tx: Tx) -> None:
    """Each in its order; what changed is counted anew once for the run."""
    changed: dict[str, int] = {}
    for recorded in run:
        changed |= dict.fromkeys(_FOLDS[type(recorded.event)](recorded, tx), recorded.position)
    homes.gather(tx, changed)
    recount(tx, changed)
    tx.update(badcase_rows, [{"badcase_id": i, "regrouped_number": at} for i, at in sorted(changed.items())])


def _merged(recorded: Recorded[BadcaseMerged], tx: Tx) -> set[str]:
    e = recorded.event
    row = {
        "number": recorded.position,
        "reason": e.reason,
        "merged_by": e.by,
        "merged_at": recorded.draft.time,
    }
    return homes.merge(tx, e.badcase_id, e.into, row)


def _unmerged(recorded: Recorded[BadcaseUnmerged], tx: Tx) -> set[str]:
    return homes.unmerge(tx, recorded.event.badcase_id)


def _split(recorded: Recorded[BadcaseSplit], tx: Tx) -> set[str]:
    e = recorded.event
    source = tx.execute(select(b.truth, b.predicted, b.first_rule).where(b.badcase_id == e.from_badcase_id))
    made = {
        "badcase_id": e.badcase_id,
        "system": e.system,
        "function": e.function,
        "title": e.title,
        "truth": source[0].truth if source else None,
        "predicted": source[0].predicted if source else None,
        "fingerprint": e.fingerprint,
        "first_rule": source[0].first_rule if source else 1,
    }
    tx.insert_missing(badcase_rows, [made | _nothing_yet(recorded.position)])
    header = {
        "move_id": e.badcase_id,
        "kind": "split",
        "batch_id": e.badcase_id,
        "from_id": e.from_badcase_id,
        "into_id": e.badcase_id,
        "title": e.title,
        "reason": e.reason,
        "made_by": e.by,
        "number": recorded.position,
        "made_at": recorded.draft.time,
    }
    return homes.move(tx, header, e.reports) | {e.badcase_id}


def _rejoined(recorded: Recorded[BadcaseRejoined], tx: Tx) -> set[str]:
    return homes.move_back(tx, recorded.event.badcase_id, recorded.position)


def _ruled(recorded: Recorded[GroupingRuled], tx: Tx) -> set[str]:
    """Nothing moves by it."""
    e = recorded.event
    row = {
        "function_id": e.function_id,
        "system": e.system,
        "function": e.function,
        "revision": e.revision,
        "template": e.template,
        "fields": orjson.dumps(e.fields).decode(),
        "reason": e.reason,
        "ruled_by": e.by,
        "number": recorded.position,
        "ruled_at": recorded.draft.time,
    }
    tx.upsert(ruling_rows, [row])
    return set()


def _applied(recorded: Recorded[GroupingApplied], tx: Tx) -> set[str]:
    e = recorded.event
    why = explained(e.fingerprint, e.fingerprint_version)
    made = {
        "badcase_id": e.badcase_id,
        "system": e.system,
        "function": e.function,
        "title": why.title,
        "truth": why.truth,
        "predicted": why.prediction,
        "fingerprint": e.fingerprint,
        "first_rule": e.fingerprint_version,
    }
    tx.insert_missing(badcase_rows, [made | _nothing_yet(recorded.position)])
    header = {
        "move_id": f"{e.application_id}:{recorded.position}",
        "kind": "rule",
        "batch_id": e.application_id,
        "from_id": e.from_badcase_id,
        "into_id": e.badcase_id,
        "title": why.title,
        "reason": f"rule, revision {e.revision}",
        "made_by": e.by,
        "number": recorded.position,
        "made_at": recorded.draft.time,
    }
    return homes.move(tx, header, e.reports) | {e.badcase_id}


def _unapplied(recorded: Recorded[GroupingUnapplied], tx: Tx) -> set[str]:
    return homes.move_back(tx, recorded.event.application_id, recorded.position)


def _nothing_yet(position: int) -> dict[str, int]:
    """The counts of a badcase that an event makes before it has reports."""
    numbers = dict.fromkeys(("first_event", "first_number", "last_number"), position)
    return numbers | dict.fromkeys(("first_at", "last_at", "last_severity", "frequency"), 0)


def _corrected(recorded: Recorded[ReportCorrected], tx: Tx) -> set[str]:
    """The report's fingerprint is another one: it belongs elsewhere, wherever people had put it before."""
    e = recorded.event
    found = tx.execute(select(report_rows).where(_is_the_report(e)))
    changed: set[str] = set()
    for row in found:
        report = row._asdict() | {"badcase_id": e.badcase_id, "observed_at": to_micros(row.observed_at)}
        made = new_badcase(report, e.fingerprint, e.fingerprint_version, 0)
        tx.insert_missing(badcase_rows, [made | _nothing_yet(recorded.position)])
        truth = e.truth.get("label") if e.truth else None
        tx.execute(
            update(report_rows)
            .where(r.number == row.number)
            .values(truth=truth, origin_id=e.badcase_id, placed_id=e.badcase_id)
        )
        changed |= homes.place(tx, r.number == row.number)
    return changed


def _is_the_report(e: ReportCorrected) -> Any:
    """By its position; corrections of the first releases do not name it."""
    if e.position is not None:
        return (r.number == e.position) & (r.uid == e.uid)
    return (r.badcase_id == e.from_badcase_id) & (r.uid == e.uid)


_FOLDS: dict[type[Event], Callable[[Recorded[Any], Tx], set[str]]] = {
    BadcaseMerged: _merged,
    BadcaseUnmerged: _unmerged,
    BadcaseSplit: _split,
    BadcaseRejoined: _rejoined,
    ReportCorrected: _corrected,
    GroupingRuled: _ruled,
    GroupingApplied: _applied,
    GroupingUnapplied: _unapplied,
}
