"""The rules by which reports of a function are told apart, and what was applied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import and_, func, select

from mlife.badcases.views.tables import badcase_rows, function_rows, move_rows, report_moves, report_rows, ruling_rows
from mlife.core.projection import Reader

b, f, g, mv, r = badcase_rows.c, function_rows.c, ruling_rows.c, move_rows.c, report_rows.c
SLICE = 5_000


@dataclass(frozen=True, slots=True)
class RuleView:
    """
    How reports of a function are told apart.

    Args:
        revision: 0: by what went wrong alone. declared: fields that could be compared.
        template: that is compared; own_template: of the function.
    """

    system: str
    function: str
    revision: int
    template: str | None
    fields: Sequence[str]
    reason: str
    by: str | None
    number: int | None
    at: datetime | None
    badcases: int
    reports: int
    declared: Sequence[str]
    own_template: str | None


@dataclass(frozen=True, slots=True)
class Application:
    """A rule that was applied to old reports; `undone` None: it still is."""

    application_id: str
    reason: str
    badcases: int
    reports: int
    by: str | None
    number: int
    at: datetime
    undone: int | None


@dataclass(frozen=True, slots=True)
class Placed:
    """
    A report.

    Args:
        origin_id: what its fingerprint names. ruled_id: where the last rule that was applied to it puts it; without
            one, the same.
    """

    number: int
    origin_id: str
    ruled_id: str


def rules(read: Reader, system: str | None = None, function: str | None = None) -> list[RuleView]:
    """The functions that have reports, with their rules, most reports first."""
    total = func.sum(b.frequency)
    asked = (
        select(b.system, b.function, func.count().label("badcases"), total.label("of_reports"))
        .where(b.frequency > 0)
        .group_by(b.system, b.function)
        .subquery("counted")
    )
    c = asked.c
    statement = (
        select(asked, ruling_rows, f.fields.label("declared"), f.template.label("own_template"))
        .select_from(
            asked.outerjoin(ruling_rows, and_(g.system == c.system, g.function == c.function)).outerjoin(
                function_rows, and_(f.system == c.system, f.function == c.function)
            )
        )
        .order_by(c.of_reports.desc(), c.system, c.function)
    )
    if system is not None:
        statement = statement.where(c.system == system, c.function == function)
    return [
        RuleView(
            row[0],
            row[1],
            row.revision or 0,
            row.template,
            orjson.loads(row.fields or "[]"),
            row.reason or "",
            row.ruled_by,
            row.number,
            row.ruled_at,
            row.badcases,
            row.of_reports,
            [one["name"] for one in orjson.loads(row.declared or "[]") if not one.get("personal")],
            row.own_template,
        )
        for row in read.all(statement)
    ]


def applications(read: Reader, system: str, function: str) -> list[Application]:
    """What was applied to the old reports of a function, the newest first."""
    rows = read.all(
        select(
            mv.batch_id,
            func.max(mv.reason).label("reason"),
            func.count(mv.into_id.distinct()).label("badcases"),
            func.sum(mv.reports).label("of_reports"),
            func.max(mv.made_by).label("made_by"),
            func.min(mv.number).label("number"),
            func.max(mv.made_at).label("made_at"),
            func.max(mv.undone_number).label("undone"),
        )
        .select_from(move_rows.join(badcase_rows, b.badcase_id == mv.into_id))
        .where(mv.kind == "rule", b.system == system, b.function == function)
        .group_by(mv.batch_id)
        .order_by(func.min(mv.number).desc())
    )
    return [Application(*row) for row in rows]


def placed_reports(read: Reader, system: str, function: str) -> Iterator[Placed]:
    """The reports of a function, the oldest first."""
    last = 0
    while True:
        rows = read.all(
            select(r.number, func.coalesce(r.origin_id, r.badcase_id).label("origin_id"))
            .where(r.system == system, r.function == function, r.number > last)
            .order_by(r.number)
            .limit(SLICE)
        )
        ruled = _ruled(read, rows[0].number, rows[-1].number) if rows else {}
        for row in rows:
            yield Placed(row.number, row.origin_id, ruled.get((row.number, row.origin_id), row.origin_id))
        if len(rows) < SLICE:
            return
        last = rows[-1].number


def _ruled(read: Reader, first: int, last: int) -> dict[tuple[int, str], str]:
    """(Report, what its fingerprint names) → where the last application that holds puts it."""
    m = report_moves.c
    rows = read.all(
        select(m.number, m.origin_id, m.into_id)
        .where(m.number.between(first, last), m.live, ~m.by_person)
        .order_by(m.made_number)
    )
    return {(row.number, row.origin_id): row.into_id for row in rows}
