"""Suggestions: badcases that may be one failure, to be merged or dismissed one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, Protocol, cast

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.badcases import commands
from mlife.badcases.pages.shown import done, picture_of
from mlife.badcases.suggesting import Alike, suggest, suggestion_id
from mlife.badcases.views import lists, ruling, suggesting
from mlife.core.command import check_input
from mlife.ui import answer, page
from mlife.ui.doing import Doing, Hands
from mlife.ui.said import Said

router = APIRouter(tags=["grouping"])
SHOWN = 40
"""Suggestions on a page; more come up as these are decided."""
LOOKING_SECONDS = 1.5
"""How long one request looks at pictures that were not looked at before; the next goes on."""
MOST_KEPT = 100_000
SIDE = 64


class Likeness(Protocol):
    """Compares pictures; `mlife/adapters/likeness_pillow.py`."""

    likeness: Callable[[bytes], int]
    alike: Alike


@page(router, "/suggestions")
def list_suggestions(request: Request, hands: Hands, system: str = "", function: str = "") -> Response:
    """Badcases of a function that may be one failure: the same file, similar pictures, similar descriptions."""
    with hands.read() as read:
        functions = ruling.rules(read)
        chosen = next((f for f in functions if (f.system, f.function) == (system, function)), None)
        chosen = chosen or next(iter(functions), None)
        ids = suggesting.compared(read, chosen.system, chosen.function) if chosen else []
        files = suggesting.latest_files(read, ids)
        words = {
            b: [text for text in hands.open(said) if isinstance(text, str)]
            for b, said in suggesting.latest_words(read, ids).items()
        }
        dismissed = suggesting.dismissed(read)
        hashes, left = _hashes(request, hands, (s for mine in files.values() for s in mine))
        found = suggest(files, hashes, words, dismissed, _likeness(hands).alike)
        shown = found[:SHOWN]
        named = {b.badcase_id: b for b in lists.badcases_by_id(read, {i for s in shown for i in (s.one, s.other)})}
        position = read.position
    data: dict[str, Any] = {
        "system": chosen.system if chosen else None,
        "function": chosen.function if chosen else None,
        "compared": len(ids),
        "suggestions": [asdict(s) for s in shown],
        "total": len(found),
        "not_looked_at": left,
        "position": position,
    }
    return answer(
        request,
        "badcases/suggestions.html",
        data,
        pairs=[(s, named[s.one], named[s.other]) for s in shown if s.one in named and s.other in named],
        functions=functions,
        picture=picture_of(hands),
    )


def _likeness(hands: Doing) -> Likeness:
    return cast("Likeness", hands.ports.extra["likeness"])


def _hashes(request: Request, hands: Doing, files: Iterable[str]) -> tuple[dict[str, int], int]:
    """
    SHA-256 → hash of the picture, of those whose bytes are here; and how many were not looked at yet.

    A hash is a function of the file, so it is kept as long as the server lives; -1: no picture.
    """
    state = request.app.state
    if not hasattr(state, "likenesses") or len(state.likenesses) > MOST_KEPT:
        state.likenesses = {}
    kept: dict[str, int] = state.likenesses
    deadline, left = time.monotonic() + LOOKING_SECONDS, 0
    wanted = set(files)
    for sha256 in sorted(wanted - kept.keys()):
        if time.monotonic() > deadline:
            left += 1
        elif hands.ports.blobs.has(sha256):
            kept[sha256] = _hash(hands, sha256)
    return {sha256: kept[sha256] for sha256 in wanted & kept.keys() if kept[sha256] >= 0}, left


def _hash(hands: Doing, sha256: str) -> int:
    """Of a thumbnail, so that a stranger's file is decoded in the helper process alone."""
    images: Any = hands.ports.extra["images"]
    path = hands.ports.blobs.path(sha256)
    if path is None:
        with hands.ports.blobs.open(sha256) as content:
            small = images.thumbnail(content.read(), (SIDE, SIDE))
    else:
        small = images.thumbnail(path, (SIDE, SIDE))
    body = getattr(small, "body", None)
    return -1 if body is None else _likeness(hands).likeness(body)


@router.post("/api/v1/suggestions/dismiss")
@router.post("/suggestions/dismiss", include_in_schema=False)
def dismiss(request: Request, hands: Hands, said: Said) -> Response:
    """Say that two badcases that look alike, `one` and `other`, are two failures; nobody is asked again."""
    given = check_input(commands.dismiss_suggestion, said)
    made = hands.do(commands.dismiss_suggestion, **given)
    asked = suggestion_id(given["one"], given["other"])
    return done(
        request,
        made,
        _back(request),
        f"{given['one']} and {given['other']} stay two",
        undo=f"/suggestions/{asked}/restore",
        suggestion_id=asked,
    )


@router.post("/api/v1/suggestions/{asked}/restore")
@router.post("/suggestions/{asked}/restore", include_in_schema=False)
def restore(request: Request, hands: Hands, asked: str) -> Response:
    """Take a dismissal back."""
    made = hands.do(commands.restore_suggestion, suggestion_id=asked)
    return done(request, made, _back(request), "it is suggested again", suggestion_id=asked)


def _back(request: Request) -> str:
    """The list that the form stood in."""
    query = request.headers.get("referer", "").partition("/suggestions?")[2]
    return f"/suggestions?{query}" if query and "min_position" not in query else "/suggestions"
