"""Add to Test Data: which rows of a badcase can be pinned, with the truth as it is today."""

from __future__ import annotations

from typing import Any

from mlife.badcases.states import Correction
from mlife.badcases.views.details import pinnable
from mlife.core.ports import EventStore
from mlife.core.projection import Reader


def pinnable_rows(store: EventStore, read: Reader, badcase_id: str) -> list[dict[str, Any]]:
    """
    The `rows` of the command `pin`: one for each distinct file that is not pinned, with its typed truth.

    Reports without truth are left out. The truth of other types than classes stands in the log only.
    """
    rows = []
    for row in pinnable(read, badcase_id):
        truth = row["annotation"] or _truth_in_log(store, row["uid"], row["position"])
        if truth is not None:
            rows.append({"uid": row["uid"], "sha256": row["sha256"], "annotation": truth})
    return rows


def _truth_in_log(store: EventStore, uid: str, position: int) -> dict[str, Any] | None:
    correction = Correction(uid)
    for recorded in store.read_stream(f"correction/{uid}"):
        correction.apply(recorded.event)
        correction.version = recorded.version
    if correction.exists:
        return correction.truth
    (report,) = store.read(position - 1, 1)
    truth: dict[str, Any] | None = report.event.truth  # type: ignore[attr-defined]
    return {k: v for k, v in truth.items() if k not in ("score", "scores")} if truth else None
