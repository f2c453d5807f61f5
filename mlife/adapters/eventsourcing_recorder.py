"""
The log and the checkpoints as recorders of the `eventsourcing` library (9.x), for applications written with it.

Such an application sets `PERSISTENCE_MODULE=mlife.adapters.eventsourcing_recorder` and `MLIFE_HOME`, and its events
live in the same log as MLife's: in `mlife event tail`, in the one order, in streams of their own (`es/<originator>`).
Notification ids are positions in the log, so they rise with gaps where other events stand between.
"""

from __future__ import annotations

import base64
import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    IntegrityError,
    Notification,
    OperationalError,
    ProcessRecorder,
    ProgrammingError,
    StoredEvent,
    Subscription,
    Tracking,
    TrackingRecorder,
)
from eventsourcing.utils import Environment

from mlife.adapters.events_sqlite import SqliteEventStore
from mlife.core.control import ApplicationRecorded, ApplicationSnapshotted, ApplicationTracked
from mlife.core.errors import Conflict, MLifeError
from mlife.core.events import Draft, Event, Recorded, derived_id, stored_bytes, to_micros
from mlife.core.ports import Append, EventStore, SystemClock
from mlife.core.projection import Views

PAGE = 1_000
"""Events that are looked at in one read while a topic or an end is searched for."""


class LogAggregateRecorder(AggregateRecorder):
    """
    Aggregates' events (or snapshots) in the log.

    Args:
        application: its name; it sees its own events only.
        purpose: `events` or `snapshots`.
    """

    def __init__(self, store: EventStore, application: str = "", purpose: str = "events") -> None:
        self.store = store
        self._application = application
        self._kind = ApplicationRecorded if purpose == "events" else ApplicationSnapshotted

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """
        Write all of *stored_events*, or none.

        Raises:
            IntegrityError: a version of an aggregate is taken. (The log itself would answer "known".)
            OperationalError: the log can't be written now.
        """
        self._insert([self._event(s) for s in stored_events])
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """The events of one aggregate, by its version; reads its whole stream."""
        with translated():
            read = self.store.read_stream(_stream(self._kind, str(originator_id)))
        mine = [
            StoredEvent(originator_id, e.originator_version, e.topic, _state_of(e))
            for r in read
            if isinstance(e := r.event, self._kind)
            and e.application == self._application
            and (gt is None or e.originator_version > gt)
            and (lte is None or e.originator_version <= lte)
        ]
        mine.sort(key=lambda s: s.originator_version, reverse=desc)
        return mine[:limit]

    def _event(self, s: StoredEvent) -> ApplicationRecorded | ApplicationSnapshotted:
        form: Literal["text", "base64"] = "text"
        try:
            state = s.state.decode()
        except UnicodeDecodeError:
            state, form = base64.b64encode(s.state).decode(), "base64"
        return self._kind(
            application=self._application,
            originator_id=str(s.originator_id),
            originator_is_uuid=isinstance(s.originator_id, UUID),
            originator_version=s.originator_version,
            topic=s.topic,
            state=state,
            state_form=form,
        )

    def _insert(self, events: Sequence[Event]) -> Sequence[int]:
        """Append *events* as a whole; their positions."""
        drafts = [_draft(e) for e in events]
        ids = [d.id for d in drafts]
        if len(set(ids)) < len(ids):
            raise IntegrityError(f"events are not unique: {events}")
        with translated():
            while True:
                taken = self.store.find(ids)
                if taken:
                    raise IntegrityError(f"already recorded: {next(iter(taken.values()))}")
                try:
                    # the versions make it all or nothing: nobody can put one of the ids between the look and the write
                    return self.store.append(Append(drafts, self._heads(events))).positions
                except Conflict:
                    continue

    def _heads(self, events: Sequence[Event]) -> dict[str, int]:
        heads: dict[str, int] = {}
        for e in events:
            stream = e.declared.stream_of(e)
            if stream not in heads:
                heads[stream] = self._head(stream, getattr(e, "originator_version", 0))
        return heads

    def _head(self, stream: str, about: int) -> int:
        """The version of *stream*; *about* is a guess that saves reading all of it."""
        for after in (max(0, about - 2), 0):
            tail = self.store.read_stream(stream, after)
            if tail or not after:
                return tail[-1].version if tail else 0
        raise AssertionError("unreachable")


