"""Our recorders pass the contract suites that the `eventsourcing` library ships in its wheel."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from unittest import TestCase
from uuid import uuid4

import pytest

pytest.importorskip("eventsourcing")

from eventsourcing.persistence import IntegrityError, OperationalError, ProgrammingError, StoredEvent, Tracking
from eventsourcing.tests import persistence as shipped
from eventsourcing.utils import Environment

from mlife.adapters.events_postgres import PostgresEventStore
from mlife.adapters.events_sqlite import SqliteEventStore
from mlife.adapters.eventsourcing_recorder import (
    Factory,
    LogAggregateRecorder,
    LogApplicationRecorder,
    LogProcessRecorder,
    LogTrackingRecorder,
)
from mlife.adapters.postgres import Postgres
from mlife.adapters.views_sqlite import SqliteViews
from mlife.core.ports import Append, EventStore, iterate
from tests.contract.drafts import draft
from tests.toys import only_toys, toys


class OnSqlite(TestCase):
    """A new log for each of the library's tests."""

    store: EventStore

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.store = SqliteEventStore(Path(folder.name) / "log.db")
        self.addCleanup(self.store.close)


class OnPostgres(TestCase):
    """A new schema for each of the library's tests."""

    store: EventStore

    @pytest.fixture(autouse=True)
    def schema(self, postgres_url: str) -> None:
        self.url = postgres_url

    def setUp(self) -> None:
        postgres = Postgres(self.url)
        self.addCleanup(postgres.close)
        self.store = PostgresEventStore(postgres)
        self.addCleanup(self.store.close)


SUITES = {
    "AggregateRecorder": (shipped.AggregateRecorderTestCase, LogAggregateRecorder),
    "SnapshotRecorder": (shipped.AggregateRecorderTestCase, partial(LogAggregateRecorder, purpose="snapshots")),
    "ApplicationRecorder": (shipped.ApplicationRecorderTestCase, LogApplicationRecorder),
    "TrackingRecorder": (shipped.TrackingRecorderTestCase, LogTrackingRecorder),
    "ProcessRecorder": (shipped.ProcessRecorderTestCase, LogProcessRecorder),
    "NotificationOrder": (shipped.NonInterleavingNotificationIDsBaseCase, LogApplicationRecorder),
}
"""Which of the library's suites each recorder of ours must pass, on either log."""

for name, (suite, recorder_class) in SUITES.items():
    for place in (OnSqlite, OnPostgres):
        globals()[f"Test{name}{place.__name__}"] = type(
            f"Test{name}{place.__name__}",
            (place, suite),
            {"create_recorder": lambda self, make=recorder_class: make(self.store), "insert_num": 300},
        )


# --- what the shipped suites do not ask ---


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[SqliteEventStore]:
    with closing(SqliteEventStore(tmp_path / "log.db")) as opened:
        yield opened


@pytest.fixture
def postgres_store(postgres_url: str) -> Iterator[PostgresEventStore]:
    with closing(Postgres(postgres_url)) as postgres, closing(PostgresEventStore(postgres)) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> EventStore:
    """An empty log."""
    return request.getfixturevalue(f"{request.param}_store")


def stored(originator: Any, version: int, state: bytes = b"{}") -> StoredEvent:
    return StoredEvent(originator, version, "topic", state)


def test_a_batch_with_one_taken_version_writes_nothing(store: EventStore) -> None:
    recorder = LogApplicationRecorder(store)
    a, b = uuid4(), uuid4()
    recorder.insert_events([stored(a, 1)])
    with pytest.raises(IntegrityError):
        recorder.insert_events([stored(b, 1), stored(a, 1)])
    with pytest.raises(IntegrityError):
        recorder.insert_events([stored(b, 1), stored(b, 1)])
    assert store.head() == 1


