"""Facts about MLife itself: exceptions that people made, and the policies of judgements. Topic `mlife.control`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from mlife.core.command import Given, State
from mlife.core.errors import Refused
from mlife.core.events import Event, event
from mlife.core.ports import EventStore


@event("mlife.projection.skipped", stream="projection/{projection}", key="projection", topic="mlife.control")
class ProjectionSkipped(Event):
    """
    A person let a projection pass over an event that it can't fold; every replay passes over it too.

    Fields:
        skipped: position of the event.
    """

    projection: str
    skipped: int = Field(ge=1)
    reason: str
    by: str | None = None


@event("mlife.deadletter.skipped", stream="deadletter/{handler}", key="handler", topic="mlife.control")
class DeadLetterSkipped(Event):
    """A person decided that a handler need not handle a fact."""

    handler: str
    partition_key: str
    skipped: int = Field(ge=1)
    reason: str
    by: str | None = None


@event("mlife.policy.loaded", stream="policy/{function}", key="function", topic="mlife.control")
class PolicyLoaded(Event):
    """
    The numbers that judgements about a function use from now on.

    Fields:
        function: `<system>/<function>`, or `default`.
        policy: the numbers that differ from the defaults, by name.
        digest: SHA-256 of the whole policy; judgements name it.
    """

    function: str
    policy: dict[str, Any]
    digest: str
    by: str | None = None


class _Foreign(Event):
    """
    What the applications' events share.

    Fields:
        application: name of the application; several may live in one log.
        originator_id, originator_is_uuid: the aggregate, as text.
        originator_version: the aggregate's version as the library counts it.
        topic: where the library finds the class.
        state, state_form: what the library's mapper made of the event: UTF-8 text, else base64.
    """

    application: str
    originator_id: str
    originator_is_uuid: bool
    originator_version: int
    topic: str
    state: str
    state_form: Literal["text", "base64"]


@event("mlife.application.recorded", stream="es/{originator_id}", key="originator_id", topic="mlife.control")
class ApplicationRecorded(_Foreign):
    """An application written with the `eventsourcing` library recorded an event of one of its aggregates."""


@event(
    "mlife.application.snapshotted", stream="es-snapshot/{originator_id}", key="originator_id", topic="mlife.control"
)
class ApplicationSnapshotted(_Foreign):
    """Such an application kept the state of an aggregate, to load it faster."""


@event("mlife.application.tracked", stream="tracking/{application}", key="application", topic="mlife.control")
class ApplicationTracked(Event):
    """
    A projection or process written with that library has dealt with what came before.

    Fields:
        application: whose events it follows.
        notification_id: up to where; only ever greater.
    """

    application: str
    notification_id: int


class Skips(State):
    """Positions that a projection passes over."""

    category = "projection"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.positions: set[int] = set()

    def apply(self, event: Event) -> None:
        """Collect the positions."""
        if isinstance(event, ProjectionSkipped):
            self.positions.add(event.skipped)


def skips_of(store: EventStore, projection: str) -> set[int]:
    """Positions that the projection called *projection* passes over by a person's decision."""
    state = Skips(projection)
    for recorded in store.read_stream(f"{Skips.category}/{projection}"):
        state.apply(recorded.event)
    return state.positions


def let_be(store: EventStore, handler: str) -> set[int]:
    """Positions of facts that *handler* need not handle, by a person's decision."""
    return {
        r.event.skipped for r in store.read_stream(f"deadletter/{handler}") if isinstance(r.event, DeadLetterSkipped)
    }


def skip_in_projection(given: Given, *, projection: str, position: int, reason: str) -> list[Event]:
    """Let *projection* pass over the event at *position*, now and in every replay."""
    if position in given(Skips, projection).positions:
        return []
    if not reason.strip():
        raise Refused("a skip needs a reason", remedy="say why the event may be passed over")
    return [ProjectionSkipped(projection=projection, skipped=position, reason=reason, by=given.actor)]


def skip_dead_letter(given: Given, *, handler: str, key: str, position: int, reason: str) -> list[Event]:
    """Record that a fact stays unhandled."""
    if not reason.strip():
        raise Refused("a skip needs a reason", remedy="say why the fact may stay unhandled")
    return [DeadLetterSkipped(handler=handler, partition_key=key, skipped=position, reason=reason, by=given.actor)]
