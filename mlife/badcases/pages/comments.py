"""Comments on a badcase: read, written, edited, deleted."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.badcases import commands
from mlife.badcases.events import CommentWritten
from mlife.badcases.pages.shown import done, the_badcase
from mlife.badcases.views.comments import comments_on
from mlife.core.command import check_input
from mlife.ui.doing import Doing, Hands
from mlife.ui.said import Said

router = APIRouter(tags=["badcases"])


@router.get("/api/v1/badcases/{badcase_id}/comments")
def list_comments(hands: Hands, badcase_id: str) -> dict[str, Any]:
    """What people said about a badcase, the oldest first; deleted comments are left out."""
    with hands.read() as read:
        the_badcase(read, badcase_id)
        found = comments_on(read, badcase_id)
        position = read.position
    return {"comments": [hands.open(asdict(c)) for c in found], "position": position}


@router.post("/api/v1/badcases/{badcase_id}/comments")
@router.post("/badcases/{badcase_id}/comments", include_in_schema=False)
def write_comment(request: Request, hands: Hands, badcase_id: str, said: Said) -> Response:
    """Say something: `text`, plain, at most 10,000 characters. Answers with the `comment_id`."""
    given = {"text": "", **said, "badcase_id": badcase_id, "system": _system(hands, badcase_id)}
    made = hands.edit(f"comments/{badcase_id}", commands.write_comment, **check_input(commands.write_comment, given))
    comment_id = made.first(CommentWritten).comment_id
    return done(request, made, f"/badcases/{badcase_id}", "the comment stands", comment_id=comment_id)


@router.post("/api/v1/badcases/{badcase_id}/comments/{comment_id}/edit")
@router.post("/badcases/{badcase_id}/comments/{comment_id}/edit", include_in_schema=False)
def edit_comment(request: Request, hands: Hands, badcase_id: str, comment_id: str, said: Said) -> Response:
    """Say it in other words: `text`. The log keeps the words before."""
    about = {"badcase_id": badcase_id, "comment_id": comment_id, "system": _system(hands, badcase_id)}
    given = check_input(commands.edit_comment, {"text": "", **said, **about})
    made = hands.edit(f"comments/{badcase_id}", commands.edit_comment, **given)
    return done(request, made, f"/badcases/{badcase_id}", "the comment is changed", comment_id=comment_id)


@router.post("/api/v1/badcases/{badcase_id}/comments/{comment_id}/delete")
@router.post("/badcases/{badcase_id}/comments/{comment_id}/delete", include_in_schema=False)
def delete_comment(request: Request, hands: Hands, badcase_id: str, comment_id: str) -> Response:
    """Show a comment no more. The log keeps what it said."""
    made = hands.edit(f"comments/{badcase_id}", commands.delete_comment, badcase_id=badcase_id, comment_id=comment_id)
    return done(request, made, f"/badcases/{badcase_id}", "the comment is deleted", comment_id=comment_id)


def _system(hands: Doing, badcase_id: str) -> str:
    with hands.read() as read:
        return the_badcase(read, badcase_id).system
