"""Taking back: what people did to a thing, and which of it can be undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlife.core.errors import Refused


@dataclass(frozen=True, slots=True)
class Action:
    """
    One event that changed a thing.

    Args:
        version: of the event in its stream.
        what: what was done, in a word such as `muted`.
        before: field → the value that it had before.
        by_person: only what a person did can be taken back.
    """

    version: int
    what: str
    before: Mapping[str, Any]
    by_person: bool = True


class Actions:
    """
    The actions that still hold, in order. An action and its taking back are as if neither had happened.

    An action can be taken back while no later one that still holds has changed any of its fields.
    """

    def __init__(self) -> None:
        self._live: list[Action] = []

    def add(self, action: Action) -> None:
        """Something was done."""
        self._live.append(action)

    def drop(self, version: int) -> Action | None:
        """It was taken back; what it was."""
        for at, action in enumerate(self._live):
            if action.version == version:
                return self._live.pop(at)
        return None

    def possible(self) -> dict[int, str]:
        """What can be taken back now: version → what."""
        return {a.version: a.what for a in self._live if a.by_person and self._later(a) is None}

    def choose(self, version: int | None, id: str, name_of: Callable[[str], str] = str) -> Action:
        """
        The action of *version*, or the last that can be taken back.

        Args:
            id: of the thing, for the message. name_of: a field's name for people.

        Raises:
            Refused: there is none, it is no person's, or something has changed since.
        """
        if version is None:
            version = max(self.possible(), default=None)
            if version is None:
                raise Refused(f"{id} holds nothing that can be taken back", remedy="its history says what was done")
        action = next((a for a in self._live if a.version == version), None)
        if action is None or not action.by_person:
            raise Refused(
                f"version {version} of {id} can't be taken back: it is no person's action, or was taken back already",
                remedy="its history says what can be",
            )
        later = self._later(action)
        if later is not None:
            fields = ", ".join(sorted(name_of(f) for f in action.before.keys() & later.before.keys())[:3])
            raise Refused(
                f"{id} has changed since: its {fields} by version {later.version} ({later.what})",
                remedy="take that back first, or set the value that you want",
            )
        return action

    def _later(self, action: Action) -> Action | None:
        """The first action after *action* that changed one of its fields."""
        return next(
            (a for a in self._live if a.version > action.version and a.before.keys() & action.before.keys()), None
        )
