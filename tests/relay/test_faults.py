"""The relay never skips and never overtakes, whatever fails between any two of its steps."""

import itertools
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from mlife.adapters.events_sqlite import SqliteEventStore
from mlife.adapters.postgres import Postgres
from mlife.adapters.relay_postgres import PostgresRelayBook
from mlife.core import relay as relay_module
from mlife.core.errors import Unavailable
from mlife.core.ports import Append
from mlife.core.relay import Relay
from tests.contract.drafts import draft
from tests.relay.scripted import Fate, FatefulBook, FatefulStore, Killed, ScriptedBus, ScriptedKafka

KEYS = ["a", "b", "c", "d", "e"]
numbers = itertools.count()


@pytest.fixture
def small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few events are several runs, and more than are sent ahead."""
    monkeypatch.setattr(relay_module, "RUN", 4)
    monkeypatch.setattr(relay_module, "FIRST_RUN", 2)
    monkeypatch.setattr(relay_module, "AHEAD", 3)


@pytest.fixture
def book(postgres_url: str) -> Iterator[PostgresRelayBook]:
    with closing(Postgres(postgres_url)) as database:
        yield PostgresRelayBook(database)


class RelayUnderFaults(RuleBasedStateMachine):
    """Writers append, relays are started, fail and die, and what dead ones had sent may arrive late."""

    book: PostgresRelayBook

    @initialize()
    def begin(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.store = SqliteEventStore(Path(self._folder.name) / "log.db")
        self.kafka = ScriptedKafka()
        self.bus_name = f"bus {next(numbers)}"
        self.names = itertools.count()

    @rule(keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=15))
    def writers_append(self, keys: list[str]) -> None:
        self.store.append(Append([draft(key, f"{next(self.names)}") for key in keys], whole=False))

    @rule(data=st.data())
    def a_relay_runs_until_something_happens(self, data: st.DataObject) -> None:
        fates = data.draw(st.dictionaries(st.integers(0, 50), st.integers(1, 4), max_size=2), label="fates")
        shares = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=20), label="landings")
        steps, landings = itertools.count(), itertools.count()
        fate = Fate(lambda: fates.get(next(steps), 0))

        def lands(queued: int) -> int:
            turn = next(landings)
            return min(queued, shares[turn % len(shares)]) if turn < 200 else queued

        bus = ScriptedBus(self.kafka, fate, lands, self.bus_name)
        relay = Relay(FatefulStore(self.store, fate), bus, FatefulBook(self.book, fate))  # type: ignore[arg-type]
        with suppress(Unavailable, Killed):
            relay.once(threading.Event())

    @rule()
    def what_dead_relays_had_sent_arrives(self) -> None:
        self.kafka.deliver_late()

    @invariant()
    def nothing_comes_for_the_first_time_behind_what_it_precedes(self) -> None:
        for partition in self.kafka.topic if hasattr(self, "kafka") else ():
            first = list(dict.fromkeys(partition.got))
            written = [(r.draft.key, r.position) for r in self.store.read()]
            assert first == [m for m in written if self.kafka.partition(m[0]) is partition][: len(first)]

    @invariant()
    def the_position_never_passes_what_has_arrived(self) -> None:
        if hasattr(self, "kafka"):
            arrived = {p for partition in self.kafka.topic for _, p in partition.got}
            assert set(range(1, self.position() + 1)) <= arrived

    def position(self) -> int:
        with self.book._postgres.lent() as db:
            row = db.execute("SELECT position FROM relay WHERE bus = %s", (self.bus_name,)).fetchone()
        return 0 if row is None else int(row[0])

    def teardown(self) -> None:
        if hasattr(self, "kafka"):
            bus = ScriptedBus(self.kafka, Fate(lambda: 0), lambda queued: queued, self.bus_name)
            Relay(self.store, bus, self.book).once(threading.Event())
            self.kafka.deliver_late()
            got = {p for partition in self.kafka.topic for _, p in partition.got}
            assert got == set(range(1, self.store.head() + 1))
            self.nothing_comes_for_the_first_time_behind_what_it_precedes()
            self.store.close()
            self._folder.cleanup()


def test_whatever_fails_every_event_arrives_in_order(small_runs: None, book: PostgresRelayBook) -> None:
    class WithBook(RelayUnderFaults):
        pass

    WithBook.book = book
    run_state_machine_as_test(
        WithBook,
        settings=settings(
            max_examples=60,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
