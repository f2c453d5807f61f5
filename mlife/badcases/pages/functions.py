"""What there is: systems, their functions, versions and models; and the fields that a function's reports have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.badcases import commands
from mlife.badcases.events import FunctionDescribed
from mlife.badcases.functions import function_id
from mlife.badcases.intake.schema import TYPES, Schema, described
from mlife.badcases.pages.shown import done
from mlife.badcases.views import fields
from mlife.core.command import check_input
from mlife.core.errors import NotFound
from mlife.ui import answer, page
from mlife.ui.doing import Doing, Hands
from mlife.ui.said import Said, is_form
from mlife.ui.timeline import history_of

router = APIRouter(tags=["functions"])
SPARE_ROWS = 3
"""Empty rows of the form in which fields are declared."""


@page(router, "/functions")
def list_functions(request: Request, hands: Hands) -> Response:
    """What there is: systems, functions, versions and models, with their reports."""
    with hands.read() as read:
        found = fields.tree(read)
        position = read.position
    data = {"systems": [asdict(s) for s in found], "position": position}
    return answer(request, "badcases/functions.html", data, shown=found)


@page(router, "/functions/{function_id}")
def show_function(request: Request, hands: Hands, function_id: str) -> Response:
    """One function: its versions and models, and the fields of its reports."""
    with hands.read() as read:
        found = fields.function(read, function_id)
        position = read.position
    if found is None:
        raise NotFound(f"there is no function {function_id}", remedy="choose one of /functions")
    revisions = _revisions(hands, function_id)
    schema = described(revisions[-1]) if revisions else Schema(found.system, found.function)
    data = {
        "function": asdict(found),
        "revision": schema.revision,
        "fields": [asdict(f) for f in schema.fields],
        "description_template": schema.template,
        "position": position,
    }
    rows = [*schema.fields, *[None] * SPARE_ROWS]
    return answer(
        request,
        "badcases/function.html",
        data,
        f=found,
        schema=schema,
        rows=rows,
        types=[(name, name) for name in TYPES],
        revisions=revisions,
        history=history_of(hands, f"function/{function_id}", say=_in_words),
    )


@router.post("/api/v1/functions")
@router.post("/functions", include_in_schema=False)
def describe(request: Request, hands: Hands, said: Said) -> Response:
    """
    Declare the fields of a function's reports: `{"system", "function", "fields": [{"name", "type", …}], "template"}`.

    It is all of them from now on. Reports from before are found by them too.
    """
    told = _from_form(said) if is_form(request) else said
    given = check_input(commands.describe_function, told)
    name = function_id(given["system"], given["function"])
    made = hands.edit(f"function/{name}", commands.describe_function, **given)
    words = "the fields are declared" if made.events else "they were declared so already"
    undo = f"/functions/{name}/restore" if made.events and made.first(FunctionDescribed).revision > 1 else ""
    return done(request, made, f"/functions/{name}", words, undo=undo, function_id=name)


@router.post("/api/v1/functions/{function_id}/restore")
@router.post("/functions/{function_id}/restore", include_in_schema=False)
def restore(request: Request, hands: Hands, function_id: str, said: Said) -> Response:
    """Undo: say again what an earlier revision said; `revision`, or the one before the last."""
    revisions = _revisions(hands, function_id)
    if not revisions:
        raise NotFound(f"nothing was declared of {function_id}", remedy="declare its fields first")
    latest = revisions[-1]
    given = check_input(
        commands.restore_function,
        {
            "system": latest.system,
            "function": latest.function,
            "revision": said.get("revision", max(1, latest.revision - 1)),
        },
    )
    made = hands.edit(f"function/{function_id}", commands.restore_function, **given)
    words = f"the fields are those of revision {given['revision']} again"
    return done(request, made, f"/functions/{function_id}", words, function_id=function_id)


def _revisions(hands: Doing, function_id: str) -> list[FunctionDescribed]:
    events = [r.event for r in hands.ports.store.read_stream(f"function/{function_id}")]
    return [e for e in events if isinstance(e, FunctionDescribed)]


def _in_words(event: Any) -> str:
    named = ", ".join(f"{f['name']} ({f['type']})" for f in event.fields) or "no fields"
    restored = f", as in revision {event.restores}" if event.restores else ""
    return f"revision {event.revision}{restored}: {named}"


def _from_form(said: Mapping[str, Any]) -> dict[str, Any]:
    """The rows of the form as declarations; a row without a name is none."""
    rows = sorted({int(n.rpartition(".")[2]) for n in said if n.startswith("name.") and n.rpartition(".")[2].isdigit()})
    found = []
    for row in rows:
        told = {name: said.get(f"{name}.{row}") for name in ("name", "type", "label", "help")}
        one: dict[str, Any] = {name: value for name, value in told.items() if value}
        one |= {name: True for name in ("required", "personal") if said.get(f"{name}.{row}")}
        if choices := str(said.get(f"choices.{row}", "")):
            one["choices"] = [c.strip() for c in choices.split(",") if c.strip()]
        found.append(one)
    return {
        "system": said.get("system", ""),
        "function": said.get("function", ""),
        "fields": found,
        "template": said.get("template"),
    }
