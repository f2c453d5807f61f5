"""What people and programs do to badcases and reports, one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.badcases import commands
from mlife.badcases.commands.bulk import action_named
from mlife.badcases.events import ReportCorrected
from mlife.badcases.pages.detail import the_report
from mlife.badcases.pages.shown import done, the_badcase
from mlife.badcases.regrouping import to_correct
from mlife.badcases.testdata import pinnable_rows
from mlife.core.command import Done, check_input
from mlife.core.errors import Refused
from mlife.ui.doing import Doing, Hands
from mlife.ui.said import Said

router = APIRouter(tags=["badcases"])


@router.post("/api/v1/badcases/{badcase_id}/{action}")
@router.post("/badcases/{badcase_id}/{action}", include_in_schema=False)
def act(
    request: Request, hands: Hands, badcase_id: str, action: str, said: Said, version: int | None = None
) -> Response:
    """Triage, assign, prioritise, mute, unmute, reject, reopen, undo (a `version` or the last), or pin."""
    command, word = action_named(action)
    with hands.read() as read:
        the_badcase(read, badcase_id)
    if action == "undo" and version is not None:
        said = {"version": version, **said}
    given = check_input(command, _input(hands, action, badcase_id, said))
    made = hands.edit(f"badcase/{badcase_id}", command, **given)
    ids = {"badcase_id": badcase_id} | _pinned(made)
    words = f"{badcase_id} is {word}" if made.events else f"{badcase_id} is as it was: nothing was left to do"
    undo = "" if action in ("pin", "undo") else f"/badcases/{badcase_id}/undo"
    return done(request, made, f"/badcases/{badcase_id}", words, undo=undo, **ids)


def _input(hands: Doing, action: str, badcase_id: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """The command's input: what was said, and for pinning the rows that can be pinned."""
    given = {**said, "badcase_id": badcase_id}
    if action == "pin" and "rows" not in given:
        with hands.read() as read:
            badcase = the_badcase(read, badcase_id)
            given["rows"] = pinnable_rows(hands.ports.store, read, badcase_id)
        if not given["rows"]:
            given["rows"] = []
        given |= {"system": badcase.system, "function": badcase.function}
        open_turns = [iteration_id for iteration_id, _ in badcase.iterations]
        given.setdefault("iteration_id", open_turns[-1] if open_turns else None)
    return given


def _pinned(made: Done) -> dict[str, Any]:
    for event in made.events:
        rows, document_id = getattr(event, "rows", None), getattr(event, "document_id", None)
        if rows and document_id:
            return {"pinned": len(rows), "document_id": document_id}
    return {}


@router.post("/api/v1/reports/{position}/correct")
@router.post("/reports/{position}/correct", include_in_schema=False)
def correct(request: Request, hands: Hands, position: int, said: Said) -> Response:
    """
    Add, mend or dispute the truth of a report: `{"truth": {"type": "class", "label": "9"}, "reason": "…"}`.

    A truth of null disputes it; from a form, `label` is the right class. The report moves to where it belongs.
    """
    report = the_report(hands, position)
    truth = said.get("truth")
    if "label" in said:
        truth = {"type": "class", "label": said["label"]}
    given = check_input(
        commands.correct_report,
        {**to_correct(report, hands.open), "truth": truth, "reason": said.get("reason", "")},
    )
    made = hands.do(commands.correct_report, **given)
    return _corrected(request, made, position, report.event.badcase_id)


@router.post("/api/v1/reports/{position}/correction/undo")
@router.post("/reports/{position}/correction/undo", include_in_schema=False)
def undo_correction(request: Request, hands: Hands, position: int) -> Response:
    """Give a report the truth that it had before its last correction; twice is as it was."""
    report = the_report(hands, position)
    stream = hands.ports.store.read_stream(f"correction/{report.event.uid}")
    truths = [report.event.truth, *(r.event.truth for r in stream if isinstance(r.event, ReportCorrected))]
    if len(truths) == 1:
        raise Refused("the truth of this report was not corrected", remedy="correct it, if it is wrong")
    before = {"truth": hands.open(truths[-2]), "reason": "the last correction is taken back"}
    made = hands.do(commands.correct_report, **to_correct(report, hands.open), **before)
    return _corrected(request, made, position, report.event.badcase_id)


def _corrected(request: Request, made: Done, position: int, was: str) -> Response:
    moved = getattr(made.events[0], "badcase_id", "") if made.events else was
    words, undo = f"the report is counted in {moved} now", f"/reports/{position}/correction/undo"
    return done(request, made, f"/reports/{position}", words, undo=undo, badcase_id=moved)
