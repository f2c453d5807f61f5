"""Comments: what people say about a badcase. The comments of one badcase are one stream."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mlife.core.events import Event, Personal, event


@event("mlife.comment.written", stream="comments/{badcase_id}", key="badcase_id")
class CommentWritten(Event):
    """Somebody said something about a badcase, in plain text."""

    badcase_id: str
    comment_id: str
    system: str
    text: Annotated[str, Personal] = Field(min_length=1)
    by: str | None = None


@event("mlife.comment.edited", stream="comments/{badcase_id}", key="badcase_id")
class CommentEdited(Event):
    """A comment says something else now; what it said before stays in the log."""

    badcase_id: str
    comment_id: str
    system: str
    text: Annotated[str, Personal] = Field(min_length=1)
    by: str | None = None


@event("mlife.comment.deleted", stream="comments/{badcase_id}", key="badcase_id")
class CommentDeleted(Event):
    """A comment is shown no more; what it said stays in the log."""

    badcase_id: str
    comment_id: str
    by: str | None = None
