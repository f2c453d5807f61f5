"""Models and deployments as badcases see them: who is behind a version, who answers now, who descends from whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import func, select

from mlife.badcases.views.tables import badcase_deployments, badcase_models, traffic_rows, traffic_totals
from mlife.core.projection import Reader

d, m, t = badcase_deployments.c, badcase_models.c, traffic_totals.c


@dataclass(frozen=True, slots=True)
class Active:
    """
    A deployment that answers now.

    Args:
        function: empty: all functions of the system.
        activated: position of its last activation.
    """

    deployment_id: str
    system: str
    function: str
    version: str
    target: str
    model_ids: tuple[str, ...]
    activated: int
    activated_at: datetime


def behind(read: Reader) -> dict[tuple[str, str], tuple[str, ...]]:
    """(system, version) → the models that devices mean by it."""
    rows = read.all(select(d.system, d.version, d.model_ids).order_by(d.number))
    return {(row.system, row.version): tuple(orjson.loads(row.model_ids)) for row in rows}


def active(read: Reader, system: str, function: str) -> list[Active]:
    """The deployments that answer for a function now, the latest first."""
    rows = read.all(
        select(badcase_deployments)
        .where(d.state == "active", d.system == system, d.function.in_(["", function]))
        .order_by(d.activated_number.desc())
    )
    return [
        Active(
            row.deployment_id,
            row.system,
            row.function,
            row.version,
            row.target,
            tuple(orjson.loads(row.model_ids)),
            row.activated_number,
            row.activated_at,
        )
        for row in rows
    ]


def releases(read: Reader, system: str | None = None, function: str | None = None) -> list[tuple[str, str, datetime]]:
    """(version, deployment id, when it was decided) of every deployment that ever answered: chart marks."""
    asked = select(d.version, d.deployment_id, d.made_at).where(d.activated_at.is_not(None))
    if system is not None:
        asked = asked.where(d.system == system)
    if function is not None:
        asked = asked.where(d.function.in_(["", function]))
    return [(row.version, row.deployment_id, row.made_at) for row in read.all(asked.order_by(d.made_at, d.number))]


def parents(read: Reader) -> dict[str, tuple[str, ...]]:
    """Model → the models that it is meant to replace."""
    return {row.model_id: tuple(orjson.loads(row.parents)) for row in read.all(select(m.model_id, m.parents))}


def requests_of(read: Reader, system: str, function: str) -> dict[str, int]:
    """Version → requests that it answered."""
    rows = read.all(select(t.version, t.requests).where(t.system == system, t.function == function))
    return {row.version: row.requests for row in rows}


def requests_since(read: Reader, system: str, function: str, version: str, after: int) -> int:
    """Requests that a version answered, of the counts that came in after position *after*."""
    rows = traffic_rows.c
    counted = read.value(
        select(func.coalesce(func.sum(rows.requests), 0)).where(
            rows.system == system, rows.function == function, rows.version == version, rows.number > after
        )
    )
    return int(counted or 0)


def iterations_of(read: Reader) -> dict[str, str | None]:
    """Model → the iteration that made it."""
    return {row.model_id: row.iteration_id for row in read.all(select(m.model_id, m.iteration_id))}
