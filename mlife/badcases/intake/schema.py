"""
The field schema of a function: which free fields its reports have, and whether a report fits.

What is declared is checked where it is sent; what is not declared is kept as it is. A field that is missing refuses no
report, for a device in the field can't be asked again: forms ask for it, and pages show that it is missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

from mlife.badcases.intake.refusal import Unfit
from mlife.badcases.wording import LONGEST_VALUE, filled, said, slots
from mlife.core.sealing import is_sealed

JSON = Any
TYPES: Final = ("text", "number", "choice", "flag", "date")
EXPECTED: Final = {
    "text": "text",
    "number": "a number, without quotes",
    "flag": "true or false, without quotes",
    "date": "a date or moment as text, such as 2026-11-24 or 2026-11-24T03:00:00Z",
}


@dataclass(frozen=True, slots=True)
class FieldDeclared:
    """
    One free field.

    Args:
        name: as it stands in `fields` of a report.
        type: one of `TYPES`.
        required: forms ask for it.
        personal: it may name a person: sealed as it comes in, shown on the report's own page, never filtered by,
            counted or exported.
        choices: the only values of a choice.
    """

    name: str
    type: str
    label: str = ""
    help: str = ""
    required: bool = False
    personal: bool = False
    choices: tuple[str, ...] = ()

    @classmethod
    def of(cls, told: Mapping[str, JSON]) -> FieldDeclared:
        """From an event's JSON."""
        return cls(
            told["name"],
            told["type"],
            told.get("label") or told["name"].replace("_", " "),
            told.get("help") or "",
            bool(told.get("required")),
            bool(told.get("personal")),
            tuple(told.get("choices") or ()),
        )

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        return f"one of {', '.join(self.choices)}" if self.type == "choice" else EXPECTED[self.type]

    def fits(self, value: JSON) -> bool:
        """May *value* stand in this field? Null says nothing, and may."""
        match self.type:
            case _ if value is None:
                return True
            case "number":
                return isinstance(value, int | float) and not isinstance(value, bool)
            case "flag":
                return isinstance(value, bool)
            case "choice":
                return value in self.choices
            case "date":
                return isinstance(value, str) and moment_of(value) is not None
        return isinstance(value, str)

    def read(self, text: str) -> JSON:
        """*text* of a form or table as a value of this type; as it is where it is none, to be refused by name."""
        match self.type:
            case "number":
                try:
                    number = float(text)
                except ValueError:
                    return text
                whole = math.isfinite(number) and number.is_integer() and "." not in text and "e" not in text.lower()
                return int(text) if whole else number
            case "flag":
                return {"yes": True, "true": True, "1": True, "on": True, "no": False, "false": False, "0": False}.get(
                    text.strip().lower(), text
                )
        return text


@dataclass(frozen=True)
class Schema:
    """
    What is declared of one function.

    Args:
        revision: from 1; 0: nothing was ever declared.
    """

    system: str
    function: str
    revision: int = 0
    fields: tuple[FieldDeclared, ...] = ()
    template: str | None = None

    @cached_property
    def by_name(self) -> dict[str, FieldDeclared]:
        """The fields by their names."""
        return {f.name: f for f in self.fields}

    @cached_property
    def personal(self) -> frozenset[str]:
        """Names, in lower case, of the fields that are sealed: a sender who spells one otherwise means it too."""
        return frozenset(f.name.lower() for f in self.fields if f.personal)

    def misfit(self, free: Mapping[str, JSON]) -> Unfit | None:
        """Why the free fields of a report do not fit: the first declared field of another type; None if they do."""
        for name, value in free.items():
            declared = self.by_name.get(name)
            if declared is not None and not declared.fits(value):
                problem = f"is no {declared.type}, as which it is declared"
                return Unfit(f"fields.{name}", value, problem, declared.expected)
        return None

    def missing(self, free: Mapping[str, JSON]) -> list[str]:
        """Names of required fields that a report says nothing of."""
        return [f.name for f in self.fields if f.required and free.get(f.name) in (None, "")]

    def undeclared(self, free: Mapping[str, JSON]) -> list[str]:
        """Names of fields that nobody declared."""
        return sorted(name for name in free if name not in self.by_name)

    def describe(self, free: Mapping[str, JSON]) -> str | None:
        """The description that the template makes of *free*; None without one, or if a field is missing or personal."""
        if self.template is None or any(name.lower() in self.personal for name in slots(self.template)):
            return None
        return filled(self.template, free)


def described(event: Any) -> Schema:
    """What a `FunctionDescribed` declares."""
    fields = tuple(FieldDeclared.of(f) for f in event.fields)
    return Schema(event.system, event.function, event.revision, fields, event.template)


def moment_of(text: str) -> datetime | None:
    """A date or moment in UTC; None if *text* is none. A moment without a zone is nobody's."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    if found.tzinfo is None:
        return found.replace(tzinfo=UTC) if len(text) == 10 else None
    return found.astimezone(UTC)


def found_by(fields: Sequence[FieldDeclared], free: Mapping[str, JSON]) -> Iterable[tuple[str, str, JSON]]:
    """
    By what a report is found: name in lower case, value as text, and its number, its moment, or None.

    Personal fields are left out, and values that are sealed or do not fit: these came before it was declared so.
    """
    for f in fields:
        value = free.get(f.name)
        if value is None or f.personal or is_sealed(value) or not f.fits(value):
            continue
        ordered: JSON = None
        if f.type == "number":
            ordered = float(value)
        elif f.type == "date":
            ordered = moment_of(value)
        yield f.name.lower(), said(value)[:LONGEST_VALUE], ordered
