"""The timeline of everything: which events concern which thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from mlife.audit.views import PREFIXES, things_of, timeline_rows
from mlife.core.events import Event, Recorded, registry
from mlife.core.projection import Projection, Tx

timeline = Projection("timeline", version=1, tables=[timeline_rows])


@timeline.on(*(kind.cls for kind in registry))
def place(run: Sequence[Recorded[Any]], tx: Tx) -> None:
    """One row for each event and thing; of single-event streams (reports, traffic, files) only the key is looked at."""
    rows: list[dict[str, Any]] = []
    for r in run:
        rows += [{"thing": t, "position": r.position, "counted": int(r.draft.single)} for t in _things(r)]
    tx.insert(timeline_rows, rows)


def _things(recorded: Recorded[Event]) -> set[str]:
    draft = recorded.draft
    if draft.single:
        return {draft.key} if draft.key.partition("-")[0] in PREFIXES else set()
    found = set(things_of(orjson.loads(draft.data)))
    found.add(draft.stream.partition("/")[2])
    if draft.correlation_id:
        found.add(draft.correlation_id)
    return found
