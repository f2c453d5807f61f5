"""Iterations: lists, pages, and what can be done about them."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.badcases import commands
from mlife.badcases.events import IterationOpened
from mlife.badcases.pages.box import steps_of
from mlife.badcases.pages.shown import chosen_badcases, done, picture_of
from mlife.badcases.regrouping import must_be_of
from mlife.badcases.views import lists, turns
from mlife.core.command import check_input
from mlife.core.errors import there_is
from mlife.ui import answer, page
from mlife.ui.doing import Hands
from mlife.ui.pages import wants_json
from mlife.ui.said import Said

router = APIRouter(tags=["iterations"])


@page(router, "/iterations")
def list_iterations(request: Request, hands: Hands) -> Response:
    """Turns of the loop, newest first."""
    with hands.read() as read:
        found = turns.iterations(read)
        position = read.position
    data = {"iterations": [asdict(i) for i in found], "position": position}
    return answer(request, "badcases/iterations.html", data, shown=found)


@page(router, "/iterations/{iteration_id}")
def show_iteration(request: Request, hands: Hands, iteration_id: str) -> Response:
    """One turn of the loop as a story: the target, what was done, what became of it."""
    with hands.read() as read:
        found = there_is(turns.iteration(read, iteration_id), "iteration", iteration_id)
        facts = turns.story(read, iteration_id)
        badcases = lists.badcases_by_id(read, turns.targets(read, iteration_id))
        changed = turns.changes_of(read, found, now=hands.now)
        position = read.position
    data = {
        "iteration": asdict(found),
        "story": [asdict(f) for f in facts],
        "badcases": [asdict(b) for b in badcases],
        "joined": [asdict(b) for b in changed.joined],
        "left": [asdict(b) for b in changed.left],
        "position": position,
    }
    if wants_json(request):
        return answer(request, "badcases/iteration.html", data)
    return answer(
        request,
        "badcases/iteration.html",
        {"position": position},  # "iteration" is what the rail shows
        i=found,
        steps=[{"word": s.word, "state": s.state, "note": "", "href": s.href} for s in steps_of(found, facts)],
        lines=[
            {
                "position": f.position,
                "word": f.word,
                "text": f.sentence,
                "actor": f.actor or "somebody",
                "at": f.happened_at,
                "href": f.href or f"/events/{f.position}",
            }
            for f in facts
        ],
        shown=badcases,
        changed=changed,
        picture=picture_of(hands),
    )


@router.post("/api/v1/iterations")
@router.post("/iterations", include_in_schema=False)
def open_iteration(request: Request, hands: Hands, said: Said) -> Response:
    """Open an iteration: system, function, title; badcase_ids, a query `q` or a view_id; perhaps alarm_id, cause_id."""
    chosen, query = chosen_badcases(hands, said)
    with hands.read() as read:
        frozen = {"query": query, "frozen_at": read.position} if query else {}
    given = check_input(commands.open_iteration, {**chosen, **frozen})
    with hands.read() as read:
        must_be_of(read, given["badcase_ids"], given["system"], given["function"])
    made = hands.do(commands.open_iteration, **given)
    iteration_id = made.first(IterationOpened).iteration_id
    words = f"{given['title']} is open"
    return done(request, made, f"/iterations/{iteration_id}", words, iteration_id=iteration_id)


@router.post("/api/v1/iterations/{iteration_id}/close")
@router.post("/iterations/{iteration_id}/close", include_in_schema=False)
def close_iteration(request: Request, hands: Hands, iteration_id: str, said: Said) -> Response:
    """End an iteration: outcome `shipped` or `abandoned`, perhaps deployment_id and note."""
    given = check_input(commands.close_iteration, {**said, "iteration_id": iteration_id})
    made = hands.edit(f"iteration/{iteration_id}", commands.close_iteration, **given)
    return done(request, made, f"/iterations/{iteration_id}", "the iteration has ended", iteration_id=iteration_id)
