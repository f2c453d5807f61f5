"""
Declared fields: what is declared of functions, and by which values reports and badcases are found.

A report keeps all its free fields in one column; only declared ones have rows of their own. So a field that is declared
later finds the reports from before, and a flood of reports without declared fields costs nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from mlife.projections.badcases.declared import badcases
from sqlalchemy import ColumnElement, and_, delete, func, insert, select

from mlife.badcases.events import FunctionDescribed
from mlife.badcases.intake.schema import FieldDeclared, found_by
from mlife.badcases.views.search import readable
from mlife.badcases.views.tables import badcase_fields, badcase_places, function_rows, report_fields, report_rows
from mlife.badcases.wording import PLACE, place_in
from mlife.core.events import Recorded, to_micros
from mlife.core.projection import Tx
from mlife.core.sealing import NUMBER as SEALED_NUMBER
from mlife.core.sealing import TEXT as SEALED
from mlife.core.sealing import is_sealed
from mlife.core.tables import AnyRow

JSON = dict[str, Any]
Declared = Mapping[tuple[str, str], Sequence[FieldDeclared]]
f, bf, r = report_fields.c, badcase_fields.c, report_rows.c
MARKS = SEALED.encode(), SEALED_NUMBER.encode()
"""What the bytes of free fields have in them if one is sealed."""
SLICE = 5_000
"""Reports that are read at once when a field is declared later than they came."""


def kept(free: JSON | None) -> str | None:
    """The free fields of a report as they stand in its row, without those that are sealed; None if there are none."""
    if not free:
        return None
    told = orjson.dumps(free, option=orjson.OPT_SORT_KEYS)
    if any(mark in told for mark in MARKS):
        open_ones = {name: value for name, value in free.items() if not is_sealed(value)}
        told = orjson.dumps(open_ones, option=orjson.OPT_SORT_KEYS) if open_ones else b""
    return told.decode() or None


def declared(tx: Tx) -> Declared:
    """What is declared now, by system and function; asked once for a run of reports."""
    c = function_rows.c
    rows = tx.execute(select(c.system, c.function, c.fields).where(c.fields != "[]"))
    return {(row.system, row.function): _fields(row.fields) for row in rows}


def with_secret_place(known: Declared) -> set[tuple[str, str]]:
    """Functions whose free field `place` may name a person: nothing is found by it, so it is no place either."""
    return {at for at, fields in known.items() if any(one.name == PLACE and one.personal for one in fields)}


def _fields(text: str) -> tuple[FieldDeclared, ...]:
    return tuple(FieldDeclared.of(told) for told in orjson.loads(text))


def count_fields(tx: Tx, rows: Iterable[tuple[int, str, JSON]], fields: Sequence[FieldDeclared]) -> None:
    """The rows of *fields* for reports, each as position, badcase and free fields, and their counts by badcase."""
    found: list[JSON] = []
    counts: dict[tuple[str, str, str], JSON] = {}
    for number, badcase_id, free in rows:
        for name, value, ordered in found_by(fields, free):
            amount = ordered if isinstance(ordered, float) else None
            moment = to_micros(ordered) if ordered is not None and amount is None else None
            found.append({"number": number, "name": name, "value": value, "amount": amount, "moment": moment})
            key = (badcase_id, name, value)
            if key in counts:
                counts[key]["frequency"] += 1
            else:
                counts[key] = {
                    "badcase_id": badcase_id,
                    "name": name,
                    "value": value,
                    "frequency": 1,
                    "first_amount": amount,
                    "first_moment": moment,
                }
    tx.insert(report_fields, found)
    tx.add(badcase_fields, counts.values())


def recount_fields(tx: Tx, badcase_ids: Sequence[str]) -> None:
    """Count the fields of badcases anew from their reports."""
    tx.execute(delete(badcase_fields).where(bf.badcase_id.in_(badcase_ids)))
    _count_from_rows(tx, r.badcase_id.in_(badcase_ids))


def _count_from_rows(tx: Tx, which: Any) -> None:
    counted = (
        select(r.badcase_id, f.name, f.value, func.count(), func.min(f.amount), func.min(f.moment))
        .select_from(report_rows.join(report_fields, f.number == r.number))
        .where(which)
        .group_by(r.badcase_id, f.name, f.value)
    )
    columns = ["badcase_id", "name", "value", "frequency", "first_amount", "first_moment"]
    tx.execute(insert(badcase_fields).from_select(columns, counted))


@badcases.on(FunctionDescribed)
def declare(run: Sequence[Recorded[FunctionDescribed]], tx: Tx) -> None:
    """What is declared now; reports from before are found by it too."""
    for recorded in run:
        event = recorded.event
        before = declared(tx).get((event.system, event.function), ())
        now = tuple(FieldDeclared.of(told) for told in event.fields)
        tx.upsert(
            function_rows,
            [
                {
                    "function_id": event.function_id,
                    "system": event.system,
                    "function": event.function,
                    "revision": event.revision,
                    "fields": orjson.dumps(event.fields).decode(),
                    "template": event.template,
                    "described_by": event.by,
                    "number": recorded.position,
                    "described_at": recorded.draft.time,
                }
            ],
        )
        _find_again(tx, event, _looked_for(before), _looked_for(now))
        secret = bool(with_secret_place({("", ""): now}))
        if secret != bool(with_secret_place({("", ""): before})):
            _place_again(tx, event, secret=secret)


def _looked_for(fields: Sequence[FieldDeclared]) -> dict[str, FieldDeclared]:
    return {one.name.lower(): one for one in fields if not one.personal}


def _with_fields(tx: Tx, which: ColumnElement[bool]) -> Iterator[Sequence[AnyRow]]:
    """The reports that have free fields, in slices by age."""
    last = 0
    while rows := tx.execute(
        select(r.number, r.badcase_id, r.place, r.fields)
        .where(which, r.fields.is_not(None), r.number > last)
        .order_by(r.number)
        .limit(SLICE)
    ):
        yield rows
        last = rows[-1].number


def _find_again(tx: Tx, event: FunctionDescribed, before: JSON, now: JSON) -> None:
    """Rows of the fields that changed, made anew from the reports of the function."""
    mine = and_(r.system == event.system, r.function == event.function)
    shape = {name: (one.name, one.type, one.choices) for name, one in before.items()}
    gone = [name for name in shape if name not in now or _shape(now[name]) != shape[name]]
    new = [one for name, one in now.items() if shape.get(name) != _shape(one)]
    if gone:
        touched = select(r.number).where(mine)
        ids = select(r.badcase_id).where(mine)
        tx.execute(delete(badcase_fields).where(bf.name.in_(gone), bf.badcase_id.in_(ids)))
        tx.execute(delete(report_fields).where(f.name.in_(gone), f.number.in_(touched)))
        _count_from_rows(tx, and_(f.name.in_(gone), r.badcase_id.in_(ids)))  # of other functions, merged with these
    for rows in _with_fields(tx, mine) if new else ():
        count_fields(tx, [(row.number, row.badcase_id, orjson.loads(row.fields)) for row in rows], new)


def _place_again(tx: Tx, event: FunctionDescribed, *, secret: bool) -> None:
    """The places that free fields told of reports from before: gone while nobody may be found by them, and back."""
    mine = and_(r.system == event.system, r.function == event.function)
    for rows in _with_fields(tx, mine):
        told = [(row.number, row.place, place_in(orjson.loads(row.fields))) for row in rows]
        meant = [(number, place) for number, before, place in told if place and before == (place if secret else None)]
        tx.update(report_rows, [{"number": n, "place": None if secret else place} for n, place in meant])
    recount_places(tx, [row[0] for row in tx.execute(select(r.badcase_id).where(mine).distinct())])


def recount_places(tx: Tx, badcase_ids: Sequence[str]) -> None:
    """Count the places of badcases anew from their reports."""
    for start in range(0, len(badcase_ids), 500):
        some = badcase_ids[start : start + 500]
        tx.execute(delete(badcase_places).where(badcase_places.c.badcase_id.in_(some)))
        counted = (
            select(r.badcase_id, r.place, func.count())
            .where(r.badcase_id.in_(some), readable(r.place))
            .group_by(r.badcase_id, r.place)
        )
        tx.execute(insert(badcase_places).from_select(["badcase_id", "place", "frequency"], counted))


def _shape(one: FieldDeclared) -> tuple[str, str, tuple[str, ...]]:
    return one.name, one.type, one.choices
