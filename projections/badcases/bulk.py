"""Bulk jobs: how far they are. What they change is folded like any other change of a badcase."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from mlife.projections.badcases.declared import badcases
from sqlalchemy import update

from mlife.badcases.events import BulkFinished, BulkProgressed, BulkStarted
from mlife.badcases.views.tables import bulk_refusals, bulk_rows
from mlife.core.events import Recorded
from mlife.core.projection import Tx

b = bulk_rows.c


@badcases.on(BulkStarted, BulkProgressed, BulkFinished)
def follow_bulk(run: Sequence[Recorded[Any]], tx: Tx) -> None:
    """One row a job, moved on by each step."""
    for recorded in run:
        event = recorded.event
        if isinstance(event, BulkStarted):
            _started(recorded, tx)
        elif isinstance(event, BulkProgressed):
            _progressed(recorded, tx)
        else:
            end = {"finished_at": recorded.draft.time, "stopped": int(event.stopped)}
            tx.update(bulk_rows, [{"bulk_id": event.bulk_id, "moved_at": recorded.draft.time, **end}])


def _started(r: Recorded[BulkStarted], tx: Tx) -> None:
    e = r.event
    tx.insert_missing(
        bulk_rows,
        [
            {
                "bulk_id": e.bulk_id,
                "action": e.action,
                "query": e.query,
                "input": orjson.dumps(e.input).decode(),
                "undoes": e.undoes,
                "started_by": e.by,
                "total": len(e.badcase_ids),
                **dict.fromkeys(("done", "changed", "unchanged", "refused", "stopped"), 0),
                "number": r.position,
                "started_at": r.draft.time,
                "moved_at": r.draft.time,
            }
        ],
    )


def _progressed(r: Recorded[BulkProgressed], tx: Tx) -> None:
    e = r.event
    tx.execute(
        update(bulk_rows)
        .where(b.bulk_id == e.bulk_id)
        .values(
            done=e.done,
            changed=b.changed + len(e.changed),
            unchanged=b.unchanged + e.unchanged,
            refused=b.refused + len(e.refused),
            moved_at=r.draft.time,
        )
    )
    tx.insert_missing(bulk_refusals, [{"bulk_id": e.bulk_id, **refusal} for refusal in e.refused])