class LogApplicationRecorder(LogAggregateRecorder, ApplicationRecorder):
    """One application's events in the log, and the order that they have in it."""

    def __init__(self, store: EventStore, application: str = "") -> None:
        super().__init__(store, application)
        self._last: tuple[int, int | None] = (0, None)

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """As `LogAggregateRecorder.insert_events`; answers the notification ids."""
        return self._insert([self._event(s) for s in stored_events])

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Up to *limit* of the application's events from position *start* to *stop*, of *topics* if given."""
        after = (start or 0) - (1 if inclusive_of_start and start else 0)
        found: list[Notification] = []
        for r, e in self._mine(max(0, after)):
            if len(found) == limit or (stop is not None and r.position > stop):
                break
            if not topics or e.topic in topics:
                originator = UUID(e.originator_id) if e.originator_is_uuid else e.originator_id
                found.append(Notification(originator, e.originator_version, e.topic, _state_of(e), id=r.position))
        return found

    def max_notification_id(self) -> int | None:
        """The position of the application's last event; None if it has none. Reads what is new since the last time."""
        looked, last = self._last
        head = self.store.head()
        for r, _ in self._mine(looked):
            last = r.position
        self._last = (max(head, last or 0), last)
        return last

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> LogSubscription:
        """The application's events after position *gt*, and those to come; woken by commits of any process."""
        return LogSubscription(self, gt, topics)

    def _mine(self, after: int) -> Iterator[tuple[Recorded[Event], ApplicationRecorded]]:
        while True:
            with translated():
                run = self.store.read(after, PAGE, types=[ApplicationRecorded.declared.type])
            for r in run:
                e = r.event
                if isinstance(e, ApplicationRecorded) and e.application == self._application:
                    yield r, e
            if len(run) < PAGE:
                return
            after = run[-1].position


class LogSubscription(Subscription[LogApplicationRecorder]):
    """Notifications as they come; a `stop` from any thread ends it."""

    def __init__(self, recorder: LogApplicationRecorder, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder, gt, topics)
        self._ready: deque[Notification] = deque()

    def stop(self) -> None:
        """End the iteration, also one that waits."""
        super().stop()
        self._recorder.store.wake()

    def __next__(self) -> Notification:
        store = self._recorder.store
        while not self._has_been_stopped:
            if self._ready:
                return self._ready.popleft()
            head = store.head()
            after = self._last_notification_id or 0
            self._ready.extend(
                self._recorder.select_notifications(after, PAGE, topics=self._topics, inclusive_of_start=False)
            )
            self._last_notification_id = self._ready[-1].id if self._ready else max(after, head)
            if not self._ready:
                store.wait(head, 0.5)
        raise StopIteration


class LogTrackingRecorder(TrackingRecorder):
    """
    Checkpoints of projections and processes written with the library, as events in the log.

    With *views*, a name that no application has tracked is looked for among MLife's own projections: `wait("badcases",
    position)` waits for the query tables.
    """

    def __init__(self, store: EventStore, views: Views | None = None) -> None:
        self.store = store
        self._views = views

    def insert_tracking(self, tracking: Tracking) -> None:
        """
        Move the checkpoint.

        Raises:
            IntegrityError: it stands there already, or beyond.
        """
        with translated():
            while True:
                append = self._moved(tracking)
                try:
                    self.store.append(append)
                except Conflict:
                    continue
                return

    def _moved(self, tracking: Tracking) -> Append:
        read = self.store.read_stream(_stream(ApplicationTracked, tracking.application_name))
        at = _tracked(read)
        if at is not None and at >= tracking.notification_id:
            raise IntegrityError(
                f"{tracking.application_name} is at {at} already, not before {tracking.notification_id}"
            )
        event = ApplicationTracked(application=tracking.application_name, notification_id=tracking.notification_id)
        return Append([_draft(event)], {event.declared.stream_of(event): read[-1].version if read else 0})

    def max_tracking_id(self, application_name: str) -> int | None:
        """The checkpoint, or None if there is none."""
        with translated():
            at = _tracked(self.store.read_stream(_stream(ApplicationTracked, application_name)))
            if at is None and self._views is not None:
                live = [s.position for s in self._views.standings() if s.name == application_name and s.state == "live"]
                at = live[-1] if live else None
        return at


