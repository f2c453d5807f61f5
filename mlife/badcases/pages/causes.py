"""Causes: the list with what is proposed, one cause, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.badcases import commands
from mlife.badcases.events import CauseNamed
from mlife.badcases.pages.shown import chosen_badcases, done, in_words, picture_of, undo_of
from mlife.badcases.proposing import proposal_id_of
from mlife.badcases.regrouping import must_be_of
from mlife.badcases.states import Cause
from mlife.badcases.suggested import alike_of
from mlife.badcases.views import causes, lists, proposals, turns
from mlife.core.command import check_input, folded
from mlife.core.errors import NotFound, there_is
from mlife.core.events import Event
from mlife.ui import answer, page
from mlife.ui.doing import Hands
from mlife.ui.said import Said, counted
from mlife.ui.timeline import history_of

router = APIRouter(tags=["causes"])
Command = Callable[..., list[Event]]
ACTIONS: Mapping[str, tuple[Command, str]] = {
    "rename": (commands.rename_cause, "the cause is said in other words"),
    "extend": (commands.extend_cause, "the cause holds more badcases now"),
    "reduce": (commands.reduce_cause, "the cause holds fewer badcases now"),
    "remedy": (commands.choose_remedy, "the remedy is chosen"),
    "merge": (commands.merge_causes, "the causes are one"),
    "delete": (commands.delete_cause, "the cause is deleted"),
    "reopen": (commands.reopen_cause, "the cause is one again"),
    "undo": (commands.take_back_of_cause, "it is as it was before"),
}
"""What can be done to a cause: the command, and what is said afterwards."""
OF_BADCASES = ("extend", "reduce")


@page(router, "/causes")
def list_causes(request: Request, hands: Hands) -> Response:
    """The causes that people named, newest first; what badcases without one share; and what was dismissed."""
    with hands.read() as read:
        found = causes.causes(read)
        gone = causes.causes(read, ended=True)
        proposed = proposals.propose(read, alike_of(hands.ports))
        dismissed = list(causes.dismissed(read).values())
        position = read.position
    data = {
        "causes": [asdict(c) for c in found],
        "ended": [asdict(c) for c in gone],
        "proposals": [{**asdict(p), "sentence": p.sentence} for p in proposed],
        "dismissed": dismissed,
        "position": position,
    }
    return answer(request, "badcases/causes.html", data, shown=found, gone=gone, proposed=proposed)


@page(router, "/causes/{cause_id}")
def show_cause(request: Request, hands: Hands, cause_id: str) -> Response:
    """One cause with its badcases, its remedy, what hangs on it, and its history."""
    with hands.read() as read:
        found = there_is(causes.cause(read, cause_id), "cause", cause_id)
        badcases = lists.badcases_by_id(read, causes.badcases_of_cause(read, cause_id))
        others = causes.causes(read, system=found.system, function=found.function)
        alarms = [a for a in turns.alarms(read, waiting=True) if _about(a, cause_id, badcases)]
        opened = [i for i in turns.iterations(read) if i.cause_id == cause_id]
        position = read.position
    stream = hands.ports.store.read_stream(f"cause/{cause_id}")
    possible = folded(Cause, cause_id, stream).actions.possible()
    data = {
        "cause": asdict(found),
        "badcases": [asdict(b) for b in badcases],
        "alarms": [a.alarm_id for a in alarms],
        "iterations": [i.iteration_id for i in opened],
        "can_be_taken_back": possible,
        "stream_version": len(stream),
        "position": position,
    }
    return answer(
        request,
        "badcases/cause.html",
        data,
        c=found,
        shown=badcases,
        others=[c for c in others if c.cause_id != cause_id],
        merge_choices=[(c.cause_id, c.title) for c in others if c.cause_id != cause_id],
        wanted_said=", ".join(f"{label}={count}" for label, count in found.wanted.items()),
        waiting=alarms,
        turns=opened,
        history=history_of(
            hands,
            f"cause/{cause_id}",
            say=in_words,
            undo=lambda r: undo_of(r, f"cause/{cause_id}", possible),
        ),
        picture=picture_of(hands),
    )


def _about(alarm: Any, cause_id: str, badcases: list[Any]) -> bool:
    """Is an alarm about a cause, or about badcases of it?"""
    return alarm.cause_id == cause_id or any(b.badcase_id in alarm.badcase_ids for b in badcases)


@router.post("/api/v1/causes")
@router.post("/causes", include_in_schema=False)
def name_cause(request: Request, hands: Hands, said: Said) -> Response:
    """Name a cause: system, function, title, explanation, and badcase_ids or a query `q`; perhaps a proposal_id."""
    given = check_input(commands.name_cause, chosen_badcases(hands, said)[0])
    with hands.read() as read:
        must_be_of(read, given["badcase_ids"], given["system"], given["function"])
    made = hands.do(commands.name_cause, **given)
    cause_id = made.first(CauseNamed).cause_id
    return done(request, made, f"/causes/{cause_id}", f"{given['title']} is named", cause_id=cause_id)


@router.post("/api/v1/causes/{cause_id}/{action}")
@router.post("/causes/{cause_id}/{action}", include_in_schema=False)
def act_on_cause(
    request: Request, hands: Hands, cause_id: str, action: str, said: Said, version: int | None = None
) -> Response:
    """
    Rename, extend, reduce (badcase_ids or a query `q`), choose a remedy, merge, delete, reopen, or undo.

    A remedy: collect (with `collect`, what, and `wanted`, label → rows), exclude (with a `query` over training rows),
    relabel, fix_code or wont_fix, and a note.
    """
    if action not in ACTIONS:
        raise NotFound(f"nothing is called {action}", remedy=f"choose one of {', '.join(ACTIONS)}")
    command, words = ACTIONS[action]
    given = chosen_badcases(hands, said)[0] if action in OF_BADCASES else dict(said)
    if isinstance(given.get("wanted"), str):
        given["wanted"] = counted(given["wanted"])
    if action == "undo" and version is not None:
        given = {"version": version, **given}
    given = check_input(command, {**given, "cause_id": cause_id})
    if action == "extend":
        cause = folded(Cause, cause_id, hands.ports.store.read_stream(f"cause/{cause_id}"))
        with hands.read() as read:
            must_be_of(read, given["badcase_ids"] if cause.exists else (), cause.system, cause.function)
    made = hands.edit(f"cause/{cause_id}", command, **given)
    undo = "" if action == "undo" else f"/causes/{cause_id}/undo"
    said_then = words if made.events else "nothing was left to do"
    return done(request, made, f"/causes/{cause_id}", said_then, undo=undo, cause_id=cause_id)


@router.post("/api/v1/proposals/dismiss")
@router.post("/proposals/dismiss", include_in_schema=False)
def dismiss(request: Request, hands: Hands, said: Said) -> Response:
    """Say that what badcases share is no cause: system, function, attribute, value. It is not proposed again."""
    given = check_input(commands.dismiss_proposal, said)
    made = hands.do(commands.dismiss_proposal, **given)
    proposal_id = proposal_id_of(*(given[k] for k in ("system", "function", "attribute", "value")))
    undo = f"/proposals/{proposal_id}/restore"
    return done(request, made, "/causes", "it is not proposed again", undo=undo, proposal_id=proposal_id)


@router.post("/api/v1/proposals/{proposal_id}/restore")
@router.post("/proposals/{proposal_id}/restore", include_in_schema=False)
def restore(request: Request, hands: Hands, proposal_id: str) -> Response:
    """Take a dismissal back."""
    made = hands.do(commands.restore_proposal, proposal_id=proposal_id)
    return done(request, made, "/causes", "it may be proposed again", proposal_id=proposal_id)
