"""What decisions about tasks need to know of streams."""

from __future__ import annotations

from typing import Literal

from mlife.core.command import State
from mlife.core.events import Event
from mlife.training.events import TaskCancelled, TaskDrafted, TaskFailed, TaskFinished, TaskQueued, TaskStarted

Kind = Literal["training", "testing"]


class TaskState(State):
    """
    A task as decisions see it.

    Attributes:
        state: empty, or `draft`, `queued`, `running`, `done`, `failed`, `cancelled`.
        attempt: of the last start, over all of its life. tries: starts since it was last queued.
    """

    category = "task"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.state = ""
        self.kind: Kind = "training"
        self.name = ""
        self.group_ids: tuple[str, ...] = ()
        self.system: str | None = None
        self.function: str | None = None
        self.iteration_id: str | None = None
        self.queued: TaskQueued | None = None
        self.attempt = 0
        self.tries = 0

    def apply(self, event: Event) -> None:
        """Where the task stands after *event*."""
        match event:
            case TaskDrafted():
                self.state, self.kind, self.name, self.group_ids = "draft", event.kind, event.name, event.group_ids
                self.system, self.function, self.iteration_id = event.system, event.function, event.iteration_id
            case TaskQueued():
                self.state, self.queued, self.group_ids, self.tries = "queued", event, event.group_ids, 0
            case TaskStarted():
                self.state, self.attempt, self.tries = "running", event.attempt, self.tries + 1
            case TaskFinished():
                self.state = "done"
            case TaskFailed():
                self.state = "failed"
            case TaskCancelled():
                self.state = "cancelled"


class Group(State):
    """A frozen group. Its events belong to the data feature, so they are known by name."""

    category = "group"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.purpose = ""
        self.name = ""

    def apply(self, event: Event) -> None:
        """Take its purpose from the event that sealed it."""
        if event.declared.name == "mlife.document.grouped":
            self.purpose, self.name = getattr(event, "purpose", ""), getattr(event, "name", "")


class Model(State):
    """A model that a task trained, or that was adopted (an event of the serving feature)."""

    category = "model"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.function: tuple[str | None, str | None] = (None, None)
        self.sha256 = ""

    def apply(self, event: Event) -> None:
        """Take what it is from the event that made it."""
        if event.declared.name in {"mlife.model.trained", "mlife.model.added"}:
            self.sha256 = getattr(event, "sha256", "")
            self.function = getattr(event, "system", None), getattr(event, "function", None)
