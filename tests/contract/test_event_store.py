"""What every event store must do; an adapter joins by its name and its fixture."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from mlife.adapters import events_sqlite
from mlife.adapters.events_postgres import PostgresEventStore
from mlife.adapters.events_sqlite import SqliteEventStore
from mlife.adapters.postgres import Postgres
from mlife.core.errors import Conflict, Invalid, Unavailable
from mlife.core.ports import Append, Appended, EventStore, iterate
from tests.contract.drafts import draft
from tests.processes import finish, hear, start, tell


@pytest.fixture
def sqlite_opener(tmp_path: Path) -> Iterator[Callable[[], SqliteEventStore]]:
    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(SqliteEventStore(tmp_path / "log.db")))


@pytest.fixture
def postgres_opener(postgres_url: str) -> Iterator[Callable[[], PostgresEventStore]]:
    with ExitStack() as opened:
        yield lambda: opened.enter_context(
            closing(PostgresEventStore(opened.enter_context(closing(Postgres(postgres_url)))))
        )


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """The adapter's name."""
    return str(request.param)


@pytest.fixture
def another(kind: str, request: pytest.FixtureRequest) -> Callable[[], EventStore]:
    """Opens the same store once more, as another process does."""
    return request.getfixturevalue(f"{kind}_opener")


@pytest.fixture
def store(another: Callable[[], EventStore]) -> EventStore:
    """An empty event store."""
    return another()


@pytest.fixture
def sqlite_store(sqlite_opener: Callable[[], SqliteEventStore]) -> SqliteEventStore:
    return sqlite_opener()


