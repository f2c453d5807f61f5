"""Causes, alarms and iterations: lists, pages, and what can be done about them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.badcases import commands
from mlife.badcases.events import CauseNamed, IterationOpened
from mlife.badcases.pages.box import steps_of
from mlife.badcases.pages.shown import done, in_words, picture_of
from mlife.badcases.views import lists, turns
from mlife.core.command import check_input
from mlife.core.errors import there_is
from mlife.ui import answer, page
from mlife.ui.doing import Doing, Hands
from mlife.ui.pages import wants_json
from mlife.ui.said import Said
from mlife.ui.timeline import history_of

router = APIRouter(tags=["causes, alarms, iterations"])


@page(router, "/causes")
def list_causes(request: Request, hands: Hands) -> Response:
    """The causes that people named, newest first."""
    with hands.read() as read:
        found = turns.causes(read)
        position = read.position
    data = {"causes": [asdict(c) for c in found], "position": position}
    return answer(request, "badcases/causes.html", data, shown=found)


@page(router, "/causes/{cause_id}")
def show_cause(request: Request, hands: Hands, cause_id: str) -> Response:
    """One cause with its badcases."""
    with hands.read() as read:
        found = there_is(turns.cause(read, cause_id), "cause", cause_id)
        badcases = lists.badcases_by_id(read, turns.badcases_of_cause(read, cause_id))
        position = read.position
    data = {"cause": asdict(found), "badcases": [asdict(b) for b in badcases], "position": position}
    return answer(
        request,
        "badcases/cause.html",
        data,
        c=found,
        shown=badcases,
        history=history_of(hands, f"cause/{cause_id}", say=in_words),
        picture=picture_of(hands),
    )


@router.post("/api/v1/causes")
@router.post("/causes", include_in_schema=False)
def name_cause(request: Request, hands: Hands, said: Said) -> Response:
    """Name a cause: system, function, title, explanation, and badcase_ids or a query `q`."""
    given = check_input(commands.name_cause, _with_badcases(hands, said))
    made = hands.do(commands.name_cause, **given)
    cause_id = made.first(CauseNamed).cause_id
    return done(request, made, f"/causes/{cause_id}", f"{given['title']} is named", cause_id=cause_id)


@router.post("/api/v1/causes/{cause_id}/extend")
@router.post("/causes/{cause_id}/extend", include_in_schema=False)
def extend_cause(request: Request, hands: Hands, cause_id: str, said: Said) -> Response:
    """Add badcases to a cause: badcase_ids or a query `q`."""
    given = {**_with_badcases(hands, said), "cause_id": cause_id}
    made = hands.edit(f"cause/{cause_id}", commands.extend_cause, **check_input(commands.extend_cause, given))
    return done(request, made, f"/causes/{cause_id}", "the cause holds more badcases now", cause_id=cause_id)


@router.post("/api/v1/causes/{cause_id}/remedy")
@router.post("/causes/{cause_id}/remedy", include_in_schema=False)
def choose_remedy(request: Request, hands: Hands, cause_id: str, said: Said) -> Response:
    """Choose a remedy: collect, exclude, relabel, fix_code or wont_fix, and a note."""
    given = check_input(commands.choose_remedy, {**said, "cause_id": cause_id})
    made = hands.edit(f"cause/{cause_id}", commands.choose_remedy, **given)
    return done(request, made, f"/causes/{cause_id}", "the remedy is chosen", cause_id=cause_id)


@page(router, "/alarms")
def list_alarms(request: Request, hands: Hands) -> Response:
    """Alarms, newest first."""
    with hands.read() as read:
        found = turns.alarms(read)
        position = read.position
    return answer(
        request,
        "badcases/alarms.html",
        {"alarms": [asdict(a) for a in found], "position": position},
        shown=found,
        waiting=sum(a.acknowledged_at is None for a in found),
    )


@router.post("/api/v1/alarms/{alarm_id}/acknowledge")
@router.post("/alarms/{alarm_id}/acknowledge", include_in_schema=False)
def acknowledge(request: Request, hands: Hands, alarm_id: str, said: Said) -> Response:
    """Say that somebody saw it."""
    given = check_input(commands.acknowledge_alarm, {**said, "alarm_id": alarm_id})
    made = hands.edit(f"alarm/{alarm_id}", commands.acknowledge_alarm, **given)
    return done(request, made, "/alarms", "the alarm is acknowledged", alarm_id=alarm_id)


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
        position = read.position
    data = {
        "iteration": asdict(found),
        "story": [asdict(f) for f in facts],
        "badcases": [asdict(b) for b in badcases],
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
        picture=picture_of(hands),
    )


@router.post("/api/v1/iterations")
@router.post("/iterations", include_in_schema=False)
def open_iteration(request: Request, hands: Hands, said: Said) -> Response:
    """Open an iteration: system, function, title, and badcase_ids or a query `q`; perhaps alarm_id, cause_id."""
    given = check_input(commands.open_iteration, _with_badcases(hands, said))
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


def _with_badcases(hands: Doing, said: dict[str, Any]) -> dict[str, Any]:
    """*said* with the badcases of a query, a cause or a selection as `badcase_ids`."""
    given = dict(said)
    q, chosen = given.pop("q", None), given.pop("selected", None)
    ids = given.get("badcase_ids", chosen)
    if ids is None and q is not None:
        with hands.read() as read:
            ids = lists.matching_ids(read, str(q), now=hands.now, limit=20_000)
    if isinstance(ids, str):
        ids = ids.replace(",", " ").split()
    return {**given, "badcase_ids": ids or []}
