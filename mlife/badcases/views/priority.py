"""
The priority of badcases: one documented formula, computed by the database where its inputs are.

Priority = 100 × (0.45 n / (n + 20) + 0.25 s / 3 + 0.15 c / (c + 3) + 0.15 t), where

* n is the number of reports, or where traffic is counted ten times the reports per 1,000 requests of the function;
* s is the worst severity that was given: 0 none, 1 minor, 2 major, 3 critical;
* c is the number of clients hit;
* t = w / (w + m) is its trend: reports w in its last week against its mean m of a week with reports.

A person's own figure comes before it. The projection computes it by these terms, and the page shows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select

from mlife.badcases.views.tables import badcase_clients, badcase_rows, badcase_weeks, traffic_totals
from mlife.core.projection import Reader

SEVERITIES = ("none given", "minor", "major", "critical")
b, w, t = badcase_rows.c, badcase_weeks.c, traffic_totals.c


@dataclass(frozen=True, slots=True)
class Points:
    """One term of a priority: the points it gives of the *most* it can, and what they come from, in words."""

    term: str
    points: float
    most: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Priority:
    """
    Why a badcase has its priority.

    Args:
        priority: what counts, 0 to 100. computed: by the formula. reason: why a person set it; None if nobody did.
        terms: of the computed one; their points add up to it.
    """

    priority: float
    computed: float
    reason: str | None
    terms: tuple[Points, ...]


def clients_hit() -> ColumnElement[int]:
    """How many clients a badcase hit."""
    c = badcase_clients.c
    return select(func.count()).select_from(badcase_clients).where(c.badcase_id == b.badcase_id).scalar_subquery()


def requests_of_function() -> ColumnElement[int]:
    """Requests of a badcase's function; null where its traffic is not counted."""
    return select(func.sum(t.requests)).where(t.system == b.system, t.function == b.function).scalar_subquery()


def last_week() -> ColumnElement[int]:
    """Reports in the last week in which a badcase was reported."""
    mine = select(w.frequency).where(w.badcase_id == b.badcase_id)
    return mine.order_by(w.week.desc()).limit(1).scalar_subquery()


def mean_week() -> ColumnElement[float]:
    """Reports in a mean week, of those with reports."""
    return select(1.0 * func.sum(w.frequency) / func.count()).where(w.badcase_id == b.badcase_id).scalar_subquery()


def terms() -> dict[str, ColumnElement[Any]]:
    """The terms of the formula, in points. They are written so that `c`, `w` and `m` are looked up once each."""
    often = func.coalesce(10_000.0 * b.frequency / func.nullif(requests_of_function(), 0), 1.0 * b.frequency)
    return {
        "frequency": 45.0 * often / (often + 20.0),
        "severity": 25.0 * b.last_severity / 3.0,
        "customers": 15.0 * (1.0 - 3.0 / (clients_hit() + 3.0)),
        "trend": 15.0 * func.coalesce(1.0 / (1.0 + mean_week() / last_week()), 0.5),
    }


def why(read: Reader, badcase_id: str) -> Priority | None:
    """The terms of a badcase's priority in points and words; None if there is no such badcase."""
    row = read.one(
        select(
            b.priority,
            b.priority_set,
            b.priority_reason,
            b.frequency.label("reports"),
            b.last_severity.label("worst"),
            clients_hit().label("clients"),
            requests_of_function().label("requests"),
            last_week().label("latest"),
            mean_week().label("mean"),
            *(term.label(f"of_{name}") for name, term in terms().items()),
        )
        .select_from(badcase_rows)
        .where(b.badcase_id == badcase_id)
    )
    if row is None:
        return None
    told = (
        Points("frequency", row.of_frequency, 45, _often(row.reports, row.requests)),
        Points("severity", row.of_severity, 25, f"the worst severity given: {SEVERITIES[row.worst]}"),
        Points("customers", row.of_customers, 15, f"{_many(row.clients, 'client')} hit"),
        Points("trend", row.of_trend, 15, _rise(row.latest, row.mean)),
    )
    reason = row.priority_reason if row.priority_set is not None else None
    return Priority(row.priority, sum(p.points for p in told), reason, told)


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _often(reports: int, requests: int | None) -> str:
    if not requests:
        return f"{_many(reports, 'report')}; no traffic of the function is counted"
    return f"{1_000 * reports / requests:.2f} per 1,000 requests: {_many(reports, 'report')} of {requests:,} requests"


def _rise(latest: int | None, mean: float | None) -> str:
    if not latest or not mean:
        return "no report stands in any week"
    return f"{_many(latest, 'report')} in its last week, {float(mean):.1f} in a mean week with reports"
