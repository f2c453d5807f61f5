"""
Where badcases and their reports are counted, and what holds for a badcase that others were merged into.

A report's place is a pure function of what is in force: its fingerprint (as it came, or as it was corrected) names an
origin; the last split that holds puts it elsewhere; merges say where that is counted. So whatever is taken back, in
whatever order, all is as if it had never been done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, case, delete, func, literal, null, select, update

from mlife.badcases.views.tables import (
    SAID,
    badcase_aliases,
    badcase_verdicts,
    move_rows,
    report_moves,
    report_rows,
)
from mlife.core.events import to_micros
from mlife.core.projection import Tx

a, r, m = badcase_aliases.c, report_rows.c, report_moves.c
SLICE = 500
"""Ids in one statement."""
Row = Mapping[str, Any]


def sliced(ids: Iterable[Any]) -> Iterable[list[Any]]:
    """*ids*, sorted, a statement's worth at a time."""
    ordered = sorted(set(ids))
    return (ordered[start : start + SLICE] for start in range(0, len(ordered), SLICE))


def homes_of(tx: Tx, badcase_ids: Iterable[str]) -> dict[str, str]:
    """Those of *badcase_ids* that are merged → where they are counted. Asked once for a run of events."""
    return {
        row.badcase_id: row.home_id
        for some in sliced(badcase_ids)
        for row in tx.execute(select(a.badcase_id, a.home_id).where(a.badcase_id.in_(some)))
    }


def members_of(tx: Tx, homes: Iterable[str]) -> dict[str, str]:
    """Every badcase that is counted in one of *homes* → that one; each home is counted in itself."""
    found = {home: home for home in homes}
    for some in sliced(tuple(found)):
        found |= {
            row.badcase_id: row.home_id
            for row in tx.execute(select(a.badcase_id, a.home_id).where(a.home_id.in_(some)))
        }
    return found


# --- what was said of badcases ---


def say(tx: Tx, table: Table, rows: Iterable[Row], *, replace: bool = False) -> set[str]:
    """
    Write what was said of badcases, by name into the twin of *table*, and where they are counted into *table*.

    Args:
        replace: a later word replaces an earlier one of the same key; else the first one stays.

    Returns:
        The badcases that it holds for.
    """
    told = list(rows)
    (tx.upsert if replace else tx.insert_missing)(SAID[table], told)
    names = {row["badcase_id"] for row in told}
    homes = homes_of(tx, names)
    shared = set(homes.values())
    for some in sliced(names):
        shared.update(row[0] for row in tx.execute(select(a.home_id).where(a.home_id.in_(some)).distinct()))
    alone = [row for row in told if row["badcase_id"] not in homes and row["badcase_id"] not in shared]
    (tx.upsert if replace else tx.insert_missing)(table, alone)
    gather(tx, shared, table)
    return {homes.get(name, name) for name in names}


def unsay(tx: Tx, table: Table, badcase_ids: Iterable[str], which: Row) -> set[str]:
    """
    Take back what was said of *badcase_ids*, or of what is counted in them, in rows that have the values *which*.

    Returns:
        The badcases that it held for.
    """
    names = set(badcase_ids)
    homes = homes_of(tx, names)
    members = members_of(tx, {homes.get(name, name) for name in names})
    twin = SAID[table]
    for some in sliced(members):
        tx.delete(twin, and_(twin.c.badcase_id.in_(some), *(twin.c[name] == value for name, value in which.items())))
    affected = {homes.get(name, name) for name in names}
    gather(tx, affected, table)
    return affected


WORST = {"failing": 0, "unproven": 1, "fixed": 2}
"""Of several verdicts of one model on what is one badcase now, the worst holds."""


def gather(tx: Tx, homes: Iterable[str], *tables: Table) -> None:
    """Make what holds for *homes* anew from what was said of all that is counted in them."""
    homes = set(homes)
    members = members_of(tx, homes)
    for table in tables or SAID:
        twin = SAID[table]
        said: list[dict[str, Any]] = []
        for some in sliced(members):
            said += [
                {str(name): _stored(value) for name, value in row._asdict().items()}
                for row in tx.execute(select(twin).where(twin.c.badcase_id.in_(some)))
            ]
        said.sort(key=_order(table))
        for some in sliced(homes):
            tx.execute(delete(table).where(table.c.badcase_id.in_(some)))
        told = ({**row, "badcase_id": members[row["badcase_id"]]} for row in said)
        tx.insert_missing(table, [row for row in told if row["badcase_id"] in homes])


def _order(table: Table) -> Any:
    """Of rows that become one, the first stays."""
    keys = [c.name for c in table.primary_key]
    if table is badcase_verdicts:
        return lambda row: (WORST.get(row["verdict"], 0), -row["number"], *(row[k] for k in keys))
    return lambda row: (row.get("number") or 0, *(row[k] for k in keys))


