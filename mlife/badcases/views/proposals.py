"""What badcases without a cause share, counted from the tables; the rules are in `mlife.badcases.proposing`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Table, exists, func, select

from mlife.badcases.proposing import Alike, Candidate, Proposal, Seen, proposals_of
from mlife.badcases.standing import OPEN
from mlife.badcases.views.causes import dismissed
from mlife.badcases.views.search import counted_badcases
from mlife.badcases.views.tables import (
    badcase_clients,
    badcase_fields,
    badcase_places,
    badcase_rows,
    badcase_versions,
    badcase_weeks,
    cause_badcases,
)
from mlife.badcases.wording import PLACE
from mlife.core.events import EPOCH
from mlife.core.projection import Reader

b = badcase_rows.c
MOST_CANDIDATES = 300
"""Badcases of a function that are looked at, the most urgent ones: a page must not grow with the log."""
MOST_FUNCTIONS = 3
AlikeOf = Callable[[str, str], list[Alike]]
SEALED = "sealed "
"""Clients that are sealed are no cause that anybody could name."""


def without_cause() -> ColumnElement[bool]:
    """Has nobody said why it happens?"""
    return ~exists().where(cause_badcases.c.badcase_id == b.badcase_id)


def propose(
    read: Reader, alike: AlikeOf | None = None, *, system: str | None = None, function: str | None = None
) -> list[Proposal]:
    """
    What is proposed for the functions with most open badcases without a cause, the highest score first.

    Args:
        alike: from a function to its badcases that look or read alike; None: nobody has looked.
        system, function: only for this one.
    """
    gone = dismissed(read)
    found: list[Proposal] = []
    for of_system, name in _functions(read, system, function):
        candidates = _candidates(read, of_system, name)
        if len(candidates) >= 3:
            pairs = alike(of_system, name) if alike else ()
            found += proposals_of(of_system, name, candidates, _seen(read, of_system, name, candidates), gone, pairs)
    return sorted(found, key=lambda p: -p.score)


def _functions(read: Reader, system: str | None, function: str | None) -> list[tuple[str, str]]:
    if system is not None and function is not None:
        return [(system, function)]
    rows = read.all(
        select(b.system, b.function)
        .where(b.status.in_(OPEN), without_cause(), counted_badcases())
        .group_by(b.system, b.function)
        .order_by(func.count().desc(), b.system, b.function)
        .limit(MOST_FUNCTIONS)
    )
    return [(row.system, row.function) for row in rows]


def _candidates(read: Reader, system: str, function: str) -> list[Candidate]:
    rows = read.all(
        select(b.badcase_id, b.frequency, b.truth, b.predicted)
        .where(b.system == system, b.function == function, b.status.in_(OPEN), without_cause(), counted_badcases())
        .order_by(b.priority.desc(), b.badcase_id)
        .limit(MOST_CANDIDATES)
    )
    return [Candidate(row.badcase_id, row.frequency, row.truth, row.predicted) for row in rows]


def _seen(read: Reader, system: str, function: str, candidates: Sequence[Candidate]) -> list[Seen]:
    ids = [c.badcase_id for c in candidates]
    mine = (b.system == system) & (b.function == function)
    total = int(read.value(select(func.coalesce(func.sum(b.frequency), 0)).where(mine)) or 0)
    found = [
        _counted(read, "version", badcase_versions, badcase_versions.c.version, ids, mine, total),
        _counted(read, "client", badcase_clients, badcase_clients.c.client, ids, mine, total),
        _counted(read, PLACE, badcase_places, badcase_places.c.place, ids, mine, total),
        _counted(read, "week", badcase_weeks, badcase_weeks.c.week, ids, mine, total),
    ]
    f = badcase_fields.c
    names = read.all(select(f.name).where(f.badcase_id.in_(ids), f.name != PLACE).distinct().order_by(f.name))
    found += [
        _counted(read, row.name, badcase_fields, f.value, ids, mine & (f.name == row.name), total) for row in names
    ]
    return found


def _counted(
    read: Reader,
    attribute: str,
    table: Table,
    column: ColumnElement[Any],
    ids: Sequence[str],
    which: ColumnElement[bool],
    total: int,
) -> Seen:
    """Reports by value: of each of the badcases *ids*, and of all that are *which*."""
    joined = table.join(badcase_rows, b.badcase_id == table.c.badcase_id)
    frequency = func.sum(table.c.frequency).label("how_many")
    of: dict[str, dict[str, int]] = {}
    own = select(column.label("value"), table.c.badcase_id, frequency).select_from(joined)
    for row in read.all(own.where(which, table.c.badcase_id.in_(ids)).group_by(column, table.c.badcase_id)):
        value = _named(attribute, row.value)
        if not value.startswith(SEALED):
            of.setdefault(value, {})[row.badcase_id] = int(row.how_many)
    everywhere = select(column.label("value"), frequency).select_from(joined).where(which).group_by(column)
    counts = {_named(attribute, row.value): int(row.how_many) for row in read.all(everywhere)}
    return Seen(attribute, of, counts, total)


def _named(attribute: str, value: Any) -> str:
    """A week by its Monday, other values as they are."""
    if attribute == "week" and isinstance(value, int):
        return f"{EPOCH + timedelta(days=7 * value - 3):%Y-%m-%d}"
    return str(value)
