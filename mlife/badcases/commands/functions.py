"""What people declare of a function: the free fields of its reports, and how a description is made of them."""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mlife.badcases.events import FunctionDescribed
from mlife.badcases.functions import Function, function_id
from mlife.badcases.places import Ruling
from mlife.badcases.wording import slots
from mlife.core.command import Given
from mlife.core.errors import Invalid, NotFound, Refusal, Refused
from mlife.core.events import Event

System = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\s/?#%]+$")]
Word = Annotated[str, Field(min_length=1, max_length=128)]
MOST_FIELDS = 50
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


class Declaration(BaseModel):
    """One field, as it is declared."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=rf"^{_NAME.pattern}$")]
    type: Literal["text", "number", "choice", "flag", "date"] = "text"
    label: Annotated[str, Field(max_length=80)] = ""
    help: Annotated[str, Field(max_length=300)] = ""
    required: bool = False
    personal: bool = False
    choices: Annotated[list[Annotated[str, Field(min_length=1, max_length=80)]], Field(max_length=100)] = []


def describe_function(
    given: Given,
    *,
    system: System,
    function: Word,
    fields: Annotated[list[Declaration], Field(max_length=MOST_FIELDS)],
    template: Annotated[str, Field(max_length=500)] | None = None,
) -> list[Event]:
    """Declare all free fields of a function's reports, and the template of its descriptions."""
    template = (template or "").strip() or None
    _refuse_unclear(fields, template)
    known = given(Function, function_id(system, function))
    _refuse_told(given, system, function, {f.name for f in fields if f.personal})
    declared = tuple(f.model_dump(exclude_defaults=True) | {"type": f.type} for f in fields)
    if known.exists and (known.latest.fields, known.latest.template) == (declared, template):
        return []
    return [_next(known, system, function, declared, template, by=given.actor)]


def restore_function(
    given: Given, *, system: System, function: Word, revision: Annotated[int, Field(ge=1)]
) -> list[Event]:
    """Undo: say again what an earlier revision said."""
    known = given(Function, function_id(system, function))
    earlier = next((e for e in known.revisions if e.revision == revision), None)
    if earlier is None:
        raise NotFound(
            f"{function} of {system} has no revision {revision}",
            remedy=f"choose one of 1 to {len(known.revisions)}" if known.exists else "declare its fields first",
        )
    if (known.latest.fields, known.latest.template) == (earlier.fields, earlier.template):
        return []
    _refuse_told(given, system, function, {f["name"] for f in earlier.fields if f.get("personal")})
    return [_next(known, system, function, earlier.fields, earlier.template, restores=revision, by=given.actor)]


def _next(
    known: Function, system: str, function: str, fields: tuple[Any, ...], template: str | None, **more: Any
) -> FunctionDescribed:
    return FunctionDescribed(
        function_id=function_id(system, function),
        system=system,
        function=function,
        revision=len(known.revisions) + 1,
        fields=fields,
        template=template,
        **more,
    )


def _refuse_told(given: Given, system: str, function: str, personal: Set[str]) -> None:
    """What badcases are told apart by stands in their names, for everybody to read."""
    compared = given(Ruling, function_id(system, function)).rule.names
    told = sorted(personal & set(compared))
    if told:
        raise Refused(
            f"the rule of {function} compares {told[0]}, so its values stand in the names of badcases",
            remedy="let the rule compare what names nobody, then declare the field personal",
        )


def _refuse_unclear(fields: list[Declaration], template: str | None) -> None:
    refusals = []
    seen = set[str]()
    for line, f in enumerate(fields, 1):
        if f.name.lower() in seen:
            refusals.append(Refusal(line, "name", f.name, "is declared twice", "names that differ in more than case"))
        seen.add(f.name.lower())
        if (f.type == "choice") != bool(f.choices):
            refusals.append(
                Refusal(line, "choices", ", ".join(f.choices), f"do not fit a {f.type}", "choices for a choice only")
            )
    if template is not None:
        slotted, names = slots(template), {f.name for f in fields}
        if unknown := [s for s in slotted if s not in names]:
            refusals.append(
                Refusal(1, "template", template, f"names {unknown[0]!r}, which is not declared", "declared fields")
            )
        elif told := [f.name for f in fields if f.personal and f.name in slotted]:
            problem = f"puts {told[0]} into descriptions, and it may name a person"
            refusals.append(Refusal(1, "template", template, problem, "fields that are not personal"))
        elif not slotted:
            refusals.append(Refusal(1, "template", template, "names no field", "such as {place}: {what} in the way"))
    if refusals:
        raise Invalid("these fields can't be declared", refusals=tuple(refusals))
