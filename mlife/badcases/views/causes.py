"""Causes, with what they explain; and the proposals that were dismissed."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Select, case, func, select

from mlife.badcases.standing import NEEDS_ME, OPEN
from mlife.badcases.views.rows import CauseView
from mlife.badcases.views.tables import badcase_rows, cause_badcases, cause_rows, proposal_rows
from mlife.core.projection import Reader
from mlife.core.tables import AnyRow

b, cb, cr = badcase_rows.c, cause_badcases.c, cause_rows.c
MOST = 200
"""Causes of a list: there are few, and the newest matter."""


def causes(
    read: Reader, *, system: str | None = None, function: str | None = None, ended: bool = False
) -> list[CauseView]:
    """The newest causes, with how many badcases and reports they explain; those that have *ended* instead."""
    asked = _causes().where(cr.ended != "" if ended else cr.ended == "")
    if system is not None:
        asked = asked.where(cr.system == system)
    if function is not None:
        asked = asked.where(cr.function == function)
    return [_cause(row) for row in read.all(asked)]


def cause(read: Reader, cause_id: str) -> CauseView | None:
    """One cause, also one that has ended; None if there is none."""
    row = read.one(_causes().where(cr.cause_id == cause_id))
    return None if row is None else _cause(row)


def badcases_of_cause(read: Reader, cause_id: str) -> list[str]:
    """The ids of its badcases."""
    return [row[0] for row in read.all(select(cb.badcase_id).where(cb.cause_id == cause_id).order_by(cb.badcase_id))]


def _causes() -> Select[Any]:
    counts = (
        select(
            cb.cause_id,
            func.count().label("how_many"),
            func.sum(case((b.status.in_(OPEN), 1), else_=0)).label("still_open"),
            func.sum(case((b.status.in_(NEEDS_ME), 1), else_=0)).label("needing_me"),
            func.sum(b.frequency).label("of_reports"),
        )
        .select_from(cause_badcases.join(badcase_rows, b.badcase_id == cb.badcase_id))
        .group_by(cb.cause_id)
        .subquery("counted")
    )
    return (
        select(cause_rows, counts.c.how_many, counts.c.still_open, counts.c.needing_me, counts.c.of_reports)
        .select_from(cause_rows.outerjoin(counts, counts.c.cause_id == cr.cause_id))
        .order_by(cr.number.desc())
        .limit(MOST)
    )


def _cause(row: AnyRow) -> CauseView:
    return CauseView(
        cause_id=row.cause_id,
        system=row.system,
        function=row.function,
        title=row.title,
        explanation=row.explanation,
        remedy=row.remedy,
        remedy_note=row.remedy_note,
        named_by=row.named_by,
        named_at=row.named_at,
        badcases=row.how_many or 0,
        open_badcases=row.still_open or 0,
        reports=row.of_reports or 0,
        needing_me=row.needing_me or 0,
        collect=row.collect,
        wanted=orjson.loads(row.wanted),
        query=row.query,
        ended=row.ended,
        into_cause_id=row.into_cause_id,
        position=row.number,
    )


def dismissed(read: Reader) -> dict[str, dict[str, Any]]:
    """Proposals that were dismissed: id → what they were, the newest first."""
    rows = read.all(select(proposal_rows).order_by(proposal_rows.c.number.desc()))
    return {row.proposal_id: row._asdict() for row in rows}