class LogProcessRecorder(LogTrackingRecorder, LogApplicationRecorder, ProcessRecorder):
    """Events and the checkpoint that they follow from, in one append."""

    def __init__(self, store: EventStore, application: str = "", views: Views | None = None) -> None:
        LogApplicationRecorder.__init__(self, store, application)
        self._views = views

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """As `LogApplicationRecorder.insert_events`; the argument *tracking* is recorded with them, or neither is."""
        tracking: Tracking | None = kwargs.get("tracking")
        events = [self._event(s) for s in stored_events]
        if tracking is None:
            return self._insert(events)
        with translated():
            while True:
                moved = self._moved(tracking)
                drafts = [_draft(e) for e in events]
                taken = self.store.find([d.id for d in drafts])
                if taken:
                    raise IntegrityError(f"already recorded: {next(iter(taken.values()))}")
                try:
                    done = self.store.append(
                        Append([*moved.drafts, *drafts], {**moved.expected, **self._heads(events)})
                    )
                except Conflict:
                    continue
                return done.positions[1:]


class Factory(InfrastructureFactory[LogTrackingRecorder]):
    """
    Makes the recorders of an application from its environment.

    `MLIFE_HOME` names the home in whose log it lives, or `MLIFE_STORE` the log itself, where that is PostgreSQL. The
    application's name is that of its class, as the library has it.
    """

    def __init__(self, env: Environment) -> None:
        super().__init__(env)
        self._opened = ExitStack()
        with translated(), ExitStack() as opened:
            self._store = _log(env.get("MLIFE_STORE") or "", env.get("MLIFE_HOME") or "", opened)
            self._opened = opened.pop_all()

    def aggregate_recorder(self, purpose: str = "events") -> LogAggregateRecorder:
        """See `InfrastructureFactory`."""
        return LogAggregateRecorder(self._store, self.env.name, purpose)

    def application_recorder(self) -> LogApplicationRecorder:
        """See `InfrastructureFactory`."""
        return LogApplicationRecorder(self._store, self.env.name)

    def tracking_recorder(
        self, tracking_recorder_class: type[LogTrackingRecorder] | None = None
    ) -> LogTrackingRecorder:
        """See `InfrastructureFactory`; a class of one's own adds its tables to the checkpoint."""
        return (tracking_recorder_class or LogTrackingRecorder)(self._store)

    def process_recorder(self) -> LogProcessRecorder:
        """See `InfrastructureFactory`."""
        return LogProcessRecorder(self._store, self.env.name)

    def close(self) -> None:
        """Finish what is queued, and release the log."""
        self._opened.close()


def _log(store: str, home: str, opened: ExitStack) -> EventStore:
    if store.startswith("postgresql:"):
        from mlife.adapters.events_postgres import PostgresEventStore
        from mlife.adapters.postgres import Postgres

        return opened.enter_context(closing(PostgresEventStore(opened.enter_context(closing(Postgres(store))))))
    if not home:
        raise ProgrammingError("MLIFE_HOME is not set: name the home in whose log the application shall live")
    return opened.enter_context(closing(SqliteEventStore(Path(home).absolute() / "mlife.db")))


def _stream(kind: type[Event], name: str) -> str:
    return kind.declared.stream.partition("/")[0] + "/" + name


def _state_of(e: ApplicationRecorded | ApplicationSnapshotted) -> bytes:
    return e.state.encode() if e.state_form == "text" else base64.b64decode(e.state)


def _tracked(read: Sequence[Recorded[Event]]) -> int | None:
    event = read[-1].event if read else None
    return event.notification_id if isinstance(event, ApplicationTracked) else None


def _draft(event: Event) -> Draft:
    kind, data = event.declared, stored_bytes(event)
    application = getattr(event, "application", "")
    if isinstance(event, ApplicationTracked):
        name: tuple[object, ...] = (kind.name, application, event.notification_id)
    else:
        assert isinstance(event, ApplicationRecorded | ApplicationSnapshotted)
        name = (kind.name, application, event.originator_id, event.originator_version)
    return Draft(
        derived_id(*name),
        kind.stream_of(event),
        0,
        kind.type,
        kind.key_of(event),
        to_micros(SystemClock().now()),
        f"/mlife/{application}" if application else "/mlife",
        None,
        None,
        f"application {application}" if application else None,
        None,
        data,
        hashlib.sha256(data).digest(),
    )


@contextmanager
def translated() -> Iterator[None]:
    """Turn MLife's outages into the library's error."""
    try:
        yield
    except Conflict:
        raise
    except MLifeError as e:
        raise OperationalError(str(e)) from e
