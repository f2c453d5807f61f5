"""What is counted of badcases, made anew from their reports by the database, without a report passing through here."""

from __future__ import annotations

from collections.abc import Iterable

from mlife.projections.badcases.fields import recount_fields, recount_places
from mlife.projections.badcases.homes import sliced
from mlife.projections.badcases.priority import weigh
from mlife.projections.badcases.standing import restate
from sqlalchemy import BigInteger, Integer, case, cast, delete, func, insert, select, type_coerce

from mlife.badcases.views.tables import (
    badcase_aliases,
    badcase_clients,
    badcase_rows,
    badcase_text,
    badcase_versions,
    badcase_weeks,
    report_rows,
)
from mlife.badcases.views.tables.alarms import badcase_days
from mlife.core.events import to_micros
from mlife.core.projection import Tx
from mlife.core.tables import AnyRow

a, b, r = badcase_aliases.c, badcase_rows.c, report_rows.c
DAY = 86_400_000_000
LONG_AGO = 200_000
"""Weeks before 1970 to which moments are moved, so that whole weeks are counted down, and not towards zero."""
SEVERITY = case((r.severity == "critical", 3), (r.severity == "major", 2), (r.severity == "minor", 1), else_=0)


def recount(tx: Tx, badcase_ids: Iterable[str]) -> None:
    """Count badcases anew. One that lost all its reports keeps its row, and counts nothing."""
    for some in sliced(badcase_ids):
        _counts(tx, some)
        recount_fields(tx, some)
        recount_places(tx, some)
        _totals(tx, some)
        _index(tx, some)
        weigh(tx, b.badcase_id.in_(some))
        restate(tx, some)


def _counts(tx: Tx, ids: list[str]) -> None:
    """Days, weeks, versions, clients."""
    for table in (badcase_days, badcase_weeks, badcase_versions, badcase_clients):
        tx.execute(delete(table).where(table.c.badcase_id.in_(ids)))
    mine = r.badcase_id.in_(ids)
    micros = type_coerce(r.observed_at, BigInteger)
    day = cast((micros + 7 * LONG_AGO * DAY) // DAY - 7 * LONG_AGO, Integer)
    week = cast((micros + (7 * LONG_AGO + 3) * DAY) // (7 * DAY) - LONG_AGO, Integer)
    for table, name, span in ((badcase_days, "day", day), (badcase_weeks, "week", week)):
        spans = select(r.badcase_id, span.label("span")).where(mine).subquery("spans").c
        tx.execute(
            insert(table).from_select(
                ["badcase_id", name, "frequency"],
                select(spans.badcase_id, spans.span, func.count()).group_by(spans.badcase_id, spans.span),
            )
        )
    tx.execute(
        insert(badcase_versions).from_select(
            [
                *("badcase_id", "version", "model_id", "version_order"),
                *("frequency", "first_at", "last_at", "last_number"),
            ],
            select(
                *(r.badcase_id, r.version, r.model_id, func.min(r.version_order)),
                *(func.count(), func.min(r.observed_at), func.max(r.observed_at), func.max(r.number)),
            )
            .where(mine)
            .group_by(r.badcase_id, r.version, r.model_id),
        )
    )
    tx.execute(
        insert(badcase_clients).from_select(
            ["badcase_id", "client", "frequency"],
            select(r.badcase_id, r.client, func.count())
            .where(mine, r.client.is_not(None))
            .group_by(r.badcase_id, r.client),
        )
    )


def _totals(tx: Tx, ids: list[str]) -> None:
    """The badcases' own rows. What had reports and has none is told from nothing that happened on the way."""
    found = {
        row.badcase_id: row
        for row in tx.execute(
            select(
                r.badcase_id,
                func.count().label("frequency"),
                func.min(r.number).label("first_number"),
                func.max(r.number).label("last_number"),
                func.min(r.observed_at).label("first_at"),
                func.max(r.observed_at).label("last_at"),
                func.max(SEVERITY).label("last_severity"),
            )
            .where(r.badcase_id.in_(ids))
            .group_by(r.badcase_id)
        )
    }
    made = {row[0]: row[1] for row in tx.execute(select(b.badcase_id, b.first_event).where(b.badcase_id.in_(ids)))}
    tx.update(badcase_rows, [{"badcase_id": i, **_total(found.get(i), made[i])} for i in made])


def _total(row: AnyRow | None, first_event: int) -> dict[str, int]:
    if row is None:
        numbers = dict.fromkeys(("first_number", "last_number"), first_event)
        return numbers | dict.fromkeys(("frequency", "first_at", "last_at", "last_severity"), 0)
    return {
        "frequency": row.frequency,
        "first_number": row.first_number,
        "last_number": row.last_number,
        "first_at": to_micros(row.first_at),
        "last_at": to_micros(row.last_at),
        "last_severity": row.last_severity,
    }


def _index(tx: Tx, ids: list[str]) -> None:
    """A badcase is found by its own title and by those of the badcases that were merged into it."""
    titles: dict[str, list[str]] = {}
    for row in tx.execute(
        select(a.home_id, b.title)
        .select_from(badcase_aliases.join(badcase_rows, b.badcase_id == a.badcase_id))
        .where(a.home_id.in_(ids))
        .order_by(a.home_id, b.badcase_id)
    ):
        titles.setdefault(row.home_id, []).append(row.title)
    rows = tx.execute(select(b.badcase_id, b.first_event, b.title, b.system, b.function).where(b.badcase_id.in_(ids)))
    tx.index_text(
        badcase_text,
        [
            (row.first_event, " ".join([row.title, row.system, row.function, *titles.get(row.badcase_id, ())]))
            for row in rows
        ],
    )
