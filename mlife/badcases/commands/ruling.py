"""By what a function's reports are told apart: the rule, its application to old reports, and taking that back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mlife.badcases.events import GroupingApplied, GroupingRuled, GroupingUnapplied
from mlife.badcases.fingerprint import Rule
from mlife.badcases.functions import Function, function_id
from mlife.badcases.intake.schema import Schema, described
from mlife.badcases.places import Ruling
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


def checked_rule(schema: Schema, fields: Sequence[str], *, description: bool) -> Rule:
    """
    The rule that compares *fields* and the description, for looking at it or for choosing it.

    Raises:
        Refused: the function has no such template or field, or a field may name a person.
    """
    named = f"{schema.function} of {schema.system}"
    if description and schema.template is None:
        raise Refused(
            f"{named} has no template of descriptions",
            remedy="make one where its fields are declared: what people write freely is never the same twice",
        )
    rule = Rule(0, schema.template if description else None, tuple(sorted(set(fields))))
    comparable = [f.name for f in schema.fields if not f.personal]
    for name in rule.names:
        if name not in schema.by_name:
            could = f"declare it (`mlife function describe`), or compare one of {', '.join(comparable)}"
            remedy = could if comparable else "declare it (`mlife function describe`), then compare it"
            raise Refused(f"{named} has no field {name}", remedy=remedy)
        if schema.by_name[name].personal:
            raise Refused(f"the field {name} may name a person", remedy="compare what names nobody")
    return rule


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
        Refused: as `checked_rule`.
    """
    state = given(Function, function_id(system, function))
    schema = described(state.latest) if state.exists else Schema(system, function)
    wished = checked_rule(schema, fields, description=description)
    ruling = given(Ruling, function_id(system, function))
    if (ruling.rule.template, ruling.rule.fields) == (wished.template, wished.fields):
        return []
    return [
        GroupingRuled(
            function_id=function_id(system, function),
            system=system,
            function=function,
            revision=ruling.rule.revision + 1,
            template=wished.template,
            fields=wished.fields,
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