def test_ids_states_and_versions_of_every_kind_come_back_as_they_were(store: EventStore) -> None:
    recorder = LogApplicationRecorder(store)
    written = [
        stored(uuid4(), 1, b'{"name":"\xc3\xa4"}'),
        stored("by name/with slash", 1, b"\xff\xfe compressed \x00"),
        stored("ä", 7, b""),
    ]
    recorder.insert_events(written)
    for event, notification in zip(written, recorder.select_notifications(None, 10), strict=True):
        assert recorder.select_events(event.originator_id) == [event]
        assert (notification.originator_id, notification.state) == (event.originator_id, event.state)


def test_events_of_mlife_and_of_other_applications_stand_between_and_are_not_seen(store: EventStore) -> None:
    ours, theirs = LogApplicationRecorder(store, "ours"), LogApplicationRecorder(store, "theirs")
    shared = uuid4()
    ours.insert_events([stored(shared, 1)])
    store.append(Append([draft("toy/1", "a")]))
    theirs.insert_events([stored(shared, 1), stored(shared, 2)])
    ours.insert_events([stored(shared, 2)])

    assert [n.id for n in ours.select_notifications(None, 10)] == [1, 5]
    assert [n.id for n in theirs.select_notifications(2, 10)] == [3, 4]
    assert (ours.max_notification_id(), theirs.max_notification_id()) == (5, 4)
    assert [e.originator_version for e in ours.select_events(shared, desc=True, limit=1)] == [2]
    assert {r.stream for r in iterate(store)} == {"toy/1", f"es/{shared}"}


def test_a_subscription_goes_on_with_what_comes_and_ends_when_it_is_stopped(store: EventStore) -> None:
    recorder = LogApplicationRecorder(store)
    recorder.insert_events([stored("a", n) for n in (1, 2, 3)])
    with recorder.subscribe(gt=1) as subscription:
        assert [next(subscription).id, next(subscription).id] == [2, 3]
        store.append(Append([draft("toy/1", "a")]))
        recorder.insert_events([stored("a", 4)])
        assert next(subscription).id == 5
        subscription.stop()
        assert list(subscription) == []


def test_of_two_processes_that_move_one_checkpoint_one_is_refused_with_its_events(store: EventStore) -> None:
    first, second = (LogProcessRecorder(store, "app") for _ in range(2))
    first.insert_events([stored("a", 1)], tracking=Tracking("upstream", 5))
    with pytest.raises(IntegrityError, match="upstream is at 5 already"):
        second.insert_events([stored("b", 1)], tracking=Tracking("upstream", 5))

    assert second.select_events("b") == []
    assert second.max_tracking_id("upstream") == 5


def test_checkpoints_of_mlife_s_own_projections_can_be_waited_for(store: EventStore, tmp_path: Path) -> None:
    with only_toys():
        views = SqliteViews(tmp_path / "views.db")
        recorder = LogTrackingRecorder(store, views)
        assert recorder.max_tracking_id("toys") is None
        views.apply(toys, views.prepare(toys), [], 7)
        recorder.wait("toys", 7)
        with pytest.raises(TimeoutError):
            recorder.wait("toys", 8, timeout=0.01)
        views.close()


def test_an_outage_is_the_library_s_operational_error(tmp_path: Path) -> None:
    store = SqliteEventStore(tmp_path / "log.db")
    store.close()
    with pytest.raises(OperationalError, match="is closed"):
        LogApplicationRecorder(store).insert_events([stored("a", 1)])
    (tmp_path / "file").write_text("")
    with pytest.raises(OperationalError, match="can't be written"):
        Factory.construct({"PERSISTENCE_MODULE": Factory.__module__, "MLIFE_HOME": str(tmp_path / "file")})
    with pytest.raises(ProgrammingError, match="MLIFE_HOME is not set"):
        Factory.construct({"PERSISTENCE_MODULE": Factory.__module__})


def test_an_application_lives_in_the_log_on_postgresql(postgres_url: str) -> None:
    with closing(Factory(Environment("Rota", {"MLIFE_STORE": postgres_url}))) as first:
        first.application_recorder().insert_events([stored("a", 1)])
    with closing(Factory(Environment("Rota", {"MLIFE_STORE": postgres_url}))) as second:
        assert second.application_recorder().select_events("a") == [stored("a", 1)]
