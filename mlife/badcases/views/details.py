"""One badcase from close by: verdicts, versions, what is pinned and what can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import func, select

from mlife.badcases.views.lists import report_views
from mlife.badcases.views.models import active, behind, requests_of
from mlife.badcases.views.rows import Pin, ReportView, VerdictView, VersionCount
from mlife.badcases.views.tables import (
    badcase_models,
    badcase_pins,
    badcase_rows,
    badcase_verdicts,
    badcase_versions,
    report_rows,
)
from mlife.core.projection import Reader

b, r, p = badcase_rows.c, report_rows.c, badcase_pins.c


def verdicts(read: Reader, badcase_id: str) -> list[VerdictView]:
    """The gate's latest word for each model that was judged on the badcase, newest first."""
    v, m = badcase_verdicts.c, badcase_models.c
    answering = _active_models(read, badcase_id)
    rows = read.all(
        select(badcase_verdicts, m.name)
        .select_from(badcase_verdicts.outerjoin(badcase_models, m.model_id == v.model_id))
        .where(v.badcase_id == badcase_id)
        .order_by(v.number.desc())
    )
    return [
        VerdictView(
            model_id=row.model_id,
            name=row.name or row.model_id,
            verdict=row.verdict,
            passes=row.passes,
            evidence=row.evidence,
            low=row.low,
            high=row.high,
            missing=row.missing,
            broken=bool(row.broken),
            sentence=row.sentence,
            position=row.number,
            judged_at=row.judged_at,
            active=row.model_id in answering,
        )
        for row in rows
    ]


def _active_models(read: Reader, badcase_id: str) -> set[str]:
    row = read.one(select(b.system, b.function).where(b.badcase_id == badcase_id))
    return {m for a in active(read, row.system, row.function) for m in a.model_ids} if row is not None else set()


def version_counts(read: Reader, badcase_id: str) -> list[VersionCount]:
    """Reports of the badcase by version, the lowest first, each with the models that it means."""
    found = read.one(select(b.system, b.function).where(b.badcase_id == badcase_id))
    if found is None:
        return []
    models, answering = behind(read), _active_models(read, badcase_id)
    requests = requests_of(read, found.system, found.function)
    rows = read.all(
        select(
            r.version,
            r.model_id,
            func.count().label("how_many"),
            func.count(r.picture.distinct()).label("files"),
            func.min(r.observed_at).label("first_at"),
            func.max(r.observed_at).label("last_at"),
        )
        .where(r.badcase_id == badcase_id)
        .group_by(r.version_order, r.version, r.model_id)
        .order_by(r.version_order, r.version, r.model_id)
    )
    counts = []
    for row in rows:
        behind_it = (row.model_id,) if row.model_id else models.get((found.system, row.version), ())
        counts.append(
            VersionCount(
                version=row.version,
                model_ids=behind_it,
                reports=row.how_many,
                files=row.files,
                first_at=row.first_at,
                last_at=row.last_at,
                requests=requests.get(row.version),
                active=bool(answering.intersection(behind_it)),
            )
        )
    return counts


def pins(read: Reader, badcase_ids: Sequence[str] | None = None) -> list[Pin]:
    """The pinned files of *badcase_ids*; of all badcases if it is None."""
    asked = select(badcase_pins).order_by(p.number, p.sha256)
    if badcase_ids is not None:
        asked = asked.where(p.badcase_id.in_(badcase_ids))
    return [
        Pin(row.badcase_id, row.sha256, row.uid, orjson.loads(row.annotation), bool(row.must_pass), row.document_id)
        for row in read.all(asked)
    ]


def pinnable(read: Reader, badcase_id: str, *, limit: int = 1_000) -> list[dict[str, Any]]:
    """
    Rows for Add to Test Data: one for each distinct file with truth that is not pinned yet, the oldest first.

    Only classes have their truth here; of other types the report in the log is read by whoever pins (`position`).
    """
    already = select(p.sha256).where(p.badcase_id == badcase_id)
    rows = read.all(
        select(func.min(r.number).label("place"), r.sha256)
        .where(r.badcase_id == badcase_id, r.sha256.is_not(None), r.sha256.not_in(already))
        .group_by(r.sha256)
        .order_by(func.min(r.number))
        .limit(limit)
    )
    places = [row.place for row in rows]
    found = {}
    for start in range(0, len(places), 500):
        some = places[start : start + 500]
        for row in read.all(select(r.number, r.uid, r.truth, r.predicted).where(r.number.in_(some))):
            found[row.number] = row
    return [
        {
            "uid": found[row.place].uid,
            "sha256": row.sha256,
            "position": row.place,
            "annotation": {"type": "class", "label": found[row.place].truth} if found[row.place].truth else None,
        }
        for row in rows
    ]


def reported_on(read: Reader, system: str, function: str) -> dict[str, tuple[str, ...]]:
    """
    Badcase → the models that it was reported on, most reports first: whose confusion its siblings share.

    Badcases whose reports all come from unknown models have an empty tuple.
    """
    models = behind(read)
    counts: dict[str, dict[str, int]] = {}
    v = badcase_versions.c
    rows = read.all(
        select(v.badcase_id, v.version, v.model_id, v.frequency)
        .select_from(badcase_versions.join(badcase_rows, b.badcase_id == v.badcase_id))
        .where(b.system == system, b.function == function)
        .order_by(v.badcase_id, v.version, v.model_id)
    )
    for row in rows:
        mine = counts.setdefault(row.badcase_id, {})
        for model_id in (row.model_id,) if row.model_id else models.get((system, row.version), ()):
            mine[model_id] = mine.get(model_id, 0) + row.frequency
    return {badcase_id: tuple(sorted(mine, key=lambda m: (-mine[m], m))) for badcase_id, mine in counts.items()}


def confusions(read: Reader, system: str, function: str) -> dict[str, tuple[str, str]]:
    """Badcase → (truth, prediction), of those that compare classes and know the truth."""
    rows = read.all(
        select(b.badcase_id, b.truth, b.predicted).where(
            b.system == system,
            b.function == function,
            b.truth.is_not(None),
            b.predicted.is_not(None),
            b.frequency > 0,
        )
    )
    return {row.badcase_id: (row.truth, row.predicted) for row in rows}


def report_by_position(read: Reader, position: int) -> ReportView | None:
    """The report at *position*, where it is counted now; None if none is there."""
    found = report_views(read, read.all(select(report_rows).where(r.number == position)))
    return found[0] if found else None
