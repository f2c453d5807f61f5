"""The log in one file: written by several processes at once, killed, and on a disk that does not play along."""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from mlife.adapters.events_postgres import PostgresEventStore
from mlife.adapters.events_sqlite import SqliteEventStore
from mlife.adapters.postgres import Postgres
from mlife.core.errors import MLifeError
from mlife.core.ports import Append, EventStore, iterate
from tests.contract.drafts import draft
from tests.processes import finish, hear, start, tell


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where several processes have their log: a file, or the URL of a schema."""
    return str(tmp_path / "log.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@contextmanager
def log_at(where: str) -> Iterator[EventStore]:
    """The log, opened for the block."""
    with ExitStack() as opened:
        if where.startswith("postgresql://"):
            yield opened.enter_context(closing(PostgresEventStore(opened.enter_context(closing(Postgres(where))))))
        else:
            yield opened.enter_context(closing(SqliteEventStore(Path(where))))


# --- several processes ---


def test_processes_on_a_new_file_at_once_all_get_in(where: str) -> None:
    children = [start("contract.log_writer", where, f"p{n}", n, 5) for n in range(6)]
    for child in children:
        tell(child, "go")
    for child in children:
        finish(child)


def test_writing_processes_share_one_dense_order_and_keep_their_own(where: str) -> None:
    names = [f"p{n}" for n in range(4)]
    children = [start("contract.log_writer", where, name, n, 60) for n, name in enumerate(names)]
    for child in children:
        hear(child)
        tell(child, "go")
    told = {
        name: [tuple(map(int, line.split())) for line in finish(c)[0].splitlines()]
        for name, c in zip(names, children, strict=True)
    }
    with log_at(where) as store:
        events = list(iterate(store))

    assert [r.position for r in events] == list(range(1, len(events) + 1))
    assert sorted(p for lines in told.values() for _, p in lines) == [r.position for r in events]
    for name, lines in told.items():
        positions = [p for _, p in lines]
        assert positions == sorted(positions)
        for number, position in lines:
            assert events[position - 1].draft.data == f'{{"name":"{name}-{number}"}}'.encode()
    by_stream: dict[str, list[int]] = {}
    for r in events:
        if not r.draft.single:
            by_stream.setdefault(r.stream, []).append(r.version)
    assert all(versions == list(range(1, len(versions) + 1)) for versions in by_stream.values())


def test_a_reader_that_follows_several_writers_sees_every_position_in_order_and_no_gap(where: str) -> None:
    children = [start("contract.log_writer", where, f"p{n}", n, 60) for n in range(3)]
    for child in children:
        hear(child)
        tell(child, "go")
    seen = [0]
    with log_at(where) as store:
        while any(child.poll() is None for child in children) or store.head() > seen[-1]:
            store.wait(seen[-1], 0.05)
            seen += [r.position for r in store.read(seen[-1])]
    for child in children:
        finish(child)

    assert seen == list(range(len(seen)))
    assert len(seen) > 3 * 60


def test_nothing_acknowledged_is_lost_or_doubled_when_writers_are_killed(where: str) -> None:
    chance = random.Random(7)
    acknowledged: dict[bytes, int] = {}
    for turn in range(10):
        children = [start("contract.log_writer", where, f"t{turn}p{n}", n, 10_000) for n in range(2)]
        for child in children:
            hear(child)
            tell(child, "go")
        time.sleep(chance.uniform(0.0, 0.15))
        for n, child in enumerate(children):
            child.kill()
            out, _ = child.communicate()
            for line in out.rpartition("\n")[0].splitlines():
                number, position = line.split()
                acknowledged[f'{{"name":"t{turn}p{n}-{number}"}}'.encode()] = int(position)
    with log_at(where) as store:
        events = list(iterate(store))
        ids = [r.draft.id for r in events]
        found = store.find(ids)

    assert [r.position for r in events] == list(range(1, len(events) + 1))
    assert len(set(ids)) == len(ids)
    assert {r.position for r in found.values()} == {r.position for r in events}
    assert len(acknowledged) > 50
    for data, position in acknowledged.items():
        assert events[position - 1].draft.data == data


# --- a disk that does not play along ---


def test_a_full_disk_is_said_in_one_sentence_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    out, _ = finish(start("contract.small_disk", tmp_path / "log.db"))
    acknowledged, sentence = out.strip().split("\n")
    store = SqliteEventStore(tmp_path / "log.db")
    events = list(iterate(store))

    assert int(acknowledged) > 0
    assert len(events) == int(acknowledged) == events[-1].position
    assert str(tmp_path / "log.db") in sentence
    assert "disk" in sentence
    assert store.append(Append([draft("toy/after", "x")])).position == len(events) + 1
    store.close()


def test_a_home_that_can_not_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "noise.db").write_bytes(b"this is no database, whatever its name says" * 100)
    (tmp_path / "folder.db").mkdir()
    for path in ("file/log.db", "noise.db", "folder.db"):
        with pytest.raises(MLifeError, match=path) as said:
            SqliteEventStore(tmp_path / path)
        assert said.value.status == 507
        assert said.value.remedy
        assert "\n" not in str(said.value)


def test_a_read_only_home_is_said_in_one_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    SqliteEventStore(tmp_path / "log.db").close()
    out, _ = finish(start("contract.read_only", tmp_path))
    assert out.strip().startswith("507 ")
    assert "can't be written" in out
    assert "make it writable" in out
