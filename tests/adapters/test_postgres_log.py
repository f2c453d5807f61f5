"""The log on PostgreSQL when the server, the way to it or somebody with another program does not play along."""

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import psycopg
import pytest

from mlife.adapters import events_postgres, events_postgres_writer
from mlife.adapters.events_postgres import PostgresEventStore
from mlife.adapters.postgres import Postgres
from mlife.core.errors import Conflict, Invalid, Unavailable
from mlife.core.ports import Append, Appended, iterate
from tests.adapters.wire import Line, Wire
from tests.components import Postgres as Server
from tests.contract.drafts import draft


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresEventStore]:
    with closing(Postgres(postgres_url)) as postgres, closing(PostgresEventStore(postgres)) as opened:
        yield opened


@pytest.fixture
def other(postgres_url: str, store: PostgresEventStore) -> Iterator[PostgresEventStore]:
    """The same log, as another process has it."""
    with closing(Postgres(postgres_url)) as postgres, closing(PostgresEventStore(postgres)) as opened:
        yield opened


@pytest.fixture
def db(postgres_url: str, store: PostgresEventStore) -> Iterator[psycopg.Connection]:
    """The database, as somebody with another program has it."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def wire(postgres_url: str) -> Iterator[Wire]:
    with closing(Wire(postgres_url)) as made:
        yield made


@pytest.fixture
def far(wire: Wire) -> Iterator[PostgresEventStore]:
    """A log at the other end of the wire."""
    with closing(Postgres(wire.url)) as postgres, closing(PostgresEventStore(postgres)) as opened:
        yield opened


def both(name: str) -> Append:
    """A decision on a new stream that also records a report."""
    return Append([draft(f"toy/{name}", "a"), draft("toys", name, single=1)], {f"toy/{name}": 0})


def terminate(db: psycopg.Connection, line: Line) -> None:
    """End the backend at the other end of *line*, and wait for its end."""
    where = "FROM pg_stat_activity WHERE client_port = %s"
    db.execute(f"SELECT pg_terminate_backend(pid) {where}", (line.port,))
    while db.execute(f"SELECT {where}", (line.port,)).fetchone() is not None:
        time.sleep(0.001)


# --- the connection ends in the middle ---


@pytest.mark.parametrize("way", ["the wire is cut", "the backend is terminated"])
def test_wherever_a_connection_ends_the_append_is_done_once_and_answered_as_new(
    way: str, far: PostgresEventStore, wire: Wire, store: PostgresEventStore, db: psycopg.Connection
) -> None:
    far.append(both("first"))
    wire.arm(0)
    far.append(both("measured"))
    messages = wire.count
    assert messages > 20
    action = Line.cut if way == "the wire is cut" else partial(terminate, db)
    positions = []
    for number in range(1, messages + 1):
        far.append(Append([draft("toys", f"mended {number}", single=1)]))
        wire.arm(number, action)
        done = far.append(both(f"{number}"))
        assert list(done.known) == [False, False], number
        positions.append(list(done.positions))

    assert positions == [[6 + 3 * n, 7 + 3 * n] for n in range(messages)]
    assert [r.position for r in iterate(store)] == list(range(1, positions[-1][1] + 1))
    wire.arm(0)
    again = [far.append(both(f"{number}")) for number in range(1, messages + 1)]
    assert [list(done.positions) for done in again] == positions


def test_where_the_server_stays_away_a_caller_is_told_soon_and_a_repeat_is_known_if_it_was_written(
    far: PostgresEventStore, wire: Wire, store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_postgres_writer, "FINDING_OUT", 0.05)
    far.append(both("first"))
    wire.arm(0)
    far.append(both("measured"))
    messages = wire.count

    def away(line: Line) -> None:
        wire.is_open = False
        line.cut()

    fates = []
    for number in range(1, messages + 1):
        wire.arm(number, away)
        started = time.monotonic()
        with pytest.raises(Unavailable) as told:
            far.append(both(f"{number}"))
        assert time.monotonic() - started < 3
        written = bool(store.find([both(f"{number}").drafts[0].id]))
        fates.append(written)
        assert "may have been written" in str(told.value) or not written
        wire.is_open = True
        assert list(resent(far, both(f"{number}")).known) == [written, written]

    assert {True, False} == set(fates)
    assert [r.position for r in iterate(store)] == list(range(1, 2 * (messages + 2) + 1))


def resent(store: PostgresEventStore, append: Append, seconds: float = 10) -> Appended:
    """The answer to *append*, sent until it is taken."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return store.append(append)
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_while_the_server_is_away_everyone_is_refused_at_once_and_afterwards_nothing_need_be_restarted(
    far: PostgresEventStore, wire: Wire
) -> None:
    far.append(both("before"))
    wire.is_open = False
    wire.cut_all()
    started = time.monotonic()
    for n in range(200):
        with pytest.raises(Unavailable, match="can't be used now"):
            far.append(both(f"{n}"))
        with pytest.raises(Unavailable):
            far.head()
    assert time.monotonic() - started < 5
    with pytest.raises(Unavailable):
        far.wait(0, 1.0)
    wire.is_open = True

    assert list(resent(far, both("7")).known) == [False, False]
    assert far.head() == 4
    assert far.wait(3, 1.0) == 4


