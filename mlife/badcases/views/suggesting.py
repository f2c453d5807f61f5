"""What suggestions are made of: the latest files and descriptions of each badcase, and what people decided."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import orjson
from sqlalchemy import and_, func, select

from mlife.badcases.functions import function_id
from mlife.badcases.standing import STATUSES
from mlife.badcases.views.tables import badcase_rows, dismissed_rows, likeness_rows, report_rows
from mlife.core.projection import Reader
from mlife.core.sealing import TEXT as SEALED

b, d, k, r = badcase_rows.c, dismissed_rows.c, likeness_rows.c, report_rows.c
MOST_BADCASES = 20_000
"""Badcases of a function that are compared with each other, most reports first."""
LATEST = 6
"""Reports of a badcase that are looked at, the latest."""
OF_ONE = 3
"""Distinct files, and distinct descriptions, of a badcase that stand for it."""
LOOKED_AT = STATUSES[:-1]
"""A rejected badcase is no failure to be compared."""
SLICE = 400


@dataclass(slots=True)
class Standing:
    """What stands for a badcase: SHA-256 of files, and descriptions that are not sealed."""

    files: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


def functions(read: Reader) -> list[tuple[str, str]]:
    """System and function of all that have two badcases or more, most badcases first."""
    how_many = func.count()
    rows = read.all(
        select(b.system, b.function)
        .where(b.frequency > 0, b.status.in_(LOOKED_AT))
        .group_by(b.system, b.function)
        .having(how_many > 1)
        .order_by(how_many.desc(), b.system, b.function)
    )
    return [(row.system, row.function) for row in rows]


def compared(read: Reader, system: str, function: str) -> list[str]:
    """The badcases of a function that are compared, most reports first."""
    rows = read.all(
        select(b.badcase_id)
        .where(b.system == system, b.function == function, b.frequency != 0, b.status.in_(LOOKED_AT))
        .order_by(b.frequency.desc(), b.badcase_id)
        .limit(MOST_BADCASES)
    )
    return [row[0] for row in rows]


def standing_for(read: Reader, badcase_ids: Sequence[str]) -> dict[str, Standing]:
    """What stands for each of at most `SLICE` badcases."""
    # where the latest reports of each begin, found from the end of its index
    first = (
        select(r.number)
        .where(r.badcase_id == b.badcase_id)
        .order_by(r.number.desc())
        .limit(1)
        .offset(LATEST - 1)
        .correlate(badcase_rows)
        .scalar_subquery()
    )
    latest = and_(r.badcase_id == b.badcase_id, r.number >= func.coalesce(first, 0))
    rows = read.all(
        select(r.badcase_id, r.sha256, r.media_type, r.description)
        .select_from(badcase_rows.join(report_rows, latest))
        .where(b.badcase_id.in_(badcase_ids))
        .order_by(r.number.desc())
    )
    found = {badcase_id: Standing() for badcase_id in badcase_ids}
    for row in rows:
        one = found[row.badcase_id]
        if row.sha256 and len(one.files) < OF_ONE and row.sha256 not in one.files:
            one.files.append(row.sha256)
        said = row.description
        if said and not said.startswith(SEALED) and len(one.texts) < OF_ONE and said not in one.texts:
            one.texts.append(said)
    return found


def chosen(read: Reader, system: str, function: str) -> tuple[str, ...] | None:
    """The embedders that somebody chose; None: whatever is installed."""
    told = read.value(select(k.embedders).where(k.function_id == function_id(system, function)))
    return None if told is None else tuple(orjson.loads(told))


@dataclass(frozen=True, slots=True)
class DismissedPair:
    """A suggestion that somebody dismissed at event `number`."""

    suggestion_id: str
    one: str
    other: str
    number: int


def dismissed(read: Reader, system: str, function: str) -> list[DismissedPair]:
    """What is not suggested again, the latest first."""
    rows = read.all(
        select(d.suggestion_id, d.one_id, d.other_id, d.number)
        .select_from(dismissed_rows.join(badcase_rows, b.badcase_id == d.one_id))
        .where(b.system == system, b.function == function)
        .order_by(d.number.desc())
    )
    return [DismissedPair(*row) for row in rows]


def apart(read: Reader, badcase_ids: Collection[str]) -> set[str]:
    """Those that are counted by themselves, and not rejected."""
    found: set[str] = set()
    for some in slices(sorted(badcase_ids)):
        rows = read.all(select(b.badcase_id).where(b.badcase_id.in_(some), b.frequency != 0, b.status.in_(LOOKED_AT)))
        found |= {row[0] for row in rows}
    return found


def slices(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    """*ids*, so many at a time that a statement can name them."""
    return (ids[at : at + SLICE] for at in range(0, len(ids), SLICE))
