"""The bytes that reports link to, and copies of files."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from mlife.projections.badcases.declared import badcases

from mlife.badcases.events import ReportDataFetched, ReportDataUnreadable
from mlife.badcases.views.tables import report_rows
from mlife.badcases.views.tables.media import derived_rows, report_data
from mlife.core.events import Recorded, to_micros
from mlife.core.projection import Tx
from mlife.data.events import FileDerived


@badcases.on(ReportDataFetched, ReportDataUnreadable)
def note_the_bytes(run: Sequence[Recorded[ReportDataFetched | ReportDataUnreadable]], tx: Tx) -> None:
    """What is known of each link; the first link of a report is its picture."""
    rows = {}
    pictures = {}
    for recorded in run:
        e = recorded.event
        row = {
            "number": e.position,
            "link": e.number,
            "uid": e.uid,
            "sha256": None,
            "media_type": "",
            "reason": "",
            "remedy": "",
            "is_passing": False,
            "told_at": to_micros(recorded.time),
        }
        if isinstance(e, ReportDataFetched):
            row |= {"sha256": e.sha256, "media_type": e.media_type}
            if e.number == 0:
                pictures[e.position] = {
                    "number": e.position,
                    "picture": e.sha256,
                    "sha256": e.sha256,
                    "media_type": e.media_type,
                }
        else:
            row |= {"reason": e.reason, "remedy": e.remedy, "is_passing": e.is_passing}
        rows[e.position, e.number] = row
    tx.upsert(report_data, rows.values())
    tx.update(report_rows, pictures.values())


@badcases.on(FileDerived)
def note_the_copies(run: Sequence[Recorded[FileDerived]], tx: Tx) -> None:
    """What each copy was made of, and how."""
    tx.insert_missing(
        derived_rows,
        [
            {
                "sha256": r.event.sha256,
                "source": r.event.source,
                "operation": r.event.operation,
                "parameters": orjson.dumps(r.event.parameters).decode(),
                "media_type": r.event.media_type,
                "made_at": to_micros(r.time),
                "number": r.position,
            }
            for r in run
        ],
    )
