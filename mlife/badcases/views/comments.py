"""Comments on a badcase."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select

from mlife.badcases.views.tables import badcase_aliases, comment_rows
from mlife.core.projection import Reader

c = comment_rows.c


@dataclass(frozen=True, slots=True)
class CommentView:
    """
    A comment.

    Args:
        text: as stored, so perhaps sealed. position: of the event that wrote it. edited_at: None: never.
    """

    comment_id: str
    badcase_id: str
    text: str
    by: str | None
    at: datetime
    position: int
    edited_by: str | None
    edited_at: datetime | None


def comments_on(read: Reader, badcase_id: str) -> list[CommentView]:
    """The comments on a badcase and on those merged into it, the oldest first; deleted ones are left out."""
    merged = select(badcase_aliases.c.badcase_id).where(badcase_aliases.c.home_id == badcase_id)
    rows = read.all(
        select(comment_rows)
        .where(or_(c.badcase_id == badcase_id, c.badcase_id.in_(merged)), c.deleted_at.is_(None))
        .order_by(c.number)
    )
    return [
        CommentView(
            comment_id=row.comment_id,
            badcase_id=row.badcase_id,
            text=row.text,
            by=row.written_by,
            at=row.written_at,
            position=row.number,
            edited_by=row.edited_by,
            edited_at=row.edited_at,
        )
        for row in rows
    ]