def test_a_server_that_is_killed_and_comes_back_loses_nothing_acknowledged(postgres_server: Server) -> None:
    stop = threading.Event()
    acknowledged: dict[bytes, int] = {}
    refused: list[float] = []

    def write(store: PostgresEventStore, n: int) -> None:
        number = 0
        while not stop.is_set():
            append = both(f"{n}-{number}")
            started = time.monotonic()
            try:
                done = store.append(append)
            except Unavailable:
                refused.append(time.monotonic() - started)
                time.sleep(0.01)
                continue
            acknowledged.update(zip([d.id for d in append.drafts], done.positions, strict=True))
            number += 1

    with closing(Postgres(postgres_server.url)) as postgres, closing(PostgresEventStore(postgres)) as store:
        with ThreadPoolExecutor(4) as pool:
            writers = [pool.submit(write, store, n) for n in range(4)]
            for harm in (postgres_server.kill, postgres_server.stop, postgres_server.kill):
                before = len(acknowledged)
                while len(acknowledged) < before + 50:
                    time.sleep(0.01)
                harm()
                postgres_server.start()
            before = len(acknowledged)
            while len(acknowledged) < before + 50:
                time.sleep(0.01)
            stop.set()
        for writer in writers:
            writer.result()
        events = list(iterate(store))

    assert [r.position for r in events] == list(range(1, len(events) + 1))
    assert len({r.draft.id for r in events}) == len(events)
    assert {i: events[p - 1].draft.id for i, p in acknowledged.items()} == {i: i for i in acknowledged}
    assert max(refused) < 10


# --- hearing of news ---


def listeners(db: psycopg.Connection, store: PostgresEventStore) -> list[int]:
    channel = store._news._channel
    found = db.execute("SELECT pid FROM pg_stat_activity WHERE query = %s", (f"LISTEN {channel}",))
    return [pid for (pid,) in found.fetchall()]


def heard(store: PostgresEventStore, other: PostgresEventStore, name: str) -> float:
    """Seconds from the answer to *other* until *store* hears of it."""
    head = store.head()
    seen: list[float] = []
    waiters = [threading.Thread(target=lambda: (store.wait(head, 10), seen.append(time.monotonic()))) for _ in range(5)]
    for w in waiters:
        w.start()
    time.sleep(0.3)
    other.append(both(name))
    written = time.monotonic()
    for w in waiters:
        w.join()
    return max(seen) - written


def test_many_who_wait_are_served_by_one_connection_that_listens(
    store: PostgresEventStore, other: PostgresEventStore, db: psycopg.Connection
) -> None:
    assert heard(store, other, "a") < 1.0
    assert len(listeners(db, store)) == 1


