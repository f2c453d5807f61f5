"""Lists of badcases and reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, and_, func, select

from mlife.badcases.views.models import behind
from mlife.badcases.views.rows import BadcaseListing, BadcaseView, ReportView
from mlife.badcases.views.search import (
    counted_badcases,
    searchable_badcases,
    searchable_reports,
    severity_word,
)
from mlife.badcases.views.tables import (
    badcase_rows,
    badcase_versions,
    badcase_weeks,
    cause_badcases,
    cause_rows,
    iteration_badcases,
    iteration_rows,
    report_rows,
    traffic_totals,
)
from mlife.core.errors import Refused
from mlife.core.events import EPOCH
from mlife.core.projection import Reader
from mlife.core.query import Listing, compile_query, has_words, page, parse, terms_of
from mlife.core.tables import AnyRow

b, r = badcase_rows.c, report_rows.c
COUNTED_PICTURES = 2_000
"""Reports of a page, the smallest badcases first, whose distinct files it counts; it must not grow with the log."""
MOST_COUNTED = 10_000
"""Up to here the reports that match are counted: a page must not take longer the more there are."""
TREND_WEEKS = 12


def badcases(
    read: Reader,
    q: str = "",
    *,
    now: datetime,
    sort: str | None = None,
    after: str | None = None,
    limit: int = 50,
    only: Sequence[str] | None = None,
) -> BadcaseListing:
    """
    A page of badcases; with *only* of those among these ids.

    Raises:
        QueryError: the query, sort, cursor or limit can't be used.
    """
    among = counted_badcases() if only is None else and_(counted_badcases(), b.badcase_id.in_(only))
    asked = page(
        _badcase_columns().where(among),
        searchable_badcases,
        q,
        now=now,
        sort=sort,
        after=after,
        limit=limit,
        totals=_totals if _is_dear(q) else None,
        summed=[b.frequency],
    )
    rows = read.all(asked.select)
    cut = asked.cut(rows)
    if "total" in asked.select.selected_columns and rows:
        counted: AnyRow | None = rows[0]
    else:
        counted = read.one(
            select(func.count().label("total"), func.coalesce(func.sum(b.frequency), 0).label("of_reports"))
            .select_from(badcase_rows)
            .where(asked.condition, among)
        )
    assert counted is not None  # an aggregate has one row
    return BadcaseListing(with_details(read, cut.items), cut.after, cut.before, counted.total, counted.of_reports)


def _is_dear(q: str) -> bool:
    """Is something asked for that only the reports know?"""
    asked = parse(q)
    fields = (searchable_badcases.field(term.name) for term in terms_of(asked))
    return has_words(asked) or any(f and getattr(f.column, "table", None) is report_rows for f in fields)


def _totals(those: CTE) -> Sequence[ColumnElement[Any]]:
    """How many badcases match, and their reports."""
    of_reports = select(func.coalesce(func.sum(those.c.frequency), 0)).scalar_subquery()
    return [_total(those), of_reports.label("of_reports")]


def _total(those: CTE) -> ColumnElement[Any]:
    return select(func.count()).select_from(those).scalar_subquery().label("total")


def badcase(read: Reader, badcase_id: str) -> BadcaseView | None:
    """One badcase; None if there is none."""
    found = with_details(read, read.all(_badcase_columns().where(b.badcase_id == badcase_id)), whole=True)
    return found[0] if found else None


def badcases_by_id(read: Reader, badcase_ids: Iterable[str]) -> list[BadcaseView]:
    """Those of *badcase_ids* that exist, the most urgent first."""
    found: list[BadcaseView] = []
    ids = sorted(set(badcase_ids))
    for start in range(0, len(ids), 500):
        found += with_details(read, read.all(_badcase_columns().where(b.badcase_id.in_(ids[start : start + 500]))))
    return sorted(found, key=lambda v: (-v.priority, v.badcase_id))


MOST_FROZEN = 20_000
"""Badcases that one cause or iteration is about."""


def ids_to_freeze(read: Reader, q: str, *, now: datetime) -> list[str]:
    """
    The ids of all badcases that match, for a list that stays as it is.

    Raises:
        Refused: there are more than such a list can hold; a part of them would be another target than was asked for.
    """
    ids = matching_ids(read, q, now=now, limit=MOST_FROZEN + 1)
    if len(ids) > MOST_FROZEN:
        raise Refused(f"more than {MOST_FROZEN:,} badcases match", remedy="narrow the query")
    return ids


def matching_ids(read: Reader, q: str, *, now: datetime, limit: int = 100_000) -> list[str]:
    """The ids of all badcases that match, most urgent first: what a bulk action touches."""
    condition = compile_query(parse(q), searchable_badcases, now)
    rows = read.all(
        select(b.badcase_id).where(condition, counted_badcases()).order_by(b.priority.desc(), b.badcase_id).limit(limit)
    )
    return [row[0] for row in rows]


def reports(
    read: Reader, q: str = "", *, now: datetime, sort: str | None = None, after: str | None = None, limit: int = 50
) -> Listing[ReportView]:
    """A page of reports. As `badcases` otherwise."""
    once = sort is None and after is None and has_words(parse(q))
    asked = page(
        select(report_rows),
        searchable_reports,
        q,
        now=now,
        sort=sort,
        after=after,
        limit=limit,
        totals=(lambda those: [_total(those)]) if once else None,
        most=MOST_COUNTED + 1,
    )
    rows = read.all(asked.select)
    cut = asked.cut(rows)
    if not q.strip():
        total = read.value(select(func.coalesce(func.sum(b.frequency), 0)))
        return Listing(report_views(read, cut.items), cut.after, cut.before, total)
    if after is None and len(rows) <= limit:
        total = len(rows)
    elif once:
        total = rows[0].total
    else:
        some = select(r.number).where(asked.condition).limit(MOST_COUNTED + 1).subquery()
        total = int(read.value(select(func.count()).select_from(some)) or 0)
    listed = report_views(read, cut.items)
    return Listing(listed, cut.after, cut.before, min(total, MOST_COUNTED), more=total > MOST_COUNTED)


def reports_of(read: Reader, badcase_id: str, *, limit: int = 60, before: int | None = None) -> list[ReportView]:
    """The newest reports of a badcase; those before position *before*."""
    mine = [r.badcase_id == badcase_id] + ([r.number < before] if before is not None else [])
    return report_views(read, read.all(select(report_rows).where(*mine).order_by(r.number.desc()).limit(limit)))


def report_views(read: Reader, rows: Sequence[AnyRow]) -> list[ReportView]:
    """Rows as reports, each with the models that it is against."""
    models = behind(read)
    return [
        ReportView(
            position=row.number,
            uid=row.uid,
            badcase_id=row.badcase_id,
            system=row.system,
            function=row.function,
            version=row.version,
            model_ids=(row.model_id,) if row.model_id else models.get((row.system, row.version), ()),
            client=row.client,
            device=row.device,
            place=row.place,
            severity=row.severity,
            kind=row.kind,
            observed_at=row.observed_at,
            truth=row.truth,
            prediction=row.predicted,
            score=row.score,
            sha256=row.sha256,
            media_type=row.media_type,
            description=row.description,
        )
        for row in rows
    ]


# --- details of the badcases of a page ---


def _badcase_columns() -> Select[Any]:
    return select(badcase_rows, severity_word.label("severity"))


def with_details(read: Reader, rows: Sequence[AnyRow], *, whole: bool = False) -> list[BadcaseView]:
    """Rows as badcases, with what is asked for a whole page at once; *whole* counts even what takes long."""
    ids = [row.badcase_id for row in rows]
    if not ids:
        return []
    requests = _requests(read)
    versions, trends = _version_spans(read, ids), _trends(read, rows)
    few = ids if whole else _few(rows)
    pictures, previews = _pictures(read, few), _previews(read, ids)
    views = [
        BadcaseView(
            badcase_id=row.badcase_id,
            system=row.system,
            function=row.function,
            title=row.title,
            truth=row.truth,
            prediction=row.predicted,
            status=row.status,
            reports=row.frequency,
            pictures=pictures.get(row.badcase_id),
            clients=row.client_count,
            rate=_rate(row.frequency, requests.get((row.system, row.function))),
            severity=row.severity,
            priority=row.priority,
            priority_reason=row.priority_reason if row.priority_set is not None else None,
            owner=row.owner,
            first_at=row.first_at,
            last_at=row.last_at,
            first_version=versions.get(row.badcase_id, ("", ""))[0],
            last_version=versions.get(row.badcase_id, ("", ""))[1],
            trend=trends[row.badcase_id],
            preview=previews.get(row.badcase_id),
            muted_until=row.muted_until,
            rejected=row.rejected,
            closed_by=row.closed_by,
            regressed_by=row.regressed_by,
            said=row.said,
            fingerprint=row.fingerprint,
            fingerprint_version=row.first_rule,
        )
        for row in rows
    ]
    return _with_causes(read, views)


def _few(rows: Sequence[AnyRow]) -> list[str]:
    """The badcases whose distinct files a page can count: as many of the smallest as have few reports together."""
    found: list[str] = []
    left = COUNTED_PICTURES
    for row in sorted(rows, key=lambda row: row.frequency):
        left -= row.frequency
        if left < 0:
            break
        found.append(row.badcase_id)
    return found


def pictures_of(read: Reader, badcase_id: str) -> int:
    """How many distinct files the reports of a badcase have, however many there are."""
    return _pictures(read, [badcase_id]).get(badcase_id, 0)


def _rate(reports: int, requests: int | None) -> float | None:
    return 1_000 * reports / requests if requests else None


def _requests(read: Reader) -> dict[tuple[str, str], int]:
    t = traffic_totals.c
    rows = read.all(select(t.system, t.function, func.sum(t.requests).label("how_many")).group_by(t.system, t.function))
    return {(row.system, row.function): row.how_many for row in rows}


def _version_spans(read: Reader, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    v = badcase_versions.c
    spans: dict[str, tuple[str, str]] = {}
    rows = read.all(select(v.badcase_id, v.version).where(v.badcase_id.in_(ids)).order_by(v.version_order, v.version))
    for row in rows:
        spans[row.badcase_id] = (spans.get(row.badcase_id, (row.version, ""))[0], row.version)
    return spans


def _trends(read: Reader, rows: Sequence[AnyRow]) -> dict[str, list[int]]:
    """Reports of the last weeks, up to the latest week of any badcase shown, so that all lines end together."""
    w = badcase_weeks.c
    ids = [row.badcase_id for row in rows]
    latest = max((row.last_at for row in rows), default=EPOCH)
    last = ((latest - EPOCH).days + 3) // 7
    trends = {badcase_id: [0] * TREND_WEEKS for badcase_id in ids}
    counted = read.all(
        select(w.badcase_id, w.week, w.frequency).where(w.badcase_id.in_(ids), w.week > last - TREND_WEEKS)
    )
    for row in counted:
        trends[row.badcase_id][row.week - last - 1] = row.frequency
    return trends


def _pictures(read: Reader, ids: Sequence[str]) -> dict[str, int]:
    rows = read.all(
        select(r.badcase_id, func.count(r.picture.distinct()).label("how_many"))
        .where(r.badcase_id.in_(ids))
        .group_by(r.badcase_id)
    )
    return {row.badcase_id: row.how_many for row in rows}


def _previews(read: Reader, ids: Sequence[str]) -> dict[str, str]:
    """The file of the latest report of each badcase, found from the end of its reports."""
    latest = (
        select(r.sha256)
        .where(r.badcase_id == b.badcase_id, r.sha256.is_not(None))
        .order_by(r.number.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = read.all(select(b.badcase_id, latest.label("sha256")).where(b.badcase_id.in_(ids)))
    return {row.badcase_id: row.sha256 for row in rows if row.sha256 is not None}


def _with_causes(read: Reader, views: list[BadcaseView]) -> list[BadcaseView]:
    ids = [v.badcase_id for v in views]
    causes: dict[str, list[tuple[str, str]]] = {}
    cb, cr, ib, ir = cause_badcases.c, cause_rows.c, iteration_badcases.c, iteration_rows.c
    for row in read.all(
        select(cb.badcase_id, cr.cause_id, cr.title)
        .select_from(cause_badcases.join(cause_rows, cr.cause_id == cb.cause_id))
        .where(cb.badcase_id.in_(ids))
        .order_by(cr.number)
    ):
        causes.setdefault(row.badcase_id, []).append((row.cause_id, row.title))
    turns: dict[str, list[tuple[str, str]]] = {}
    for row in read.all(
        select(ib.badcase_id, ir.iteration_id, ir.title)
        .select_from(iteration_badcases.join(iteration_rows, ir.iteration_id == ib.iteration_id))
        .where(ib.badcase_id.in_(ids))
        .order_by(ir.number)
    ):
        turns.setdefault(row.badcase_id, []).append((row.iteration_id, row.title))
    if not causes and not turns:
        return views
    return [
        replace(v, causes=tuple(causes.get(v.badcase_id, ())), iterations=tuple(turns.get(v.badcase_id, ())))
        for v in views
    ]
