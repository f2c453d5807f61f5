"""Dismissing a suggestion; to accept one is to merge."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mlife.badcases.events import SuggestionDismissed, SuggestionRestored
from mlife.badcases.places import Dismissal
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