@pytest.fixture
def where(kind: str, store: EventStore, request: pytest.FixtureRequest) -> str:
    """How another process finds the same store."""
    return str(
        request.getfixturevalue("tmp_path") / "log.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    )


@pytest.fixture
def log_file(tmp_path: Path, sqlite_store: SqliteEventStore) -> sqlite3.Connection:
    """The file of the SQLite store, as somebody with another program has it."""
    sqlite_store.append(Append([draft("toy/1", "a"), draft("toy/1", "b"), draft("toys", "c", single=1)]))
    db = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    db.execute("PRAGMA recursive_triggers=OFF")
    return db


# --- positions, versions, ids ---


def test_positions_and_stream_versions_count_from_one_without_gaps(store: EventStore) -> None:
    assert store.head() == 0
    done = store.append(Append([draft("toy/1", "a"), draft("toy/2", "b"), draft("toy/1", "c")]))

    assert list(done.positions) == [1, 2, 3]
    assert done.position == store.head() == 3
    assert [(r.position, r.stream, r.version) for r in store.read()] == [
        (1, "toy/1", 1),
        (2, "toy/2", 1),
        (3, "toy/1", 2),
    ]


def test_what_is_read_is_what_was_written_to_the_byte(store: EventStore) -> None:
    body = '{"name":"Bär \\u0000 🧸"}'.encode()
    written = draft("toy/ü", "x", data=body)._replace(
        correlation_id="itr-1", causation_id=b"\0" * 16, actor="Zoë", traceparent="00-1-2-03"
    )
    store.append(Append([written]))

    (read,) = store.read_stream("toy/ü")
    assert read.draft == written


def test_an_append_of_nothing_answers_at_once(store: EventStore) -> None:
    assert store.append(Append([])) == Appended((), ())
    assert store.head() == 0


def test_appending_a_known_event_id_changes_nothing(store: EventStore) -> None:
    once = store.append(Append([draft("toy/1", "a"), draft("toy/1", "b")], {"toy/1": 0}))
    twice = store.append(Append([draft("toy/1", "a"), draft("toy/1", "b")], {"toy/1": 0}))

    assert list(twice.positions) == list(once.positions)
    assert list(twice.known) == [True, True]
    assert store.head() == 2


def test_a_decision_with_a_known_first_event_is_known_as_a_whole(store: EventStore) -> None:
    store.append(Append([draft("toy/1", "a")]))
    again = store.append(Append([draft("toy/1", "a"), draft("toy/1", "new")]))

    assert list(again.known) == [True, True]
    assert store.head() == 1


def test_intake_is_judged_event_by_event_and_within_itself(store: EventStore) -> None:
    store.append(Append([draft("toys", "a", single=1)], whole=False))
    done = store.append(Append([draft("toys", n, single=1) for n in "bab"], whole=False))

    assert list(done.known) == [False, True, True]
    assert list(done.positions) == [2, 1, 2]
    assert store.head() == 2


def test_two_ids_that_share_their_first_64_bits_are_two_events(store: EventStore) -> None:
    first, second, third = (b"\x80same-64" + bytes([n]) * 8 for n in (1, 2, 3))
    store.append(Append([draft("toy/1", event_id=first)]))
    store.append(Append([draft("toy/1", event_id=second), draft("toy/1", event_id=third)]))

    found = store.find([third, first, second, b"\x80same-64" + bytes(8)])
    assert {i: r.position for i, r in found.items()} == {first: 1, second: 2, third: 3}
    assert list(store.append(Append([draft("toy/1", event_id=second)])).positions) == [2]
    assert store.head() == 3


def test_two_ids_that_share_64_bits_in_one_append_are_two_events(store: EventStore) -> None:
    first, second = (b"same--64" + bytes([n]) * 8 for n in (1, 2))
    store.append(Append([draft("toy/1", event_id=first), draft("toy/1", event_id=second)], whole=False))

    assert len(store.find([first, second])) == 2
    assert list(store.append(Append([draft("toy/1", event_id=second)])).known) == [True]


def test_ids_are_known_before_and_after_young_ones_are_merged(
    sqlite_store: SqliteEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_sqlite, "YOUNG_LIMIT", 10)
    shared = [b"together" + bytes([n]) * 8 for n in range(3)]
    for n in range(25):
        sqlite_store.append(Append([draft("toys", str(n), single=1), draft("toys", f"{n}+", single=1)], whole=False))
        if n % 10 == 0:
            sqlite_store.append(Append([draft("toy/1", event_id=shared[n // 10])]))

    again = sqlite_store.append(Append([draft("toys", str(n), single=1) for n in range(25)], whole=False))
    assert all(again.known)
    assert len(sqlite_store.find(shared)) == 3
    assert sqlite_store.head() == 53


def test_many_ids_are_found_at_once(store: EventStore) -> None:
    drafts = [draft("toys", str(n), single=1) for n in range(2_345)]
    store.append(Append(drafts, whole=False))

    found = store.find([d.id for d in drafts])
    assert {r.position for r in found.values()} == set(range(1, 2_346))


# --- expected versions ---


def test_a_stale_version_is_refused_with_the_numbers_and_nothing_is_written(store: EventStore) -> None:
    store.append(Append([draft("toy/1", "a")], {"toy/1": 0}))
    with pytest.raises(Conflict, match="stream toy/1 is at version 1, not 0"):
        store.append(Append([draft("toy/2", "b"), draft("toy/1", "c")], {"toy/2": 0, "toy/1": 0}))

    assert store.head() == 1


def test_streams_that_were_only_read_are_checked_too(store: EventStore) -> None:
    store.append(Append([draft("verdict/1", "a")]))
    with pytest.raises(Conflict):
        store.append(Append([draft("deployment/1", "b")], {"verdict/1": 0, "deployment/1": 0}))


def test_of_racing_writers_one_wins_and_nobody_else_is_refused(store: EventStore) -> None:
    together = threading.Barrier(24)

    def race(n: int) -> str:
        together.wait()
        try:
            if n % 2:
                store.append(Append([draft("toy/race", f"racer {n}")], {"toy/race": 0}))
            else:
                store.append(Append([draft(f"toy/{n}", "own"), draft("toys", str(n))], {f"toy/{n}": 0}))
        except Conflict:
            return "refused"
        return "won" if n % 2 else "done"

    with ThreadPoolExecutor(24) as pool:
        outcomes = list(pool.map(race, range(24)))

    assert outcomes.count("won") == 1
    assert outcomes.count("refused") == 11
    assert outcomes.count("done") == 12
    assert store.head() == 1 + 2 * 12


def test_what_one_caller_can_not_store_fails_that_caller_only(store: EventStore) -> None:
    together = threading.Barrier(16)

    def write(n: int) -> bool:
        together.wait()
        bad = (
            draft(f"toy/{n}", "x")._replace(actor="half a surrogate: \udc80") if n % 4 == 0 else draft(f"toy/{n}", "x")
        )
        try:
            store.append(Append([bad]))
        except Invalid as e:
            return "surrogate" not in str(e)
        return True

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(write, range(16))).count(True) == 12
    assert [r.position for r in store.read()] == list(range(1, 13))
    assert store.append(Append([draft("toy/after", "x")])).position == 13


def test_what_one_caller_submits_is_written_in_that_order_and_answers_when_it_is_asked(store: EventStore) -> None:
    calls = [store.submit(Append([draft("toy/1", str(n))], {"toy/1": n})) for n in range(200)]
    stale = store.submit(Append([draft("toy/1", "stale")], {"toy/1": 7}))

    assert [c.result().position for c in calls] == list(range(1, 201))
    with pytest.raises(Conflict, match="at version 200, not 7"):
        stale.result()


# --- reading ---


def test_reading_goes_on_after_a_position_and_stops_at_a_limit(store: EventStore) -> None:
    store.append(Append([draft("toy/1", str(n)) for n in range(10)]))

    assert [r.position for r in store.read(3, 4)] == [4, 5, 6, 7]
    assert store.read(10) == []
    assert [r.version for r in store.read_stream("toy/1", 8)] == [9, 10]
    assert [r.position for r in iterate(store, 2, until=9, run=3)] == [3, 4, 5, 6, 7, 8, 9]


def test_reading_by_type_finds_declared_undeclared_and_intake_types_in_order(store: EventStore) -> None:
    import tests.toys  # noqa: F401 - declares the toys' events

    types = ["mlife.toy.painted.v1", "mlife.toy.reported.v1", "mlife.never.declared.v1", "mlife.toy.woken.v1"]
    store.append(
        Append([draft("toys", str(n), type=types[n % 4], single=int(n % 4 == 1)) for n in range(20)], whole=False)
    )

    assert [r.position for r in store.read(types=types[:1])] == [1, 5, 9, 13, 17]
    assert [r.position for r in store.read(types=[types[0], types[3]], after=4, limit=3)] == [5, 8, 9]
    assert [r.position for r in store.read(types=types[:2], after=8)] == [9, 10, 13, 14, 17, 18]
    assert [r.position for r in store.read(types=types[2:3])] == [3, 7, 11, 15, 19]


def test_short_lived_threads_leave_no_open_connections_behind(sqlite_store: SqliteEventStore) -> None:
    for _ in range(50):
        thread = threading.Thread(target=sqlite_store.head)
        thread.start()
        thread.join()

    assert len(sqlite_store._readers._idle) <= 2


# --- waiting ---


def test_a_commit_of_the_own_process_wakes_a_waiter_at_once(store: EventStore) -> None:
    def late() -> None:
        time.sleep(0.1)
        store.append(Append([draft("toy/1", "a")]))

    thread = threading.Thread(target=late)
    thread.start()
    started = time.monotonic()
    assert store.wait(0, 5.0) == 1
    assert time.monotonic() - started < 1.0
    thread.join()


def test_a_wait_ends_at_its_time_and_at_a_wake(store: EventStore) -> None:
    started = time.monotonic()
    assert store.wait(0, 0.05) == 0
    assert 0.04 < time.monotonic() - started < 1.0

    threading.Timer(0.05, store.wake).start()
    assert store.wait(0, 10.0) == 0
    assert time.monotonic() - started < 5.0


def test_news_before_the_wait_is_not_missed(store: EventStore) -> None:
    store.append(Append([draft("toy/1", "a")]))
    started = time.monotonic()
    assert store.wait(0, 5.0) == 1
    assert time.monotonic() - started < 0.5


def test_a_commit_of_another_process_is_seen_within_milliseconds(store: EventStore, where: str) -> None:
    child = start("contract.log_writer", where, "other", 1, 1)
    assert hear(child) == "ready"
    seen: list[float] = []
    waiter = threading.Thread(target=lambda: (store.wait(0, 10.0), seen.append(time.monotonic())))
    waiter.start()
    tell(child, "go")
    hear(child)
    acknowledged = time.monotonic()
    waiter.join()

    assert seen[0] - acknowledged < 0.25  # 5 ms and what a loaded machine adds
    finish(child)


# --- the barrier ---


def test_behind_the_barrier_the_head_stands_still_and_writers_go_on_after_it(store: EventStore) -> None:
    store.append(Append([draft("toy/1", "a")]))
    written = threading.Event()
    writer = threading.Thread(target=lambda: (store.append(Append([draft("toy/1", "b")])), written.set()))
    with store.barrier() as head:
        writer.start()
        assert head == 1
        assert not written.wait(0.2)
        assert store.head() == 1
    assert written.wait(5)
    writer.join()
    assert store.head() == 2


def test_the_barrier_holds_other_processes_too(store: EventStore, where: str) -> None:
    child = start("contract.log_writer", where, "other", 1, 5)
    hear(child)
    with store.barrier() as head:
        tell(child, "go")
        time.sleep(0.2)
        assert store.head() == head == 0
    finish(child)
    assert store.head() > 0


# --- the end ---


def test_a_closed_log_refuses_in_words_and_never_hangs(store: EventStore, another: Callable[[], EventStore]) -> None:
    done, refused = [], []

    def write(n: int) -> None:
        try:
            for m in range(200):
                position = store.append(Append([draft(f"toy/{n}", str(m))])).position
                done.append(position)
        except Unavailable as e:
            refused.append(str(e))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    time.sleep(0.05)
    store.close()
    for t in threads:
        t.join(10)
        assert not t.is_alive()

    assert refused == ["the log is closed: open the home again"] * len(refused)
    again = another()
    assert again.head() == len(done)
    again.close()
    with pytest.raises(Unavailable, match="closed"):
        again.head()


# --- the database itself refuses ---


def copied(position: int, version: object = "version", stream: str = "stream", single: object = "single") -> str:
    """The values of the first event, with some of them changed."""
    return (
        f"INTO events SELECT {position}, {version}, id, {stream}, {single}, type, key, time, source, "
        "NULL, NULL, NULL, NULL, data, digest FROM events WHERE position = 1"
    )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET data = x'00' WHERE position = 1",
        "UPDATE OR REPLACE events SET position = 9 WHERE position = 1",
        "UPDATE OR IGNORE events SET digest = x'00'",
        "DELETE FROM events WHERE position = 3",
        "DELETE FROM events",
        f"INSERT OR REPLACE {copied(1, single=1)}",
        f"REPLACE {copied(4)}",
        "INSERT OR IGNORE " + copied(6, stream="'new'"),
        "INSERT " + copied(5, 7, stream="'new'"),
        f"INSERT {copied(4, 1)}",
        "INSERT INTO events (position, version) VALUES (4, 1)",
    ],
)
def test_the_database_refuses_changes_removals_replacements_and_gaps(
    log_file: sqlite3.Connection, statement: str
) -> None:
    before = log_file.execute("SELECT * FROM events ORDER BY position").fetchall()
    with pytest.raises(sqlite3.IntegrityError):
        log_file.execute(statement)
    assert log_file.execute("SELECT * FROM events ORDER BY position").fetchall() == before


# --- questions that nothing can answer ---


def test_a_number_or_text_that_no_column_holds_is_invalid(store: EventStore) -> None:
    with pytest.raises(Invalid, match="64 bits"):
        store.read(10**30)
    with pytest.raises(Invalid, match="no valid text"):
        store.read_stream("badcase/bc-\udcff")
