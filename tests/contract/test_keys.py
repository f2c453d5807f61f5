"""What every keeper of sealing keys must do; an adapter joins by its name and its fixture."""

import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlife.adapters.keys_sqlite import SqliteKeys
from mlife.core.ports import Keys


@pytest.fixture
def sqlite_keys(tmp_path: Path) -> Iterator[SqliteKeys]:
    made = SqliteKeys(tmp_path / "keys.db")
    yield made
    made.close()


@pytest.fixture(params=["sqlite"])
def keys(request: pytest.FixtureRequest) -> Keys:
    """An empty key store."""
    return request.getfixturevalue(f"{request.param}_keys")


def test_a_subject_keeps_its_key_and_no_two_share_one(keys: Keys) -> None:
    key_id, key = keys.of_subject("Ada")
    assert len(key) == 32
    assert keys.of_subject("Ada") == (key_id, key)
    assert keys.by_id(key_id) == key
    assert keys.of_subject("Bob")[1] != key
    assert keys.of_subject("")[1] != key


def test_a_dropped_key_is_gone_and_the_next_one_is_another(keys: Keys) -> None:
    key_id, key = keys.of_subject("Ada")
    assert keys.drop("Ada")
    assert keys.by_id(key_id) is None
    assert not keys.drop("Ada")
    assert keys.of_subject("Ada") != (key_id, key)


def test_a_dropped_key_and_its_subject_leave_no_trace_in_the_files(sqlite_keys: SqliteKeys, tmp_path: Path) -> None:
    _, key = sqlite_keys.of_subject("Ada Lovelace")
    sqlite_keys.drop("Ada Lovelace")

    for path in tmp_path.iterdir():
        assert key not in path.read_bytes()
        assert b"Lovelace" not in path.read_bytes()


def test_only_the_owner_may_read_the_files(sqlite_keys: SqliteKeys, tmp_path: Path) -> None:
    sqlite_keys.of_subject("Ada")
    for path in tmp_path.glob("keys.db*"):
        if path.stat().st_size:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_threads_and_openers_that_ask_at_once_get_the_same_key(keys: Keys, tmp_path: Path) -> None:
    others = [SqliteKeys(tmp_path / "keys.db") for _ in range(3)]
    got: list[tuple[str, bytes]] = []
    together = threading.Barrier(8)

    def ask(n: int) -> None:
        together.wait()
        got.append([keys, *others][n % 4].of_subject("Ada"))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for other in others:
        other.close()
    assert len(got) == 8
    assert len(set(got)) == 1
