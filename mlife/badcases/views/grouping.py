"""Why reports are where they are: fingerprints, corrections, merges, splits, each with its event."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from mlife.badcases.views.search import searchable_reports
from mlife.badcases.views.tables import badcase_aliases, badcase_rows, move_rows, report_moves, report_rows
from mlife.core.errors import Refused
from mlife.core.projection import Reader
from mlife.core.query import compile_query, parse
from mlife.core.tables import AnyRow

a, b, m, mv, r = badcase_aliases.c, badcase_rows.c, report_moves.c, move_rows.c, report_rows.c
SLICE = 500
MOST_PARTS = 100
"""Parts of a badcase that its page names."""


@dataclass(frozen=True, slots=True)
class NamedBadcase:
    """What decisions about grouping need to know of a badcase."""

    badcase_id: str
    system: str
    function: str
    title: str
    reports: int


@dataclass(frozen=True, slots=True)
class Home:
    """
    Where a badcase that counts nothing itself is counted.

    Args:
        badcase_id: there. number: the event that made it so. how: `merged` or `rejoined`. into_id: what was chosen.
    """

    badcase_id: str
    title: str
    how: str
    into_id: str
    number: int
    by: str | None
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Part:
    """
    Reports that are in a badcase for one reason.

    Args:
        how: `fingerprint`, `split` (this badcase is what a person split off), `merged` or `rule`.
        badcase_id: under whose name they came. number: the event; None for a fingerprint, which came with each report.
        undo: can it be taken back? way: the badcases that it was merged through, to this one.
    """

    how: str
    badcase_id: str
    title: str
    fingerprint: str
    rule: int
    reports: int
    number: int | None
    by: str | None
    at: datetime | None
    reason: str
    undo: bool
    way: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class MoveView:
    """Reports that were moved out of a badcase together; `undone` None: they still are."""

    move_id: str
    kind: str
    from_id: str
    into_id: str
    title: str
    reports: int
    reason: str
    by: str | None
    number: int
    at: datetime
    undone: int | None


def named(read: Reader, badcase_ids: Iterable[str]) -> list[NamedBadcase]:
    """Those of *badcase_ids* that exist."""
    found: list[NamedBadcase] = []
    ids = sorted(set(badcase_ids))
    for start in range(0, len(ids), SLICE):
        rows = read.all(
            select(b.badcase_id, b.system, b.function, b.title, b.frequency).where(
                b.badcase_id.in_(ids[start : start + SLICE])
            )
        )
        found += [NamedBadcase(*row) for row in rows]
    return found


def home_of(read: Reader, badcase_id: str) -> Home | None:
    """Where a merged badcase, or a split that was taken back, is counted; None: in itself."""
    row = read.one(
        select(badcase_aliases, b.title)
        .select_from(badcase_aliases.join(badcase_rows, b.badcase_id == a.home_id))
        .where(a.badcase_id == badcase_id)
    )
    if row is not None:
        return Home(row.home_id, row.title, "merged", row.into_id, row.number, row.merged_by, row.merged_at, row.reason)
    row = read.one(
        select(move_rows, b.title.label("home_title"))
        .select_from(move_rows.join(badcase_rows, b.badcase_id == mv.from_id))
        .where(mv.move_id == badcase_id, mv.undone_number.is_not(None))
    )
    if row is None or read.value(select(b.frequency).where(b.badcase_id == badcase_id)):
        return None
    further = home_of(read, row.from_id)
    where, title = (further.badcase_id, further.title) if further else (row.from_id, row.home_title)
    return Home(where, title, "rejoined", row.from_id, row.undone_number, row.made_by, row.made_at, row.reason)


def parts_of(read: Reader, badcase_id: str) -> list[Part]:
    """Why the reports of a badcase are in it: most reports first, its own first of all."""
    under = func.coalesce(r.placed_id, r.badcase_id)
    counts: dict[str, int] = dict.fromkeys([badcase_id], 0)
    if _is_mixed(read, badcase_id):
        for row in read.all(
            select(under.label("under"), func.count().label("how_many"))
            .where(r.badcase_id == badcase_id)
            .group_by(under)
        ):
            counts[row.under] = row.how_many
    else:
        counts[badcase_id] = read.value(select(b.frequency).where(b.badcase_id == badcase_id)) or 0
    merged = {row.badcase_id: row for row in read.all(select(badcase_aliases).where(a.home_id == badcase_id))}
    counts |= {name: 0 for name in merged if name not in counts}
    names = sorted(counts, key=lambda n: (n != badcase_id, -counts[n], n))[:MOST_PARTS]
    about = {row.badcase_id: row for row in read.all(select(badcase_rows).where(b.badcase_id.in_(names)))}
    splits = {row.move_id: row for row in read.all(select(move_rows).where(mv.move_id.in_(names)))}
    return [
        _part(name, badcase_id, counts[name], about[name], merged, splits.get(name)) for name in names if name in about
    ]


def _is_mixed(read: Reader, badcase_id: str) -> bool:
    """Is there anything in it that came under another name?"""
    return read.one(select(a.badcase_id).where(a.home_id == badcase_id).limit(1)) is not None


def _part(name: str, home: str, reports: int, about: AnyRow, merged: dict[str, AnyRow], split: AnyRow | None) -> Part:
    alias = merged.get(name)
    if alias is None:
        made = split if split is not None and split.undone_number is None else None
        return Part(
            "split" if made is not None else "fingerprint",
            name,
            about.title,
            about.fingerprint,
            about.first_rule,
            reports,
            made.number if made is not None else None,
            made.made_by if made is not None else None,
            made.made_at if made is not None else None,
            made.reason if made is not None else "",
            made is not None,
        )
    way, at = [], alias.into_id
    while at != home and at in merged:
        way.append(at)
        at = merged[at].into_id
    return Part(
        "merged",
        name,
        about.title,
        about.fingerprint,
        about.first_rule,
        reports,
        alias.number,
        alias.merged_by,
        alias.merged_at,
        alias.reason,
        undo=True,
        way=tuple(way),
    )


def moves_from(read: Reader, badcase_id: str) -> list[MoveView]:
    """What was split off a badcase, the newest first."""
    return [
        MoveView(
            row.move_id,
            row.kind,
            row.from_id,
            row.into_id,
            row.title,
            row.reports,
            row.reason,
            row.made_by,
            row.number,
            row.made_at,
            row.undone_number,
        )
        for row in read.all(
            select(move_rows).where(mv.from_id == badcase_id).order_by(mv.number.desc()).limit(MOST_PARTS)
        )
    ]


@dataclass(frozen=True, slots=True)
class Step:
    """One reason on a report's way to where it is counted: `badcase_id` is where it leads, `number` the event."""

    how: str
    badcase_id: str
    number: int
    by: str | None = None


