"""Saved views: what each name means now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlife.projections.badcases.declared import badcases

from mlife.badcases.events import ViewRemoved, ViewSaved
from mlife.badcases.views.tables import view_rows
from mlife.core.events import Recorded
from mlife.core.projection import Tx


@badcases.on(ViewSaved, ViewRemoved)
def follow_views(run: Sequence[Recorded[Any]], tx: Tx) -> None:
    """One row a name."""
    for r in run:
        e = r.event
        if isinstance(e, ViewRemoved):
            tx.delete(view_rows, view_rows.c.view_id == e.view_id)
            continue
        row = {"name": e.name, "list_name": e.of, "query": e.query, "sort": e.sort, "saved_by": e.by}
        tx.upsert(view_rows, [{"view_id": e.view_id, **row, "number": r.position, "saved_at": r.draft.time}])