def _stored(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return to_micros(value) if isinstance(value, datetime) else value


# --- where reports are counted ---


def place(tx: Tx, which: ColumnElement[bool]) -> set[str]:
    """
    Count the reports *which* where they belong by what is in force now.

    Args:
        which: a condition that placing does not change, such as on positions.

    Returns:
        The badcases that they were counted in, and are now.
    """
    counted = select(r.badcase_id).where(which).distinct()
    before = {row[0] for row in tx.execute(counted)}
    origin = func.coalesce(r.origin_id, r.badcase_id)
    moved = (
        select(m.into_id)
        .where(m.number == r.number, m.origin_id == origin, m.live)
        .order_by(m.by_person.desc(), m.made_number.desc(), m.move_id)
        .limit(1)
        .scalar_subquery()
    )
    tx.execute(update(report_rows).where(which).values(origin_id=origin, placed_id=func.coalesce(moved, origin)))
    home = select(a.home_id).where(a.badcase_id == r.placed_id).scalar_subquery()
    tx.execute(update(report_rows).where(which).values(_counted_in(func.coalesce(home, r.placed_id))))
    return before | {row[0] for row in tx.execute(counted)}


def _counted_in(home: Any) -> dict[str, Any]:
    """
    The columns of reports that are counted in *home*, in one write, as each touches every index.

    One that is counted where its fingerprint says is as if it had never been moved.
    """
    at_home = and_(r.origin_id == home, r.placed_id == home)
    return {
        "badcase_id": home,
        "origin_id": case((at_home, null()), else_=r.origin_id),
        "placed_id": case((at_home, null()), else_=r.placed_id),
    }


def merge(tx: Tx, badcase_id: str, into_id: str, row: Row) -> set[str]:
    """Count *badcase_id*, and all that is counted in it, where *into_id* is; the badcases whose counts change."""
    home = homes_of(tx, [into_id]).get(into_id, into_id)
    if home == badcase_id:
        return set()
    tx.upsert(badcase_aliases, [{**row, "badcase_id": badcase_id, "into_id": into_id, "home_id": home}])
    tx.execute(update(badcase_aliases).where(a.home_id == badcase_id).values(home_id=home))
    own = {"origin_id": func.coalesce(r.origin_id, badcase_id), "placed_id": func.coalesce(r.placed_id, badcase_id)}
    tx.execute(update(report_rows).where(r.badcase_id == badcase_id).values(badcase_id=home, **own))
    return {badcase_id, home}


def unmerge(tx: Tx, badcase_id: str) -> set[str]:
    """Count *badcase_id*, and all that was merged into it, by itself again; the badcases whose counts change."""
    home = homes_of(tx, [badcase_id]).get(badcase_id)
    if home is None:
        return set()
    tree = _below(tx, badcase_id, home)
    tx.delete(badcase_aliases, a.badcase_id == badcase_id)
    for some in sliced(tree):
        tx.execute(update(badcase_aliases).where(a.badcase_id.in_(some)).values(home_id=badcase_id))
        back = _counted_in(literal(badcase_id))
        tx.execute(update(report_rows).where(r.badcase_id == home, r.placed_id.in_(some)).values(back))
    return {badcase_id, home}


def _below(tx: Tx, badcase_id: str, home: str) -> set[str]:
    """*badcase_id* and all that was merged into it, or into those."""
    into: dict[str, list[str]] = {}
    for row in tx.execute(select(a.badcase_id, a.into_id).where(a.home_id == home)):
        into.setdefault(row.into_id, []).append(row.badcase_id)
    found, ahead = {badcase_id}, [badcase_id]
    while ahead:
        new = [b for b in into.get(ahead.pop(), ()) if b not in found]
        found.update(new)
        ahead += new
    return found


def move(tx: Tx, header: Row, numbers: Sequence[int]) -> set[str]:
    """
    Move reports; the badcases whose counts change.

    A person's split takes those that are counted in `from_id` still, a rule those whose fingerprint names it still.

    Args:
        header: a row of `move_rows`. numbers: positions of the reports.
    """
    from_id: str = header["from_id"]
    by_person = header["kind"] == "split"
    home: str = homes_of(tx, [from_id]).get(from_id, from_id)
    origin = func.coalesce(r.origin_id, r.badcase_id)
    rows: list[dict[str, Any]] = []
    for some in sliced(numbers):
        found = tx.execute(
            select(r.number, origin.label("origin_id")).where(
                r.number.in_(some), r.badcase_id == home if by_person else origin == from_id
            )
        )
        rows += [
            {
                "move_id": header["move_id"],
                "number": row.number,
                "into_id": header["into_id"],
                "origin_id": row.origin_id,
                "by_person": int(by_person),
                "made_number": header["number"],
                "live": 1,
            }
            for row in found
        ]
    tx.upsert(move_rows, [{**header, "reports": len(rows), "undone_number": None}])
    tx.upsert(report_moves, rows)
    return {home} | place(tx, r.number.in_(select(m.number).where(m.move_id == header["move_id"])))


def move_back(tx: Tx, batch_id: str, undone: int) -> set[str]:
    """Take moves back that were made together, by the event at *undone*; the badcases whose counts change."""
    moves = select(move_rows.c.move_id).where(move_rows.c.batch_id == batch_id)
    ids = [row[0] for row in tx.execute(moves)]
    tx.update(move_rows, [{"move_id": move_id, "undone_number": undone} for move_id in ids])
    tx.execute(update(report_moves).where(m.move_id.in_(moves)).values(live=False))
    return place(tx, r.number.in_(select(m.number).where(m.move_id.in_(moves))))


__all__ = [
    "gather",
    "homes_of",
    "members_of",
    "merge",
    "move",
    "move_back",
    "place",
    "say",
    "sliced",
    "unmerge",
    "unsay",
]