def way_of(read: Reader, position: int) -> list[Step]:
    """How a report came to where it is counted, after its fingerprint: splits that hold, and merges, in their order."""
    row = read.one(select(r.badcase_id, r.origin_id, r.placed_id).where(r.number == position))
    if row is None or row.placed_id is None:
        return []
    steps: list[Step] = []
    if row.placed_id != row.origin_id:
        made = read.one(
            select(mv.kind, mv.number, mv.made_by)
            .select_from(report_moves.join(move_rows, mv.move_id == m.move_id))
            .where(m.number == position, m.into_id == row.placed_id, m.live)
            .order_by(m.made_number.desc())
            .limit(1)
        )
        if made is not None:
            steps.append(Step(made.kind, row.placed_id, made.number, made.made_by))
    at = row.placed_id
    while at != row.badcase_id:
        alias = read.one(select(a.into_id, a.number, a.merged_by).where(a.badcase_id == at))
        if alias is None:
            break
        steps.append(Step("merged", alias.into_id, alias.number, alias.merged_by))
        at = alias.into_id
    return steps


def positions(read: Reader, badcase_id: str, q: str, *, now: datetime, limit: int) -> list[int]:
    """The reports of a badcase that a query finds, the oldest first; all that a split by query takes."""
    condition = compile_query(parse(q), searchable_reports, now)
    rows = read.all(select(r.number).where(r.badcase_id == badcase_id, condition).order_by(r.number).limit(limit))
    return [row[0] for row in rows]


def counted_in(read: Reader, badcase_id: str, numbers: Sequence[int]) -> list[int]:
    """Those of the reports *numbers* that are counted in a badcase."""
    found: list[int] = []
    chosen = sorted(set(numbers))
    for start in range(0, len(chosen), SLICE):
        some = chosen[start : start + SLICE]
        found += [row[0] for row in read.all(select(r.number).where(r.number.in_(some), r.badcase_id == badcase_id))]
    return sorted(found)


def must_be_counted_here(read: Reader, badcase_id: str) -> None:
    """
    See that a badcase is no other name of another one.

    Raises:
        Refused: it is merged; what would be done to it belongs to its home.
    """
    home = home_of(read, badcase_id)
    if home is not None and home.how == "merged":
        raise Refused(
            f"{badcase_id} is merged into {home.badcase_id}, {home.title}",
            remedy=f"do it to {home.badcase_id}, or unmerge {badcase_id} first",
        )
