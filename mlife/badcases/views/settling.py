"""What the handler looks at: all that closings and regressions depend on."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, or_, select

from mlife.badcases.views.models import active, behind, iterations_of, parents, requests_of, requests_since
from mlife.badcases.views.tables import (
    badcase_aliases,
    badcase_rows,
    badcase_verdicts,
    badcase_versions,
    report_rows,
)
from mlife.core.judgement import Standing, Word
from mlife.core.projection import Reader

a, b, r, v = badcase_aliases.c, badcase_rows.c, report_rows.c, badcase_verdicts.c


@dataclass(frozen=True)
class JudgedBadcase:
    """
    A badcase with its verdicts: model → verdict, and model → position of that verdict.

    Args:
        regressed_at: position where it came back. regrouped: was what is counted in it changed after that?
        returned: model → a badcase merged into it that had come back in that model.
    """

    badcase_id: str
    closed_by: str | None
    regressed_by: str | None
    standings: dict[str, Standing]
    judged: dict[str, int]
    regressed_at: int
    regrouped: bool
    returned: dict[str, str]


def judged(read: Reader, system: str, function: str) -> list[JudgedBadcase]:
    """
    The badcases of a function that any model was judged on, or that were closed or came back.

    Rejected ones are left out, and those that are merged: what holds for them is said of where they are counted.
    """
    mine = and_(b.system == system, b.function == function, b.status != "rejected")
    settled = or_(v.model_id.is_not(None), b.closed_by.is_not(None), b.regressed_by.is_not(None))
    rows = read.all(
        select(
            *(b.badcase_id, b.closed_by, b.regressed_by, b.regressed_number, b.regrouped_number),
            *(v.model_id, v.verdict, v.low, v.number),
        )
        .select_from(badcase_rows.outerjoin(badcase_verdicts, v.badcase_id == b.badcase_id))
        .where(mine, settled, b.badcase_id.not_in(select(a.badcase_id)))
        .order_by(b.badcase_id, v.number)
    )
    returned = _returned(read, mine)
    found: dict[str, JudgedBadcase] = {}
    for row in rows:
        one = found.get(row.badcase_id)
        if one is None:
            back = row.regressed_number or 0
            regrouped = (row.regrouped_number or 0) > back
            one = found[row.badcase_id] = JudgedBadcase(
                row.badcase_id,
                row.closed_by,
                row.regressed_by,
                {},
                {},
                back,
                regrouped,
                returned.get(row.badcase_id, {}),
            )
        if row.model_id is None:
            continue
        one.standings[row.model_id] = Standing(Word(row.verdict), 1.0 - row.low)
        one.judged[row.model_id] = row.number
    return list(found.values())


def _returned(read: Reader, mine: ColumnElement[bool]) -> dict[str, dict[str, str]]:
    """Where a badcase is counted → model → the badcase merged into it that had come back in that model."""
    found: dict[str, dict[str, str]] = {}
    for row in read.all(
        select(a.home_id, a.badcase_id, b.regressed_by)
        .select_from(badcase_aliases.join(badcase_rows, b.badcase_id == a.badcase_id))
        .where(mine, b.regressed_by.is_not(None))
        .order_by(a.badcase_id.desc())
    ):
        found.setdefault(row.home_id, {})[row.regressed_by] = row.badcase_id
    return found


def settled_functions(read: Reader) -> list[tuple[str, str]]:
    """The functions, with their systems, of which `judged` may tell something."""
    with_verdict = select(v.badcase_id).distinct()
    some = or_(b.badcase_id.in_(with_verdict), b.closed_by.is_not(None), b.regressed_by.is_not(None))
    rows = read.all(select(b.system, b.function).where(some).distinct().order_by(b.system, b.function))
    return [(row.system, row.function) for row in rows]


def functions_judged(read: Reader, system: str) -> list[str]:
    """The functions of a system that have badcases with verdicts."""
    with_verdict = select(v.badcase_id).distinct()
    rows = read.all(
        select(b.function).where(b.system == system, b.badcase_id.in_(with_verdict)).distinct().order_by(b.function)
    )
    return [row[0] for row in rows]


def files_on(read: Reader, badcase_id: str, version: str, after: int = 0) -> int:
    """Distinct files reported of a badcase on a version, of the reports after position *after*."""
    if (
        after == 0
        and read.one(
            select(badcase_versions.c.version).where(
                badcase_versions.c.badcase_id == badcase_id, badcase_versions.c.version == version
            )
        )
        is None
    ):
        return 0
    counted = read.value(
        select(func.count(r.picture.distinct())).where(
            r.badcase_id == badcase_id, r.number > after, r.version == version
        )
    )
    return int(counted or 0)


@dataclass(frozen=True)
class Answering:
    """A deployment that answers now; see `mlife.badcases.settling`."""

    deployment_id: str
    version: str
    model_ids: tuple[str, ...]
    requests: int
    since: int
    iteration_ids: dict[str, str | None]


def answering(read: Reader, system: str, function: str) -> list[Answering]:
    """The deployments that answer for a function, with the traffic of their versions."""
    made = iterations_of(read)
    requests = requests_of(read, system, function)
    return [
        Answering(
            d.deployment_id,
            d.version,
            d.model_ids,
            requests.get(d.version, 0),
            requests_since(read, system, function, d.version, d.activated),
            {m: made.get(m) for m in d.model_ids},
        )
        for d in active(read, system, function)
    ]


def models_of_versions(read: Reader, system: str) -> dict[str, tuple[str, ...]]:
    """Version → the models behind it, for one system."""
    return {version: models for (s, version), models in behind(read).items() if s == system}


__all__ = [
    "Answering",
    "JudgedBadcase",
    "answering",
    "files_on",
    "functions_judged",
    "judged",
    "models_of_versions",
    "parents",
    "requests_of",
    "settled_functions",
]
