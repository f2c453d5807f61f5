"""The statistics of exactly the badcases that a list shows, and the facets that narrow it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, and_, func, select

from mlife.badcases.views import fields, history
from mlife.badcases.views.rows import Share, Week
from mlife.badcases.views.search import FREE, counted_badcases, searchable_badcases
from mlife.badcases.views.shares import counts_of, found, grouped, reports_in, shares
from mlife.badcases.views.tables import (
    badcase_clients,
    badcase_fields,
    badcase_places,
    badcase_rows,
    badcase_versions,
    badcase_weeks,
)
from mlife.badcases.wording import PLACE
from mlife.core.events import EPOCH
from mlife.core.projection import Reader
from mlife.core.query import compile_query, parse

b = badcase_rows.c
MATRIX_ROWS = 20
"""Badcases of the matrix of versions."""
FACET_FIELDS = 4


def facets(read: Reader, q: str, *, now: datetime) -> dict[str, list[Share]]:
    """For each facet of the badcases that match: its values with the number of badcases, most first."""
    those = found(and_(compile_query(parse(q), searchable_badcases, now), counted_badcases()))
    f = badcase_fields.c
    single = {name: counts_of(those.c[name]) for name in ("status", "function", "severity", "owner")}
    declared = {f"{FREE}{name}": reports_in(f.value, those).where(f.name == name) for name in _facet_fields(read)}
    return shares(grouped(read, {**single, **_several(those), **declared}))


def _several(those: CTE) -> dict[str, Select[Any]]:
    """Reports by what a badcase has several of."""
    return {
        "version": reports_in(badcase_versions.c.version, those),
        "client": reports_in(badcase_clients.c.client, those),
        PLACE: reports_in(badcase_places.c.place, those),
    }


def _facet_fields(read: Reader) -> list[str]:
    """Declared fields with few values, as many as fit beside a list; the place is a facet of its own."""
    few = [name for name, kind in fields.sought(read).items() if kind in ("choice", "flag") and name != PLACE]
    return few[:FACET_FIELDS]


def analyse(read: Reader, q: str, *, now: datetime, only: Sequence[str] | None = None) -> dict[str, Any]:
    """
    The statistics of the badcases that match, counted in reports; with *only* of those among these ids.

    Returns:
        `function`, `version`, `client`, `status`, `place`: lists of `Share`; `confusion`: (truth, prediction) → reports
        for classes; `weeks`: list of `Week` without gaps; `matrix`: (badcase, version) → reports of the badcases with
        most, `titles` of those; `times`: list of `TimeTo`; `solved`: a `Solved`.
    """
    condition = and_(compile_query(parse(q), searchable_badcases, now), counted_badcases())
    if only is not None:
        condition = and_(condition, b.badcase_id.in_(only))
    those = found(condition)
    summed = {name: counts_of(those.c[name], count=func.sum(those.c.frequency)) for name in ("function", "status")}
    total = func.sum(b.frequency)
    pairs = read.all(
        select(b.truth, b.predicted, total.label("how_many"))
        .where(condition, b.predicted.is_not(None))
        .group_by(b.truth, b.predicted)
        .order_by(total.desc(), b.truth, b.predicted)
        .limit(400)
    )
    return {
        **shares(grouped(read, {**summed, **_several(those)})),
        "confusion": {(row.truth, row.predicted): row.how_many for row in pairs},
        "weeks": weeks(read, condition),
        "times": history.times_to(read, condition),
        "solved": history.solved(read, condition),
        **_by_version(read, condition),
    }


def places_of(read: Reader, badcase_id: str) -> list[Share]:
    """Where a badcase happened, most reports first."""
    those = found(b.badcase_id == badcase_id)
    return shares(grouped(read, {PLACE: reports_in(badcase_places.c.place, those)}))[PLACE]


def _by_version(read: Reader, condition: ColumnElement[bool]) -> dict[str, Any]:
    """The badcases with most reports against the versions that those came from."""
    v = badcase_versions.c
    top = read.all(
        select(b.badcase_id, b.title).where(condition).order_by(b.frequency.desc(), b.badcase_id).limit(MATRIX_ROWS)
    )
    titles = {row.badcase_id: row.title for row in top}
    rows = read.all(
        select(v.badcase_id, v.version, func.sum(v.frequency).label("how_many"))
        .where(v.badcase_id.in_(list(titles)))
        .group_by(v.badcase_id, v.version)
    )
    return {"matrix": {(row.badcase_id, row.version): row.how_many for row in rows}, "titles": titles}


def titles_of(read: Reader, badcase_ids: Sequence[str]) -> dict[str, str]:
    """badcase → its title."""
    rows = read.all(select(b.badcase_id, b.title).where(b.badcase_id.in_(badcase_ids)))
    return {row.badcase_id: row.title for row in rows}


def weeks_matching(read: Reader, q: str, *, now: datetime, most: int = 26) -> list[Week]:
    """Reports by week of the badcases that match; see `weeks`."""
    condition = and_(compile_query(parse(q), searchable_badcases, now), counted_badcases())
    return weeks(read, condition, most=most)


def weeks_of(read: Reader, badcase_id: str) -> list[Week]:
    """Reports of one badcase by week."""
    return weeks(read, b.badcase_id == badcase_id)


def weeks(read: Reader, condition: ColumnElement[bool], *, most: int = 26) -> list[Week]:
    """Reports by week of observation, without gaps, at most *most* weeks up to the latest with a report."""
    w = badcase_weeks.c
    rows = read.all(
        select(w.week, func.sum(w.frequency).label("how_many"))
        .select_from(badcase_rows.join(badcase_weeks, w.badcase_id == b.badcase_id))
        .where(condition)
        .group_by(w.week)
        .order_by(w.week.desc())
        .limit(most)
    )
    if not rows:
        return []
    counts = {row.week: row.how_many for row in rows}
    last = max(counts)
    first = max(min(counts), last - most + 1)
    return [Week(monday(week), counts.get(week, 0)) for week in range(first, last + 1)]


def monday(week: int) -> datetime:
    """The first moment of a week as `badcase_weeks` numbers them."""
    return EPOCH + timedelta(days=7 * week - 3)