def test_a_dead_listener_stops_nobody_and_another_takes_its_place(
    store: PostgresEventStore,
    other: PostgresEventStore,
    db: psycopg.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard(store, other, "a")
    for n in range(3):
        (pid,) = listeners(db, store)
        db.execute("SELECT pg_terminate_backend(%s)", (pid,))
        assert heard(store, other, f"{n}") < 1.0
        deadline = time.monotonic() + 5
        while listeners(db, store) in ([], [pid]) and time.monotonic() < deadline:
            time.sleep(0.02)
    assert len(listeners(db, store)) == 1
    assert "nobody listens for news of the log now" in caplog.text


def test_without_any_listener_news_is_seen_all_the_same(
    store: PostgresEventStore, other: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store._news, "_start", lambda: None)
    assert heard(store, other, "a") < 1.0


def test_a_false_notification_wakes_nobody_for_nothing(store: PostgresEventStore, db: psycopg.Connection) -> None:
    threading.Timer(0.2, lambda: db.execute(f"NOTIFY {store._news._channel}, '999'")).start()
    started = time.monotonic()
    assert store.wait(0, 0.5) == 0
    assert time.monotonic() - started >= 0.5


# --- the lock ---


def test_a_writer_that_hangs_in_the_middle_is_sent_away_and_the_others_go_on(
    store: PostgresEventStore, other: PostgresEventStore, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_postgres_writer, "PATIENCE", 1)
    hanging, thaw = threading.Event(), threading.Event()
    with closing(Postgres(postgres_url)) as postgres, closing(PostgresEventStore(postgres)) as frozen:

        def slow(rows: object) -> list[bytes]:
            hanging.set()
            thaw.wait(30)
            return [b"never sent"]

        monkeypatch.setattr(events_postgres_writer, "copied", slow)
        pending = frozen.submit(both("frozen"))
        assert hanging.wait(5)
        monkeypatch.undo()
        started = time.monotonic()
        assert store.append(both("going on")).position == 2
        assert time.monotonic() - started < 8  # those who do not know of it wait for ten seconds at most
        thaw.set()
        with pytest.raises(Unavailable):
            pending.result()
        assert frozen.append(both("frozen")).position == 4


def test_a_barrier_that_is_held_for_too_long_refuses_those_who_wait_in_words(
    other: PostgresEventStore, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_postgres_writer, "PATIENCE", 1)
    with (
        closing(Postgres(postgres_url)) as postgres,
        closing(PostgresEventStore(postgres)) as store,
        other.barrier(),
        pytest.raises(Unavailable, match="lock timeout"),
    ):
        store.append(both("a"))
    assert other.append(both("a")).position == 2


def test_a_barrier_whose_connection_was_lost_says_so_at_its_end(
    store: PostgresEventStore, other: PostgresEventStore, db: psycopg.Connection
) -> None:
    def go_behind() -> None:
        with store.barrier():
            db.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE objid = %s", (store._lock & 0xFFFFFFFF,))
            assert other.append(both("a")).position == 2

    with pytest.raises(Unavailable, match="that held the writer lock was lost"):
        go_behind()


def test_a_barrier_that_is_forgotten_is_lifted_by_the_server(
    store: PostgresEventStore, other: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_postgres, "BARRIER_WITHIN", 1)
    with pytest.raises(Unavailable, match="was lost"), store.barrier():
        assert other.append(both("a")).position == 2


def test_an_error_behind_the_barrier_lifts_it(store: PostgresEventStore, other: PostgresEventStore) -> None:
    with pytest.raises(KeyError), store.barrier():
        raise KeyError
    assert other.append(both("a")).position == 2


# --- drafts that can't be stored ---

UNFIT = {
    "a NUL": draft("toy/nul", "x")._replace(actor="a\0b"),
    "a NUL in the stream": draft("toy/n\0l", "x"),
    "half a surrogate": draft("toy/half", "x")._replace(key="\udc80"),
    "a stream too long for its index": draft("toy/" + "".join(map(chr, range(0x100, 0x1100))), "x"),
    "an id too short": draft("toy/short", "x", event_id=b"short"),
    "a cause too short": draft("toy/cause", "x")._replace(causation_id=b"short"),
    "a time beyond 64 bits": draft("toy/late", "x")._replace(time=2**63),
    "no type": draft("toy/none", "x")._replace(type=None),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_can_not_be_stored_is_refused_to_its_caller_alone(name: str, store: PostgresEventStore) -> None:
    with store.barrier():  # so that all are in one batch, or in two
        calls = [store.submit(both(f"{n}")) for n in range(5)]
        unfit = store.submit(Append([draft("toy/fit", "x"), UNFIT[name]]))
        calls += [store.submit(both(f"{n}")) for n in range(5, 10)]
    with pytest.raises(Invalid, match="can't store this"):
        unfit.result()
    assert [p for call in calls for p in call.result().positions] == list(range(1, 21))
    assert store.append(both("after")).position == 22


# --- somebody with another program ---


@pytest.fixture
def three(store: PostgresEventStore) -> None:
    store.append(Append([draft("toy/1", "a"), draft("toy/1", "b"), draft("toys", "c", single=1)]))


def copied(position: int, version: object = "version + 100", add: str = "") -> str:
    """Statement that writes a copy of the first event at *position*."""
    return (
        f"INSERT INTO events SELECT {position}, {version}, gen_random_uuid(), stream, single, type, key, time, source, "
        f"correlation_id, causation_id, actor, traceparent, data, digest FROM events WHERE position = 1 {add}"
    )


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET data = '' WHERE position = 1",
        "UPDATE events SET position = position + 1",
        "DELETE FROM events WHERE position = 3",
        "DELETE FROM events",
        "TRUNCATE events",
        "SET session_replication_role = replica; DELETE FROM events",
        copied(1),
        copied(4, "version"),
        copied(5),
        copied(0),
        copied(-1),
        f"{copied(4)}; {copied(6, 'version + 101')}",
        f"SET session_replication_role = replica; {copied(5)}",
        f"BEGIN; SAVEPOINT a; {copied(5)}; RELEASE a; COMMIT",
        copied(4).replace("WHERE position = 1", "WHERE position = 1 UNION ALL ") + copied(6, "version + 101")[19:],
        copied(1, "version", "ON CONFLICT (position) DO UPDATE SET data = ''"),
        "INSERT INTO events (position, version) VALUES (4, 1)",
    ],
)
def test_the_database_refuses_changes_removals_and_gaps(statement: str, db: psycopg.Connection) -> None:
    before = db.execute("SELECT * FROM events ORDER BY position").fetchall()
    with pytest.raises(psycopg.IntegrityError):
        db.execute(statement)
    db.rollback()
    assert db.execute("SELECT * FROM events ORDER BY position").fetchall() == before


