"""What every keeper of sealing keys must do; an adapter joins by its name and its fixture."""

import hashlib
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest

from mlife.adapters import keys_postgres
from mlife.adapters.keys_postgres import PostgresKeys
from mlife.adapters.keys_sqlite import SqliteKeys
from mlife.adapters.postgres import Postgres
from mlife.core.moving import KeyRing


@pytest.fixture
def sqlite_opener(tmp_path: Path) -> Iterator[Callable[[], SqliteKeys]]:
    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(SqliteKeys(tmp_path / "keys.db")))


@pytest.fixture
def postgres_opener(postgres_url: str) -> Iterator[Callable[[], PostgresKeys]]:
    with ExitStack() as opened:
        yield lambda: PostgresKeys(opened.enter_context(closing(Postgres(postgres_url))))


@pytest.fixture(params=["sqlite", "postgres"])
def another(request: pytest.FixtureRequest) -> Callable[[], KeyRing]:
    """Opens the same keys once more, as another process does."""
    return request.getfixturevalue(f"{request.param}_opener")


@pytest.fixture
def keys(another: Callable[[], KeyRing]) -> KeyRing:
    """An empty key store."""
    return another()


def test_a_subject_keeps_its_key_and_no_two_share_one(keys: KeyRing) -> None:
    key_id, key = keys.of_subject("Ada")
    assert len(key) == 32
    assert keys.of_subject("Ada") == (key_id, key)
    assert keys.by_id(key_id) == key
    assert keys.of_subject("Bob")[1] != key
    assert keys.of_subject("")[1] != key


def test_a_dropped_key_is_gone_and_the_next_one_is_another(keys: KeyRing) -> None:
    key_id, key = keys.of_subject("Ada")
    assert keys.drop("Ada")
    assert keys.by_id(key_id) is None
    assert not keys.drop("Ada")
    assert keys.of_subject("Ada") != (key_id, key)


def test_keys_are_handed_over_exactly_and_what_was_dropped_elsewhere_is_dropped_here(keys: KeyRing) -> None:
    theirs = [("aa", b"\1" * 32, b"\2" * 32), ("bb", hashlib.sha256(b"Ada").digest(), b"\3" * 32)]
    keys.of_subject("Bob")
    assert keys.replace(iter(theirs)) == 2

    assert list(keys.items()) == theirs
    assert keys.of_subject("Ada") == ("bb", b"\3" * 32)
    assert keys.replace([]) == 0
    assert list(keys.items()) == []


def test_keys_that_contradict_each_other_are_refused_and_nothing_changes(keys: KeyRing) -> None:
    mine = keys.of_subject("Ada")
    with pytest.raises(Exception, match=r"(?i)unique"):
        keys.replace([("aa", b"\1" * 32, b"\2" * 32), ("bb", b"\1" * 32, b"\3" * 32)])
    assert keys.of_subject("Ada") == mine


def test_a_dropped_key_and_its_subject_leave_no_trace_in_the_files(
    sqlite_opener: Callable[[], SqliteKeys], tmp_path: Path
) -> None:
    keys = sqlite_opener()
    _, key = keys.of_subject("Ada Lovelace")
    keys.drop("Ada Lovelace")

    for path in tmp_path.iterdir():
        assert key not in path.read_bytes()
        assert b"Lovelace" not in path.read_bytes()


def test_a_dropped_key_leaves_no_trace_in_the_table_s_file(
    postgres_opener: Callable[[], PostgresKeys], postgres_url: str
) -> None:
    keys = postgres_opener()
    other, key = keys.of_subject("Bob")[1], keys.of_subject("Ada")[1]
    with psycopg.connect(postgres_url, autocommit=True) as db:
        assert keys.drop("Ada")
        db.execute("CHECKPOINT")
        file = db.execute("SELECT pg_read_binary_file(pg_relation_filepath('sealing_keys'))").fetchone()[0]
    assert other in file
    assert key not in file


def test_a_key_is_dropped_also_while_a_long_transaction_reads(
    postgres_opener: Callable[[], PostgresKeys], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_postgres, "WIPING", "0.1s")
    keys = postgres_opener()
    key_id, _ = keys.of_subject("Ada")
    with psycopg.connect(postgres_url) as reader:
        reader.execute("SELECT * FROM sealing_keys")
        assert keys.drop("Ada")
        assert keys.by_id(key_id) is None


def test_only_the_owner_may_read_the_files(sqlite_opener: Callable[[], SqliteKeys], tmp_path: Path) -> None:
    sqlite_opener().of_subject("Ada")
    for path in tmp_path.glob("keys.db*"):
        if path.stat().st_size:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_threads_and_openers_that_ask_at_once_get_the_same_key(keys: KeyRing, another: Callable[[], KeyRing]) -> None:
    openers = [keys, *(another() for _ in range(3))]
    got: list[tuple[str, bytes]] = []
    together = threading.Barrier(8)

    def ask(n: int) -> None:
        together.wait()
        got.append(openers[n % 4].of_subject("Ada"))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(got) == 8
    assert len(set(got)) == 1
