"""Saved views: a query under a name."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Literal

from pydantic import Field

from mlife.badcases.events import ViewRemoved, ViewSaved
from mlife.core.command import Given, State
from mlife.core.errors import Refused, no_such
from mlife.core.events import Event

Of = Literal["badcases", "reports"]


class SavedQuery(State):
    """What a name means, and meant before the last change; None before it is saved, and after it was removed."""

    category = "view"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.said: tuple[str, Of, str, str] | None = None
        self.before: tuple[str, Of, str, str] | None = None

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""
        self.before = self.said
        match event:
            case ViewSaved():
                self.said = (event.name, event.of, event.query, event.sort)
            case ViewRemoved():
                self.said = None


def view_id_of(name: str) -> str:
    """The id that a name has: its letters and digits in small letters, hyphens between."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return re.sub(r"[^\w]+|_+", "-", plain).strip("-")[:80]


def save_view(
    given: Given,
    *,
    name: Annotated[str, Field(min_length=1, max_length=80)],
    query: Annotated[str, Field(max_length=2_000)],
    of: Of = "badcases",
    sort: Annotated[str, Field(max_length=200)] = "",
) -> list[Event]:
    """
    Keep a query under a name, for everybody.

    Args:
        query: whoever asks has looked whether it can be read (`views.saved.check`).
    """
    view_id = view_id_of(name)
    if not view_id:
        raise Refused(f"{name!r} is no name", remedy="use letters or digits")
    known = given(SavedQuery, view_id)
    if known.said == (name, of, query, sort):
        return []
    return [ViewSaved(view_id=view_id, name=name, of=of, query=query, sort=sort, by=given.actor)]


def remove_view(given: Given, *, view_id: Annotated[str, Field(min_length=1, max_length=128)]) -> list[Event]:
    """Forget a saved view; what was decided by its query stays."""
    known = given(SavedQuery, view_id)
    if not known.exists:
        raise no_such("view", view_id)
    return [ViewRemoved(view_id=view_id, by=given.actor)] if known.said else []


def undo_view(given: Given, *, view_id: Annotated[str, Field(min_length=1, max_length=128)]) -> list[Event]:
    """Let a name mean again what it meant before the last change; twice is as it was."""
    known = given(SavedQuery, view_id)
    if not known.exists:
        raise no_such("view", view_id)
    if known.before is None:
        return remove_view(given, view_id=view_id)
    name, of, query, sort = known.before
    return [ViewSaved(view_id=view_id, name=name, of=of, query=query, sort=sort, by=given.actor)]
