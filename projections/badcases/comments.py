"""Comments, folded event by event."""

from __future__ import annotations

from mlife.projections.badcases.turns import Fold, Touched

from mlife.badcases.events import CommentDeleted, CommentEdited, CommentWritten
from mlife.badcases.views.tables import comment_rows
from mlife.core.events import Event, Recorded
from mlife.core.projection import Tx


def _written(r: Recorded[CommentWritten], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    e = r.event
    row = {"comment_id": e.comment_id, "badcase_id": e.badcase_id, "text": e.text, "written_by": e.by}
    tx.insert_missing(comment_rows, [{**row, "written_at": r.draft.time, "number": r.position}])


def _edited(r: Recorded[CommentEdited], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    e = r.event
    row = {"comment_id": e.comment_id, "text": e.text, "edited_by": e.by, "edited_at": r.draft.time}
    tx.update(comment_rows, [row])


def _deleted(r: Recorded[CommentDeleted], tx: Tx, touched: Touched) -> None:  # noqa: ARG001 - a fold
    e = r.event
    row = {"comment_id": e.comment_id, "text": None, "deleted_by": e.by, "deleted_at": r.draft.time}
    tx.update(comment_rows, [row])


COMMENTS: dict[type[Event], Fold] = {CommentWritten: _written, CommentEdited: _edited, CommentDeleted: _deleted}
