"""By what reports of a function are told apart: look what a rule would do, choose it, apply it, take it back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.badcases import commands
from mlife.badcases.commands.ruling import checked_rule
from mlife.badcases.events import GroupingApplied
from mlife.badcases.fingerprint import Rule
from mlife.badcases.intake.declared import schema_of
from mlife.badcases.pages.shown import done
from mlife.badcases.places import rule_of
from mlife.badcases.ruling import effect_of
from mlife.badcases.views import ruling
from mlife.core.command import check_input
from mlife.core.errors import there_is
from mlife.ui import answer, page
from mlife.ui.doing import Hands
from mlife.ui.said import Said, listed

router = APIRouter(tags=["grouping"])


@page(router, "/grouping")
def list_rules(request: Request, hands: Hands) -> Response:
    """By what the reports of each function are told apart."""
    with hands.read() as read:
        found = ruling.rules(read)
        position = read.position
    return answer(
        request, "badcases/rules.html", {"rules": [asdict(r) for r in found], "position": position}, shown=found
    )


@page(router, "/grouping/{system}/{function}")
def show_rule(
    request: Request, hands: Hands, system: str, function: str, description: str = "", look: str = ""
) -> Response:
    """
    The rule of a function, and what one would do to the reports that are there.

    With `look`: `now` is the rule as it is; `this` one that compares `field` (may be repeated) and `description`.
    """
    fields = tuple(sorted(set(request.query_params.getlist("field"))))
    with hands.read() as read:
        rule = there_is(next(iter(ruling.rules(read, system, function)), None), "function", function)
        applied = ruling.applications(read, system, function)
        compared = Rule(rule.revision, rule.template, tuple(rule.fields))
        if look == "this":
            schema = schema_of(hands.ports.store, system, function)
            compared = checked_rule(schema, fields, description=bool(description))
        effect = None
        if look:
            effect = effect_of(hands.ports.store, read, hands.open, system, function, compared).told()
        position = read.position
    data: dict[str, Any] = {
        "rule": asdict(rule),
        "applications": [asdict(a) for a in applied],
        "effect": effect,
        "position": position,
    }
    return answer(request, "badcases/rule.html", data, r=rule, applied=applied, look=look, compared=compared)


@router.post("/api/v1/grouping/{system}/{function}/rule")
@router.post("/grouping/{system}/{function}/rule", include_in_schema=False)
def choose(request: Request, hands: Hands, system: str, function: str, said: Said) -> Response:
    """Compare `fields` (declared ones), and the `description` that the template makes; for new reports, from now on."""
    given = {
        "system": system,
        "function": function,
        "fields": listed(said.get("fields", said.get("field"))),
        "description": bool(said.get("description")),
        "reason": said.get("reason", ""),
    }
    made = hands.do(commands.rule_grouping, **check_input(commands.rule_grouping, given))
    words = "new reports are told apart by it; old ones stay until it is applied"
    return done(request, made, f"{_at(system, function)}?look=now", words)


@router.post("/api/v1/grouping/{system}/{function}/apply")
@router.post("/grouping/{system}/{function}/apply", include_in_schema=False)
def apply(request: Request, hands: Hands, system: str, function: str, said: Said) -> Response:
    """Count old reports by the rule; `revision` is the one whose effect was looked at."""
    revision = str(said.get("revision", ""))
    rule = rule_of(hands.ports.store, system, function)
    with hands.read() as read:
        effect = effect_of(hands.ports.store, read, hands.open, system, function, rule)
    given = {
        "system": system,
        "function": function,
        "revision": revision if revision.isdecimal() else -1,
        "moved": [m.model_dump() for m in effect.as_moved()],
    }
    made = hands.do(commands.apply_grouping, **check_input(commands.apply_grouping, given))
    if not made.events:
        return done(request, made, _at(system, function), "all reports are where the rule puts them")
    application_id = made.first(GroupingApplied).application_id
    undo = f"{_at(system, function)}/unapply?application_id={application_id}"
    words = f"{effect.reports - effect.same} of {effect.reports} reports are counted by the rule now"
    return done(request, made, _at(system, function), words, undo=undo, application_id=application_id)


@router.post("/api/v1/grouping/{system}/{function}/unapply")
@router.post("/grouping/{system}/{function}/unapply", include_in_schema=False)
def unapply(
    request: Request, hands: Hands, system: str, function: str, said: Said, application_id: str = ""
) -> Response:
    """Count reports as before an application."""
    application_id = str(said.get("application_id", application_id))
    given = {"system": system, "function": function, "application_id": application_id}
    made = hands.do(commands.unapply_grouping, **check_input(commands.unapply_grouping, given))
    words = f"{application_id} is taken back"
    return done(request, made, _at(system, function), words, application_id=application_id)


def _at(system: str, function: str) -> str:
    return f"/grouping/{quote(system, safe='')}/{quote(function, safe='')}"