@pytest.mark.usefixtures("three")
def test_a_program_that_writes_without_the_lock_can_neither_leave_a_gap_nor_overtake(
    db: psycopg.Connection, store: PostgresEventStore, postgres_url: str
) -> None:
    with psycopg.connect(postgres_url) as intruder:
        intruder.execute(copied(4))
        with pytest.raises(psycopg.IntegrityError, match="positions are dense"):
            db.execute(copied(5, "version + 200"))
        pending = store.submit(both("a"))  # waits for the intruder, then is judged anew
        time.sleep(0.1)
        intruder.commit()
        assert pending.result().position == 6
    assert [r.position for r in iterate(store)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.usefixtures("three")
def test_a_stale_decision_is_refused_whoever_wrote_in_between(
    store: PostgresEventStore, other: PostgresEventStore
) -> None:
    other.append(Append([draft("toy/1", "d")], {"toy/1": 2}))
    with pytest.raises(Conflict, match="at version 3, not 2"):
        store.append(Append([draft("toy/1", "e")], {"toy/1": 2}))


def test_racing_processes_get_one_winner_for_each_version(store: PostgresEventStore, other: PostgresEventStore) -> None:
    def race(n: int) -> bool:
        won = 0
        for version in range(40):
            try:
                (store, other)[n % 2].append(Append([draft("toy/race", f"{n} {version}")], {"toy/race": version}))
                won += 1
            except Conflict:
                continue
        return won

    with ThreadPoolExecutor(8) as pool:
        wins = sum(pool.map(race, range(8)))
    assert wins == store.head() == len(store.read_stream("toy/race"))
    assert [r.version for r in store.read_stream("toy/race")] == list(range(1, wins + 1))


def test_large_events_and_large_batches_come_back_to_the_byte(store: PostgresEventStore) -> None:
    bodies = [random.Random(n).randbytes(20_000) for n in range(300)] + [random.Random(7).randbytes(5_000_000)]
    store.append(Append([draft("toys", f"{n}", single=1, data=body) for n, body in enumerate(bodies)], whole=False))

    assert [r.draft.data for r in store.read()] == bodies


def test_a_caller_is_not_kept_for_ever_by_a_log_that_does_not_answer(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_postgres, "ANSWER_WITHIN", 0.2)
    with closing(Postgres(postgres_url)) as postgres, closing(PostgresEventStore(postgres)) as store:
        with store.barrier(), pytest.raises(Unavailable, match=r"not answered for 0\.2 s; this may have been written"):
            store.append(both("a"))
        store.append(both("b"))
        assert list(store.append(both("a")).known) == [True, True]
