"""What every adapter of named locks must do; it joins by its name and its fixture."""

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from mlife.adapters.locks_flock import FlockLocks
from mlife.adapters.locks_postgres import PostgresLocks
from mlife.adapters.postgres import Postgres
from mlife.core.errors import HomeUnusable
from mlife.core.ports import Locks
from tests.processes import hear, start


@pytest.fixture
def flock_locks(tmp_path: Path) -> FlockLocks:
    return FlockLocks(tmp_path / "home")


@pytest.fixture
def postgres_locks(postgres_url: str) -> Iterator[PostgresLocks]:
    postgres = Postgres(postgres_url)
    yield PostgresLocks(postgres)
    postgres.close()


@pytest.fixture(params=["flock", "postgres"])
def locks(request: pytest.FixtureRequest) -> Locks:
    """Locks that nobody holds."""
    return request.getfixturevalue(f"{request.param}_locks")


def test_one_at_a_time_holds_a_name_even_within_a_process(locks: Locks) -> None:
    assert not locks.is_held("runner")
    with locks.hold("runner") as first, locks.hold("runner") as second, locks.hold("other") as third:
        assert (first, second, third) == (True, False, True)
        assert locks.is_held("runner")
    assert not locks.is_held("runner")


def test_a_failed_try_takes_nothing_away_from_the_holder(locks: Locks) -> None:
    with locks.hold("runner"):
        with locks.hold("runner") as second:
            assert not second
        assert locks.is_held("runner")


def test_a_lock_is_waited_for_up_to_a_time(locks: Locks) -> None:
    holding, letting_go = threading.Event(), threading.Event()

    def hold() -> None:
        with locks.hold("runner") as held:
            assert held
            holding.set()
            letting_go.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    assert holding.wait(5)
    started = time.monotonic()
    with locks.hold("runner", timeout=0.1) as held:
        assert not held
    assert time.monotonic() - started >= 0.1
    threading.Timer(0.1, letting_go.set).start()
    with locks.hold("runner", timeout=5) as held:
        assert held
    thread.join()


def test_those_who_only_ask_never_keep_anybody_from_holding(locks: Locks) -> None:
    stop = threading.Event()
    said: list[bool] = []

    def ask() -> None:
        while not stop.wait(0.0005):
            said.append(locks.is_held("runner"))

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for t in askers:
        t.start()
    held = []
    for _ in range(200):
        with locks.hold("other") as other, locks.hold("runner") as taken:
            held += [other, taken]
    stop.set()
    for t in askers:
        t.join()
    assert all(held)
    assert said


def test_two_who_ask_at_once_do_not_take_each_other_for_the_holder(locks: Locks) -> None:
    together = threading.Barrier(4)
    said: list[bool] = []

    def ask() -> None:
        together.wait()
        said.extend(locks.is_held("runner") for _ in range(200))

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for t in askers:
        t.start()
    for t in askers:
        t.join()
    assert said == [False] * 800


def test_an_error_inside_the_block_lets_go(locks: Locks) -> None:
    with pytest.raises(KeyError), locks.hold("runner"):
        raise KeyError
    assert not locks.is_held("runner")


@pytest.mark.parametrize("kind", ["flock", "postgres"])
def test_the_holders_death_lets_go_at_once(kind: str, request: pytest.FixtureRequest) -> None:
    locks = request.getfixturevalue(f"{kind}_locks")
    where = request.getfixturevalue("tmp_path") / "home" if kind == "flock" else request.getfixturevalue("postgres_url")
    child = start("contract.test_locks", kind, where)
    assert hear(child) == "held"
    assert locks.is_held("runner")
    child.kill()
    child.communicate()
    with locks.hold("runner", timeout=1.0) as held:
        assert held


def test_a_name_of_one_schema_is_not_held_in_another(postgres_locks: PostgresLocks, postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as db:
        (schema,) = db.execute("SELECT current_schema()").fetchone()
        db.execute(f"CREATE SCHEMA {schema}_other")
        other = Postgres(postgres_url.replace(schema, f"{schema}_other"))
        with postgres_locks.hold("runner"), PostgresLocks(other).hold("runner") as held:
            assert held
        other.close()
        db.execute(f"DROP SCHEMA {schema}_other")


def test_a_holder_whose_connection_was_ended_is_told_of_it_and_others_may_hold(
    postgres_locks: PostgresLocks, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as db, postgres_locks.hold("runner") as held:
        assert held
        low = postgres_locks._number("runner") & 0xFFFFFFFF
        db.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE objid = %s", (low,))
        with postgres_locks.hold("runner", timeout=5) as another:
            assert another
    assert "the lock 'runner' was lost" in caplog.text


def test_a_folder_that_can_not_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(HomeUnusable, match=r"runner\.lock can't be opened"),
        FlockLocks(tmp_path / "file").hold("runner"),
    ):
        pass


if __name__ == "__main__":
    held_here = FlockLocks(Path(sys.argv[2])) if sys.argv[1] == "flock" else PostgresLocks(Postgres(sys.argv[2]))
    with held_here.hold("runner"):
        sys.stdout.write("held\n")
        sys.stdout.flush()
        time.sleep(60)
