"""Comments on badcases: written, edited, deleted; the log keeps what was said."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mlife.badcases.events import CommentDeleted, CommentEdited, CommentWritten
from mlife.badcases.states import Comments
from mlife.core.command import Given
from mlife.core.errors import Refused, no_such
from mlife.core.events import Event

Name = Annotated[str, Field(min_length=1, max_length=128)]
Text = Annotated[str, Field(max_length=10_000)]
MOST_COMMENTS = 2_000
"""On one badcase: they are folded with every comment."""


def write_comment(given: Given, *, badcase_id: Name, system: Name, text: Text) -> list[Event]:
    """Say something about a badcase, in plain text."""
    said = _said(text)
    if len(given(Comments, badcase_id).texts) >= MOST_COMMENTS:
        raise Refused(
            f"{badcase_id} has {MOST_COMMENTS} comments already", remedy="delete some, or discuss it elsewhere"
        )
    comment_id = given.new_id("com")
    return [
        CommentWritten(badcase_id=badcase_id, comment_id=comment_id, system=system, text=said, by=given.actor),
    ]


def edit_comment(given: Given, *, badcase_id: Name, system: Name, comment_id: Name, text: Text) -> list[Event]:
    """Say it in other words; the same words change nothing."""
    said = _said(text)
    if _known(given, badcase_id, comment_id) == said:
        return []
    return [CommentEdited(badcase_id=badcase_id, comment_id=comment_id, system=system, text=said, by=given.actor)]


def delete_comment(given: Given, *, badcase_id: Name, comment_id: Name) -> list[Event]:
    """Show a comment no more."""
    _known(given, badcase_id, comment_id)
    return [CommentDeleted(badcase_id=badcase_id, comment_id=comment_id, by=given.actor)]


def _said(text: str) -> str:
    said = text.strip()
    if not said:
        raise Refused("an empty comment says nothing", remedy="write what you found")
    return said


def _known(given: Given, badcase_id: str, comment_id: str) -> str:
    known = given(Comments, badcase_id).texts.get(comment_id)
    if known is None:
        raise no_such("comment", comment_id)
    return known
