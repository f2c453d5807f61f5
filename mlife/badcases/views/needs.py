"""What needs a person now, by cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, literal, select

from mlife.badcases.standing import NEEDS_ME
from mlife.badcases.views import causes as causes_of
from mlife.badcases.views import lists, turns
from mlife.badcases.views.proposals import without_cause
from mlife.badcases.views.rows import BadcaseView, CauseView
from mlife.badcases.views.search import counted_badcases
from mlife.badcases.views.tables import badcase_rows, cause_badcases
from mlife.core.projection import Reader

b, cb = badcase_rows.c, cause_badcases.c
SHOWN = 3
"""Badcases of a cause that are shown, the most urgent ones; a link leads to all."""
MOST_CAUSES = 20
"""Causes that are shown, those with the most urgent badcases; the list of causes has all."""


@dataclass(frozen=True, slots=True)
class Group:
    """
    What needs a person under one cause.

    Args:
        cause: None: no cause yet.
        badcases: how many need a person; back: how many of them came back. reports: of all of them.
        first: the most urgent ones.
        alarms: ids of alarms that wait and are about it or about these.
    """

    cause: CauseView | None
    badcases: int
    back: int
    reports: int
    first: Sequence[BadcaseView]
    alarms: Sequence[str] = ()

    @property
    def query(self) -> str:
        """What finds them all; those without a cause are at the end."""
        return f"needsme:yes cause:{self.cause.cause_id}" if self.cause else "needsme:yes cause:none"


def needs(read: Reader) -> list[Group]:
    """What needs a person: the causes with the most urgent badcases first, and at the end what has no cause yet."""
    mine = _needing().join_from(badcase_rows, cause_badcases, cb.badcase_id == b.badcase_id)
    rows = read.all(
        mine.add_columns(cb.cause_id.label("cause_id"))
        .group_by(cb.cause_id)
        .order_by(func.max(b.priority).desc(), cb.cause_id)
        .limit(MOST_CAUSES)
    )
    alone = read.one(_needing().where(without_cause()))
    assert alone is not None  # an aggregate without groups has one row
    known = {c.cause_id: c for c in causes_of.causes(read)}
    firsts = _firsts(read, [row.cause_id for row in rows])
    alarms = turns.alarms(read, waiting=True)
    groups = []
    for row in rows:
        cause = known.get(row.cause_id) or causes_of.cause(read, row.cause_id)
        shown = firsts.get(row.cause_id, [])
        waiting = [a.alarm_id for a in alarms if _about(a.cause_id, a.badcase_ids, row.cause_id, shown)]
        groups.append(Group(cause, row.how_many, int(row.back or 0), int(row.of_reports or 0), shown, waiting))
    if alone.how_many:
        ids = read.all(_urgent().where(without_cause()).limit(SHOWN))
        shown = lists.badcases_by_id(read, [row[0] for row in ids])
        groups.append(Group(None, alone.how_many, int(alone.back or 0), int(alone.of_reports or 0), shown))
    return groups


def _about(alarm_cause: str | None, named: Sequence[str], cause_id: str, shown: Sequence[BadcaseView]) -> bool:
    return alarm_cause == cause_id or any(v.badcase_id in named for v in shown)


def _needed() -> ColumnElement[bool]:
    return b.status.in_(NEEDS_ME) & counted_badcases()


def _needing() -> Select[Any]:
    """How many need a person, how many of them came back, and their reports."""
    counts: tuple[ColumnElement[Any], ...] = (
        func.count().label("how_many"),
        func.sum(case((b.status == "new", 0), else_=1)).label("back"),
        func.sum(b.frequency).label("of_reports"),
    )
    return select(*counts).where(_needed())


def _urgent() -> Select[Any]:
    return select(b.badcase_id).where(_needed()).order_by(b.priority.desc(), b.badcase_id)


def _firsts(read: Reader, cause_ids: Sequence[str]) -> dict[str, list[BadcaseView]]:
    """The most urgent badcases of each cause."""
    place = func.row_number().over(partition_by=cb.cause_id, order_by=(b.priority.desc(), b.badcase_id))
    ranked = (
        select(cb.cause_id, b.badcase_id, place.label("place"))
        .select_from(cause_badcases.join(badcase_rows, b.badcase_id == cb.badcase_id))
        .where(_needed(), cb.cause_id.in_(cause_ids))
        .subquery("ranked")
    )
    rows = read.all(
        select(ranked.c.cause_id, ranked.c.badcase_id)
        .where(ranked.c.place <= literal(SHOWN))
        .order_by(ranked.c.cause_id, ranked.c.place)
    )
    views = {v.badcase_id: v for v in lists.badcases_by_id(read, [row.badcase_id for row in rows])}
    firsts: dict[str, list[BadcaseView]] = {}
    for row in rows:
        firsts.setdefault(row.cause_id, []).append(views[row.badcase_id])
    return firsts
