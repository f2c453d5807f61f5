"""What people and programs do to badcases and reports: one by one, or to all that a query matches."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from mlife.badcases import commands
from mlife.badcases.pages.detail import the_report
from mlife.badcases.pages.receiving import intake_of
from mlife.badcases.pages.shown import done, the_badcase
from mlife.badcases.testdata import pinnable_rows
from mlife.badcases.views import details, lists
from mlife.core.command import Done, Executor, check_input
from mlife.core.errors import Invalid, NotFound, Refused
from mlife.core.events import Event
from mlife.ui import answer, page, see
from mlife.ui.doing import Doing, Hands
from mlife.ui.pages import wants_json
from mlife.ui.said import Said, listed

router = APIRouter(tags=["badcases"])
Command = Callable[..., list[Event]]
ACTIONS: Mapping[str, tuple[Command, str]] = {
    "triage": (commands.triage, "triaged"),
    "assign": (commands.assign, "assigned"),
    "prioritise": (commands.prioritise, "prioritised"),
    "mute": (commands.mute, "muted"),
    "unmute": (commands.unmute, "no longer muted"),
    "reject": (commands.reject, "rejected"),
    "reopen": (commands.reopen, "reopened"),
    "pin": (commands.pin, "added to the test data"),
}
"""What can be done to a badcase: the command, and what is said of it afterwards."""
MOST_AT_ONCE = 20_000
FORM_FIELDS: Mapping[str, str] = dict.fromkeys(
    (
        *("system", "function", "version", "prediction", "score", "truth", "sha256", "uri", "observed_at"),
        *("description", "client", "device", "severity", "kind", "model_id", "task_id"),
    ),
    "",
)
"""What the report form asks for; the address may fill it."""


def _action(name: str) -> tuple[Command, str]:
    if name not in ACTIONS:
        raise NotFound(f"nothing is called {name}", remedy=f"choose one of {', '.join(ACTIONS)}")
    return ACTIONS[name]


@router.post("/api/v1/badcases/bulk/{action}")
@router.post("/badcases/bulk/{action}", include_in_schema=False)
def act_on_many(request: Request, hands: Hands, action: str, said: Said, q: str = "") -> Response:
    """
    Do the same to many badcases: `selected` (a list of ids, or `*` for all that match `q`), and the action's input.

    Each is a decision of its own with a derived key, so that a second try goes on where the first stopped. Answers how
    many were touched, were so already, and were refused, and why.
    """
    command, word = _action(action)
    selected = listed(said.pop("selected", None))
    q = str(said.pop("q", q))
    with hands.read() as read:
        ids = lists.matching_ids(read, q, now=hands.now, limit=MOST_AT_ONCE) if "*" in selected else selected
    if not ids:
        raise Refused("no badcase is selected", remedy="select rows with x, or all that match, and try again")
    outcome = Bulk(hands, hands.key or uuid.uuid4().hex, action, command)
    for badcase_id in dict.fromkeys(ids):
        outcome.act(badcase_id, said)
    if wants_json(request):
        return JSONResponse(outcome.as_json())
    tail = f"; {len(outcome.refused)} refused: {outcome.refused[0]['problem']}" if outcome.refused else ""
    to = request.headers.get("referer", "")
    back = "/badcases" + (f"?{to.partition('?')[2]}" if "/badcases?" in to else "")
    mark = "&" if "?" in back else "?"
    where = f"{back}{mark}min_position={outcome.position}" if outcome.position else back
    return see(where, f"{outcome.touched} of {len(ids)} badcases {word}{tail}")


class Bulk:
    """One action on many badcases, counted."""

    def __init__(self, hands: Doing, key: str, action: str, command: Command) -> None:
        self._hands, self._key, self._action, self._command = hands, key, action, command
        self.position = self.touched = self.unchanged = 0
        self.refused: list[dict[str, str]] = []

    def act(self, badcase_id: str, said: Mapping[str, Any]) -> None:
        """Do it to one."""
        executor: Executor = self._hands.executor
        try:
            with self._hands.read() as read:
                the_badcase(read, badcase_id)
            given = check_input(self._command, _input(self._hands, self._action, badcase_id, said))
            made = executor.under(f"{self._key}:{self._action}:{badcase_id}", self._command, **given)
        except (Refused, NotFound, Invalid) as e:
            self.refused.append({"badcase_id": badcase_id, "problem": str(e)})
            return
        self.position = max(self.position, made.position)
        self.touched += bool(made.events)
        self.unchanged += not made.events

    def as_json(self) -> dict[str, Any]:
        """The answer to a program."""
        return {
            "position": self.position,
            "touched": self.touched,
            "unchanged": self.unchanged,
            "refused": self.refused,
        }


@router.post("/api/v1/badcases/{badcase_id}/{action}")
@router.post("/badcases/{badcase_id}/{action}", include_in_schema=False)
def act(request: Request, hands: Hands, badcase_id: str, action: str, said: Said) -> Response:
    """Triage, assign, prioritise, mute, unmute, reject, reopen, or pin (Add to Test Data)."""
    command, word = _action(action)
    with hands.read() as read:
        the_badcase(read, badcase_id)
    given = check_input(command, _input(hands, action, badcase_id, said))
    made = hands.edit(f"badcase/{badcase_id}", command, **given)
    ids = {"badcase_id": badcase_id} | _pinned(made)
    words = f"{badcase_id} is {word}" if made.events else f"{badcase_id} is as it was: nothing was left to do"
    return done(request, made, f"/badcases/{badcase_id}", words, **ids)


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
    event = the_report(hands, position).event
    with hands.read() as read:
        place = details.report_by_position(read, position)
    truth = said.get("truth")
    if "label" in said:
        truth = {"type": "class", "label": said["label"]}
    given = check_input(
        commands.correct_report,
        {
            "uid": event.uid,
            "badcase_id": place.badcase_id if place else event.badcase_id,
            "system": event.system,
            "function": event.function,
            "prediction": event.prediction,
            "group_key": event.key,
            "truth": truth,
            "reason": said.get("reason", ""),
        },
    )
    made = hands.do(commands.correct_report, **given)
    moved = getattr(made.events[0], "badcase_id", event.badcase_id) if made.events else event.badcase_id
    return done(request, made, f"/reports/{position}", f"the report is counted in {moved} now", badcase_id=moved)


@page(router, "/badcases/report")
def report_form(request: Request, hands: Hands) -> Response:
    """The form by which a person reports a failure, filled from the address."""
    fields = {**FORM_FIELDS, **request.query_params}
    now = hands.now
    return answer(request, "badcases/form.html", {"fields": fields, "now": f"{now:%Y-%m-%dT%H:%M}"}, fault=None)


@router.post("/badcases/report", include_in_schema=False)
def send_form(request: Request, hands: Hands, said: Said) -> Response:
    """A report from the form; what is wrong with it is said beside the field."""
    sent = intake_of(request).reports([_from_form(said)], ids=True)
    if sent.refused:
        fault = sent.refused[0]
        response = answer(
            request,
            "badcases/form.html",
            {
                "fields": {**FORM_FIELDS, **{k: str(v) for k, v in said.items()}},
                "now": f"{hands.now:%Y-%m-%dT%H:%M}",
            },
            fault=fault,
        )
        response.status_code = 422
        return response
    taken = (sent.ids or [{}])[0]
    words = "this report was known already" if sent.known else "the report is in"
    return see(f"/badcases/{taken['badcase_id']}?min_position={sent.position}", words)


def _from_form(said: Mapping[str, Any]) -> dict[str, Any]:
    """A form's fields as a report."""
    text = {k: v if isinstance(v, str) else ", ".join(v) for k, v in said.items()}
    observed = text.get("observed_at", "")
    if observed and not observed.endswith("Z") and "+" not in observed:
        observed += "Z"
    link = {"uri": text.get("uri"), "sha256": text.get("sha256")}
    report: dict[str, Any] = {
        "system": text.get("system", ""),
        "function": text.get("function", ""),
        "version": text.get("version", ""),
        "data": [{k: v for k, v in link.items() if v}],
        "prediction": {"type": "class", "label": text.get("prediction", "")},
        "observed_at": observed or datetime.now(UTC).isoformat(),
        "fields": {"task_id": text["task_id"]} if text.get("task_id") else None,
        "model_ids": [text["model_id"]] if text.get("model_id") else None,
    }
    if text.get("truth"):
        report["truth"] = {"type": "class", "label": text["truth"]}
    if text.get("score"):
        try:
            report["prediction"]["score"] = float(text["score"])
        except ValueError:
            report["prediction"]["score"] = text["score"]
    for name in ("description", "client", "device", "reporter", "severity", "kind", "key"):
        if text.get(name):
            report[name] = text[name]
    return {k: v for k, v in report.items() if v is not None}
