"""Suggestions: badcases that may be one failure, to be merged or dismissed one by one."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.badcases import commands
from mlife.badcases.pages.shown import done, picture_of
from mlife.badcases.suggested import must_be_installed, progress, suggested, try_again
from mlife.badcases.suggesting import suggestion_id
from mlife.badcases.views import ruling
from mlife.core.command import Done, check_input
from mlife.ui import answer, page
from mlife.ui.doing import Hands, answered
from mlife.ui.said import Said, listed

router = APIRouter(tags=["grouping"])


@page(router, "/suggestions")
def list_suggestions(request: Request, hands: Hands, system: str = "", function: str = "") -> Response:
    """
    Badcases of a function that may be one failure: the same file, similar pictures, similar descriptions.

    They were found beside requests; `progress` says how far that is, of each embedder.
    """
    with hands.read() as read:
        functions = ruling.rules(read)
        chosen = next((f for f in functions if (f.system, f.function) == (system, function)), None)
        chosen = chosen or next(iter(functions), None)
        of = (chosen.system, chosen.function) if chosen else (system, function)
        found = suggested(hands.ports, read, *of)
    return answer(
        request,
        "badcases/suggestions.html",
        found.told(),
        found=found,
        there=chosen is not None,
        pairs=[(s, found.badcases[s.one], found.badcases[s.other]) for s in found.suggestions],
        functions=functions,
        said_of=progress,
        picture=picture_of(hands),
    )


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


@router.post("/api/v1/suggestions/embedders")
@router.post("/suggestions/embedders", include_in_schema=False)
def choose(request: Request, hands: Hands, said: Said) -> Response:
    """Compare badcases of `function` of `system` by these `embedders`: names; empty: by files alone; null: by all."""
    given: dict[str, Any] = {**said}
    if given.pop("all", "") or said.get("embedders", "") is None:
        given["embedders"] = None
    else:
        given["embedders"] = listed(said.get("embedders", ""))
    given = check_input(commands.choose_likeness, given)
    must_be_installed(given["embedders"])
    made = hands.do(commands.choose_likeness, **given)
    at = f"/suggestions?{urlencode({'system': given['system'], 'function': given['function']})}"
    words = "badcases are compared so from the next look on"
    return done(request, made, at, words, embedders=given["embedders"])


@router.post("/api/v1/suggestions/again")
@router.post("/suggestions/again", include_in_schema=False)
def again(request: Request, hands: Hands, said: Said) -> Response:
    """Let an `embedder` try once more what it failed at."""
    gone = try_again(hands.ports.extra["shelf"], str(said.get("embedder", "")))
    return answered(request, Done(0, ()), _back(request), f"{gone:,} will be tried again", tried_again=gone)


def _back(request: Request) -> str:
    """The list that the form stood in."""
    query = request.headers.get("referer", "").partition("/suggestions?")[2]
    return f"/suggestions?{query}" if query and "min_position" not in query else "/suggestions"
