"""A function of a system: its id, and what decisions need to know of it."""

from __future__ import annotations

from mlife.badcases.events import FunctionDescribed
from mlife.core.command import State
from mlife.core.events import Event, derived_id


def function_id(system: str, function: str) -> str:
    """`fn-` and 12 hexadecimal digits: a name without the characters that names of functions may have."""
    return f"fn-{derived_id('function', system, function).hex()[:12]}"


class Function(State):
    """What was declared of a function, revision by revision."""

    category = "function"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.revisions: list[FunctionDescribed] = []

    @property
    def latest(self) -> FunctionDescribed:
        """The revision that holds; there must be one."""
        return self.revisions[-1]

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""
        if isinstance(event, FunctionDescribed):
            self.revisions.append(event)
