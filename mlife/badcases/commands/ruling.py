"""By what a function's reports are told apart: the rule, its application to old reports, and taking that back."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mlife.badcases.events import GroupingApplied, GroupingRuled, GroupingUnapplied
from mlife.badcases.functions import Function, function_id
from mlife.badcases.intake.schema import FieldDeclared
from mlife.badcases.places import Ruling
from mlife.badcases.wording import slots
from mlife.core.command import Given
from mlife.core.errors import Refused
from mlife.core.events import Event

Name = Annotated[str, Field(min_length=1, max_length=128)]
Words = Annotated[str, Field(max_length=2_000)]
MOST_COMPARED = 5
"""Fields that a rule compares: each more makes many more badcases of few reports."""


class Moved(BaseModel):
    """Reports whose fingerprint names `from_badcase_id`, and under the rule another badcase."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_badcase_id: str
    badcase_id: str
    fingerprint: str
    fingerprint_version: int
    reports: list[int]


def rule_grouping(
    given: Given,
    *,
    system: Name,
    function: Name,
    description: bool = False,
    fields: Annotated[list[Name], Field(max_length=MOST_COMPARED)] = [],  # noqa: B006 - pydantic copies it
    reason: Words = "",
) -> list[Event]:
    """
    Decide what is compared of a function's reports beside what went wrong, from now on.

    Args:
        description: compare the description that the function's template makes. fields: declared fields to compare.

    Raises:
        Refused: the function has no such template or field, or a field may name a person.
    """
    described = given(Function, function_id(system, function))
    latest = described.latest if described.exists else None
    declared = {f.name: f for f in map(FieldDeclared.of, latest.fields)} if latest else {}
    template = latest.template if latest else None
    if description and template is None:
        raise Refused(
            f"{function} of {system} has no template of descriptions",
            remedy="make one where its fields are declared: what people write freely is never the same twice",
        )
    compared = tuple(sorted(set(fields)))
    for name in (*compared, *(slots(template) if description and template else ())):
        if name not in declared:
            raise Refused(f"{function} of {system} has no field {name}", remedy="declare it, then compare it")
        if declared[name].personal:
            raise Refused(f"the field {name} may name a person", remedy="compare what names nobody")
    ruling = given(Ruling, function_id(system, function))
    chosen = template if description else None
    if (ruling.rule.template, ruling.rule.fields) == (chosen, compared):
        return []
    return [
        GroupingRuled(
            function_id=function_id(system, function),
            system=system,
            function=function,
            revision=ruling.rule.revision + 1,
            template=chosen,
            fields=compared,
            reason=reason,
            by=given.actor,
        )
    ]


def apply_grouping(
    given: Given,
    *,
    system: Name,
    function: Name,
    revision: int,
    moved: list[Moved],
) -> list[Event]:
    """
    Count old reports by the rule, as it was shown.

    Args:
        revision: of the rule that was looked at. moved: what it does.
    """
    ruling = given(Ruling, function_id(system, function))
    if ruling.rule.revision != revision:
        raise Refused(
            f"the rule is at revision {ruling.rule.revision}, not {revision}",
            remedy="look at what it does now, then apply that",
        )
    application_id = given.new_id("apl")
    return [
        GroupingApplied(
            function_id=function_id(system, function),
            system=system,
            function=function,
            application_id=application_id,
            revision=revision,
            by=given.actor,
            **one.model_dump(),
        )
        for one in moved
    ]


def unapply_grouping(given: Given, *, system: Name, function: Name, application_id: Name) -> list[Event]:
    """Count reports as before an application."""
    ruling = given(Ruling, function_id(system, function))
    if application_id not in ruling.applied:
        raise Refused(
            f"{application_id} is not applied to {function} of {system}",
            remedy="choose one that the page of its rule lists",
        )
    return [GroupingUnapplied(function_id=function_id(system, function), application_id=application_id, by=given.actor)]
