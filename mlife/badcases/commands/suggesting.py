"""Dismissing a suggestion (to accept one is to merge), and by what suggestions are found."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mlife.badcases.events import LikenessChosen, SuggestionDismissed, SuggestionRestored
from mlife.badcases.functions import function_id
from mlife.badcases.places import Compared, Dismissal
from mlife.badcases.suggesting import suggestion_id
from mlife.core.command import Given
from mlife.core.errors import Refused
from mlife.core.events import Event

Name = Annotated[str, Field(min_length=1, max_length=128)]
Words = Annotated[str, Field(max_length=2_000)]


def dismiss_suggestion(given: Given, *, one: Name, other: Name, why: Words = "", reason: Words = "") -> list[Event]:
    """Say that two badcases that look alike are two failures."""
    if one == other:
        raise Refused(f"{one} is one badcase", remedy="name two that are not the same failure")
    asked = suggestion_id(one, other)
    if given(Dismissal, asked).dismissed:
        return []
    one, other = sorted((one, other))
    return [SuggestionDismissed(suggestion_id=asked, one=one, other=other, why=why, reason=reason, by=given.actor)]


def restore_suggestion(given: Given, *, suggestion_id: Name) -> list[Event]:
    """Take a dismissal back."""
    if not given(Dismissal, suggestion_id).dismissed:
        return []
    return [SuggestionRestored(suggestion_id=suggestion_id, by=given.actor)]


def choose_likeness(
    given: Given,
    *,
    system: Name,
    function: Name,
    embedders: Annotated[list[Name], Field(max_length=20)] | None = None,
    reason: Words = "",
) -> list[Event]:
    """
    Decide by what badcases of a function are compared.

    Args:
        embedders: names; empty: nothing is compared but files. None: whatever is installed.
    """
    chosen = None if embedders is None else tuple(sorted(set(embedders)))
    compared = given(Compared, function_id(system, function))
    if compared.embedders == chosen:
        return []
    return [
        LikenessChosen(
            function_id=function_id(system, function),
            system=system,
            function=function,
            embedders=chosen,
            reason=reason,
            by=given.actor,
        )
    ]
