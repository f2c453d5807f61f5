"""The log's `-wal` stays short although readers overlap for ever, and writers hardly notice."""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import cycle
from pathlib import Path

import pytest

from mlife.adapters import sqlite_file
from mlife.adapters.events_sqlite import SqliteEventStore
from mlife.core.ports import Append
from tests.contract.drafts import draft

LIMIT = 1 << 20
BODY = b'{"name": "' + b"x" * 10_000 + b'"}'


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteEventStore]:
    """A log that wants to be shortened at a megabyte, and looks at once."""
    monkeypatch.setattr(sqlite_file, "WAL_LIMIT", LIMIT)
    monkeypatch.setattr(sqlite_file, "WAL_LOOK", 0.0)
    monkeypatch.setattr(sqlite_file, "WAL_REST", 0.1)
    opened = SqliteEventStore(tmp_path / "mlife.db")
    yield opened
    opened.close()


def wal_of(folder: Path) -> int:
    return (folder / "mlife.db-wal").stat().st_size


def read_without_a_gap(path: Path, stop: threading.Event) -> None:
    """Two readers in turn: the next begins before the last has ended, so that there is always one."""
    with closing(sqlite3.connect(path)) as one, closing(sqlite3.connect(path)) as other:
        for beginning, ending in cycle(((one, other), (other, one))):
            beginning.execute("BEGIN")
            beginning.execute("SELECT max(position) FROM events").fetchall()
            if ending.in_transaction:
                ending.execute("COMMIT")
            time.sleep(0.005)
            if stop.is_set():
                return


def test_a_wal_stays_short_while_somebody_always_reads(store: SqliteEventStore, tmp_path: Path) -> None:
    stop = threading.Event()
    reader = threading.Thread(target=read_without_a_gap, args=(tmp_path / "mlife.db", stop))
    reader.start()
    longest = 0
    try:
        for number in range(4_000):
            store.append(Append([draft(f"toy/{number}", str(number), data=BODY)]))
            longest = max(longest, wal_of(tmp_path))
    finally:
        stop.set()
        reader.join()

    assert store.head() == 4_000
    assert longest < 60 * LIMIT, "130 MB of pages were written"


def test_one_who_reads_for_long_keeps_writers_waiting_for_moments_only(store: SqliteEventStore, tmp_path: Path) -> None:
    slowest = 0.0
    with closing(sqlite3.connect(tmp_path / "mlife.db")) as reader:
        store.append(Append([draft("toy/first", "first")]))
        reader.execute("BEGIN")
        reader.execute("SELECT max(position) FROM events").fetchall()
        for number in range(400):
            began = time.monotonic()
            store.append(Append([draft(f"toy/{number}", str(number), data=BODY)]))
            slowest = max(slowest, time.monotonic() - began)
        assert wal_of(tmp_path) > 2 * LIMIT  # the reader needs it
        assert slowest < 1.0
        assert reader.execute("SELECT max(position) FROM events").fetchone() == (1,)
    time.sleep(2.1)  # it was tried in vain, and rests
    store.append(Append([draft("toy/last", "last")]))
    store.append(Append([draft("toy/very last", "very last")]))  # waits until the file was begun anew
    assert wal_of(tmp_path) < LIMIT


def test_a_home_that_a_process_has_open_twice_loses_nothing_when_another_process_closes_it(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    SqliteEventStore(path).close()
    first = SqliteEventStore(path)
    first.append(Append([draft("toy/1", "a")]))
    second = SqliteEventStore(path)  # must not drop the locks of the first
    script = (
        "import sys; from pathlib import Path; from mlife.adapters.events_sqlite import SqliteEventStore as S; "
        "s = S(Path(sys.argv[1])); print(s.head()); s.close()"
    )
    for name in ("b", "c"):
        subprocess.run([sys.executable, "-c", script, str(path)], check=True, capture_output=True)
        first.append(Append([draft("toy/1", name)]))
    second.close()
    first.close()

    with closing(SqliteEventStore(path)) as again:
        assert again.head() == 3
