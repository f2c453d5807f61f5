"""Causes and dismissed proposals, folded event by event."""

from __future__ import annotations

from typing import Any

import orjson
from mlife.projections.badcases.homes import say, unsay
from mlife.projections.badcases.turns import Fold, Touched

from mlife.badcases.events import (
    CauseDeleted,
    CauseExtended,
    CauseMerged,
    CauseNamed,
    CauseReduced,
    CauseRemedyChosen,
    CauseRenamed,
    CauseReopened,
    CauseTakenBack,
    ProposalDismissed,
    ProposalRestored,
)
from mlife.badcases.views.tables import SAID, cause_badcases, cause_rows, proposal_rows
from mlife.core.events import Event, Recorded
from mlife.core.projection import Tx


def _named(r: Recorded[CauseNamed], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    e = r.event
    row = {
        "cause_id": e.cause_id,
        "system": e.system,
        "function": e.function,
        "title": e.title,
        "explanation": e.explanation,
        "named_by": e.by,
        "number": r.position,
        "named_at": r.draft.time,
        "proposal_id": e.proposal_id,
    }
    tx.insert_missing(cause_rows, [row])
    _hold(tx, e.cause_id, e.badcase_ids)


def _hold(tx: Tx, cause_id: str, badcase_ids: tuple[str, ...]) -> None:
    say(tx, cause_badcases, [{"cause_id": cause_id, "badcase_id": b} for b in badcase_ids])


def _let_go(tx: Tx, cause_id: str, badcase_ids: tuple[str, ...]) -> None:
    unsay(tx, cause_badcases, badcase_ids, {"cause_id": cause_id})


def _let_all_go(tx: Tx, cause_id: str) -> None:
    tx.delete(SAID[cause_badcases], SAID[cause_badcases].c.cause_id == cause_id)
    tx.delete(cause_badcases, cause_badcases.c.cause_id == cause_id)


def _renamed(r: Recorded[CauseRenamed], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    e = r.event
    tx.update(cause_rows, [{"cause_id": e.cause_id, "title": e.title, "explanation": e.explanation}])


def _extended(r: Recorded[CauseExtended], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    _hold(tx, r.event.cause_id, r.event.badcase_ids)


def _reduced(r: Recorded[CauseReduced], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    _let_go(tx, r.event.cause_id, r.event.badcase_ids)


def _remedy(e: CauseRemedyChosen | CauseTakenBack) -> dict[str, Any]:
    return {
        "cause_id": e.cause_id,
        "remedy": e.remedy,
        "remedy_note": e.note,
        "collect": e.collect,
        "wanted": orjson.dumps(e.wanted, option=orjson.OPT_SORT_KEYS).decode(),
        "query": e.query,
    }


def _remedy_chosen(r: Recorded[CauseRemedyChosen], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    tx.update(cause_rows, [_remedy(r.event)])


def _merged(r: Recorded[CauseMerged], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    e = r.event
    tx.update(cause_rows, [{"cause_id": e.cause_id, "ended": "merged", "into_cause_id": e.into_cause_id}])
    _let_all_go(tx, e.cause_id)


def _deleted(r: Recorded[CauseDeleted], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    tx.update(cause_rows, [{"cause_id": r.event.cause_id, "ended": "deleted"}])
    _let_all_go(tx, r.event.cause_id)


def _reopened(r: Recorded[CauseReopened], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    tx.update(cause_rows, [{"cause_id": r.event.cause_id, "ended": ""}])
    _hold(tx, r.event.cause_id, r.event.badcase_ids)


def _taken_back(r: Recorded[CauseTakenBack], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    e = r.event
    words = {"title": e.title, "explanation": e.explanation, "ended": e.ended}
    into = {} if e.ended == "merged" else {"into_cause_id": None}
    tx.update(cause_rows, [{**_remedy(e), **words, **into}])
    _let_go(tx, e.cause_id, e.removed)
    _hold(tx, e.cause_id, e.added)


def _dismissed(r: Recorded[ProposalDismissed], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    e = r.event
    row = {
        "proposal_id": e.proposal_id,
        "system": e.system,
        "function": e.function,
        "attribute": e.attribute,
        "value": e.value,
        "dismissed_by": e.by,
        "dismissed_at": r.draft.time,
        "number": r.position,
    }
    tx.upsert(proposal_rows, [row])


def _restored(r: Recorded[ProposalRestored], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    tx.delete(proposal_rows, proposal_rows.c.proposal_id == r.event.proposal_id)


CAUSES: dict[type[Event], Fold] = {
    CauseNamed: _named,
    CauseRenamed: _renamed,
    CauseExtended: _extended,
    CauseReduced: _reduced,
    CauseRemedyChosen: _remedy_chosen,
    CauseMerged: _merged,
    CauseDeleted: _deleted,
    CauseReopened: _reopened,
    CauseTakenBack: _taken_back,
    ProposalDismissed: _dismissed,
    ProposalRestored: _restored,
}
