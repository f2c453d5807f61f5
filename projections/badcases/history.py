"""When badcases had a status for the first time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlife.projections.badcases.homes import sliced
from sqlalchemy import select

from mlife.badcases.views.tables.history import CAME_BACK, SOLVED, badcase_statuses
from mlife.core.events import Recorded, to_micros
from mlife.core.projection import Tx

HOUR = 3_600_000_000
WEEK = 168 * HOUR
s = badcase_statuses.c


def begin(tx: Tx, run: Sequence[Recorded[Any]], new: Iterable[tuple[str, int]]) -> None:
    """New badcases, each with the position of its first report, which is one of *run*."""
    taken = dict(new)
    if not taken:
        return
    times = {r.position: r.draft.time for r in run}
    tx.insert_missing(
        badcase_statuses,
        [
            {"badcase_id": b, "status": "new", "number": n, "reached_at": times[n], "hours": 0, "week": 0}
            for b, n in taken.items()
            if n in times
        ],
    )


def reach(tx: Tx, statuses: Mapping[str, str], by: Mapping[str, Recorded[Any]]) -> None:
    """
    Note the *statuses* that badcases have after the events *by* which they may have changed.

    What was noted before stays, so that it does not matter how often it is said.
    """
    begun: dict[str, int] = {}
    back: set[str] = set()
    for some in sliced(statuses):
        known = select(s.badcase_id, s.status, s.reached_at).where(
            s.badcase_id.in_(some), s.status.in_(("new", SOLVED))
        )
        for row in tx.execute(known):
            if row.status == SOLVED:
                back.add(row.badcase_id)
            else:
                begun[row.badcase_id] = to_micros(row.reached_at)
    rows = []
    for badcase_id, status in statuses.items():
        r = by[badcase_id]
        age = max(0, r.draft.time - begun[badcase_id]) if badcase_id in begun else None
        words = [status]
        if status in ("shipped", "closed"):
            words.append(SOLVED)
        elif status in ("regressed", "recurring") and badcase_id in back:
            words.append(CAME_BACK)
        rows += [
            {
                "badcase_id": badcase_id,
                "status": word,
                "number": r.position,
                "reached_at": r.draft.time,
                "hours": None if age is None else age // HOUR,
                "week": None if age is None else age // WEEK,
            }
            for word in words
        ]
    tx.insert_missing(badcase_statuses, rows)
