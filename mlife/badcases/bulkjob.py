"""A bulk job as decisions and steps see it."""

from __future__ import annotations

from typing import Any

from mlife.badcases.events import BulkFinished, BulkProgressed, BulkStarted
from mlife.core.command import State
from mlife.core.events import Event


class BulkJob(State):
    """One action on many badcases: how far it is, and which streams it changed at which version."""

    category = "bulk"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.action = self.query = ""
        self.badcase_ids: tuple[str, ...] = ()
        self.input: dict[str, Any] = {}
        self.undoes: str | None = None
        self.by: str | None = None
        self.done = self.unchanged = 0
        self.changed: dict[str, int] = {}
        self.refused: list[dict[str, Any]] = []
        self.running = self.stopped = False

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""
        match event:
            case BulkStarted():
                self.action, self.query, self.badcase_ids = event.action, event.query, event.badcase_ids
                self.input, self.undoes, self.by, self.running = event.input, event.undoes, event.by, True
            case BulkProgressed():
                self.done = event.done
                self.changed.update(event.changed)
                self.unchanged += event.unchanged
                self.refused += event.refused
            case BulkFinished():
                self.running, self.stopped = False, event.stopped
