"""
The log on SQLite: one file, one group-commit writer per process.

The writer gathers what its process has queued, takes `flock` on a side file (busy-waiting on SQLite's own lock starves
one of two processes for seconds), looks up what it must know, judges each caller alone, writes the survivors, and
answers after the commit. What keeps the cost per event flat as the log grows is ADR 0003.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from mlife.adapters.events_sqlite_judge import SqliteJudge, head, look_up, slices
from mlife.adapters.group_commit import Call, GroupCommit, Outcome
from mlife.adapters.sqlite_file import Readers, Wal, askable, connect, flocked, insert_many, opened, translated
from mlife.core.events import Draft, Event, Recorded, registry
from mlife.core.folding import without_gc
from mlife.core.ports import Append, Appended

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    position INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    id BLOB NOT NULL,
    stream TEXT NOT NULL,
    single INTEGER NOT NULL,
    type TEXT NOT NULL,
    key TEXT NOT NULL,
    time INTEGER NOT NULL,
    source TEXT NOT NULL,
    correlation_id TEXT,
    causation_id BLOB,
    actor TEXT,
    traceparent TEXT,
    data BLOB NOT NULL,
    digest BLOB NOT NULL
) STRICT;
-- streams that hold one event (reports, files, traffic) are found by their event id, not through this index
CREATE UNIQUE INDEX IF NOT EXISTS events_stream ON events (stream, version) WHERE single = 0;
-- types other than intake's, so that rare events are found without reading every report
CREATE INDEX IF NOT EXISTS events_type ON events (type, position) WHERE single = 0;

-- event ids by their first 64 bits: young ones, merged into the old ones in sorted bulk
CREATE TABLE IF NOT EXISTS ids_young (hash INTEGER PRIMARY KEY, position INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS ids_old (hash INTEGER PRIMARY KEY, position INTEGER NOT NULL) STRICT;
-- two ids may share 64 bits; the second one is kept here, whole
CREATE TABLE IF NOT EXISTS ids_shared (id BLOB PRIMARY KEY, position INTEGER NOT NULL) STRICT;

CREATE TRIGGER IF NOT EXISTS events_are_dense BEFORE INSERT ON events
WHEN NEW.position IS NOT (SELECT coalesce(max(position), 0) + 1 FROM events)
BEGIN SELECT RAISE(ABORT, 'positions are dense: an event is appended after the last one'); END;
CREATE TRIGGER IF NOT EXISTS events_stay BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are immutable: append a new one'); END;
CREATE TRIGGER IF NOT EXISTS events_are_kept BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are immutable: they are never deleted'); END;
-- INSERT OR REPLACE would delete without firing the trigger above
CREATE TRIGGER IF NOT EXISTS events_are_not_replaced BEFORE INSERT ON events
WHEN NEW.single = 0 AND EXISTS (SELECT 1 FROM events WHERE single = 0 AND stream = NEW.stream AND version = NEW.version)
BEGIN SELECT RAISE(ABORT, 'events are immutable: this version of the stream is taken'); END;
"""

COLUMNS: Final = (
    "position, version, id, stream, single, type, key, time, source, "
    "correlation_id, causation_id, actor, traceparent, data, digest"
)
SELECT: Final = f"SELECT {COLUMNS} FROM events"

YOUNG_LIMIT: Final = 50_000
"""Young ids before they are merged: random inserts touch only this small tree; the merge writes each old page once."""

POLL: Final = 0.005
"""Seconds between looks at other processes' commits."""


class SqliteEventStore:
    """
    An `EventStore` in the file *path*, shared by any number of processes of one machine.

    Raises:
        HomeUnusable: the file can't be made or opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._news = threading.Condition()
        self._wakes = 0
        self._readers = Readers(path, self._open_reader)
        self._wal = Wal(path, least=50, most=200)
        self._writer = opened(path, SCHEMA)
        self._writer.execute("PRAGMA cache_size=-12000")
        with translated(path):
            self._lock_file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        self._young = -1
        self._commits = GroupCommit(self._commit, self._after_commit)

    # --- appending ---

    def append(self, append: Append) -> Appended:
        """See `EventStore.append`."""
        return self.submit(append).result()

    def submit(self, append: Append) -> Call:
        """See `EventStore.submit`."""
        return self._commits.submit(append)

    def _commit(self, appends: Sequence[Append]) -> list[Outcome]:
        with translated(self._path), self._locked():
            return self._written(appends)

    def _after_commit(self) -> None:
        self._tell()
        if self._wal.is_long():
            with self._locked():
                self._wal.begin_anew(self._writer)

    def _written(self, appends: Sequence[Append]) -> list[Outcome]:
        db = self._writer
        db.execute("BEGIN IMMEDIATE")
        try:
            judge = SqliteJudge(db, appends)
            outcomes = [judge.judge(a) for a in appends]
            if judge.rows:
                hashes, shared = judge.new_ids()
                insert_many(db, "events", judge.rows)
                insert_many(db, "ids_young", hashes)
                insert_many(db, "ids_shared", shared)
                self._merge_ids(len(hashes))
            db.execute("COMMIT")
        except BaseException:
            self._young = -1
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        return outcomes

    def _merge_ids(self, new: int) -> None:
        """Move the young ids into the old ones once they are many; -1 young ones: not counted yet."""
        db = self._writer
        young = db.execute("SELECT count(*) FROM ids_young").fetchone()[0] if self._young < 0 else self._young + new
        if young > YOUNG_LIMIT:
            db.execute("INSERT INTO ids_old SELECT hash, position FROM ids_young ORDER BY hash")
            db.execute("DELETE FROM ids_young")
            young = 0
        self._young = young

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.flock(self._lock_file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock_file, fcntl.LOCK_UN)

    @contextmanager
    def barrier(self) -> Iterator[int]:
        """See `EventStore.barrier`."""
        with flocked(self._path):
            yield self.head()

    # --- reading ---

    def _open_reader(self) -> sqlite3.Connection:
        with translated(self._path):
            db = connect(self._path)
            db.execute("PRAGMA query_only=1")
            return db

    def _rows(self, sql: str, values: Sequence[Any]) -> list[Any]:
        with self._readers.lent() as db, askable():
            return db.execute(sql, values).fetchall()

    def head(self) -> int:
        """See `EventStore.head`."""
        with self._readers.lent() as db:
            return head(db)

    def read(self, after: int = 0, limit: int = 10_000, *, types: Sequence[str] = ()) -> list[Recorded[Event]]:
        """See `EventStore.read`."""
        if not types:
            with without_gc():
                rows = self._rows(f"{SELECT} WHERE position > ? ORDER BY position LIMIT ?", (after, limit))
                return [_recorded(row) for row in rows]
        kinds = [registry.find(t) for t in types]
        # the index leaves intake's types out; without it every event after *after* is looked at
        rare = "INDEXED BY events_type WHERE single = 0 AND" if all(k and not k.single for k in kinds) else "WHERE"
        marks = ", ".join("?" * len(types))
        rows = self._rows(
            f"{SELECT} {rare} position > ? AND type IN ({marks}) ORDER BY position LIMIT ?", (after, *types, limit)
        )
        return [_recorded(row) for row in rows]

    def read_stream(self, stream: str, after_version: int = 0) -> list[Recorded[Event]]:
        """See `EventStore.read_stream`."""
        rows = self._rows(
            f"{SELECT} WHERE single = 0 AND stream = ? AND version > ? ORDER BY version", (stream, after_version)
        )
        return [_recorded(row) for row in rows]

    def find(self, event_ids: Sequence[bytes]) -> dict[bytes, Recorded[Event]]:
        """See `EventStore.find`."""
        found: dict[bytes, Recorded[Event]] = {}
        with self._readers.lent() as db:
            places, _ = look_up(db, event_ids)
            for some in slices(list(places.values())):
                marks = ", ".join("?" * len(some))
                for row in db.execute(f"{SELECT} WHERE position IN ({marks})", some):
                    recorded = _recorded(row)
                    found[recorded.draft.id] = recorded
        return found

    # --- waiting ---

    def _tell(self) -> None:
        with self._news:
            self._wakes += 1
            self._news.notify_all()

    def wake(self) -> None:
        """See `EventStore.wake`."""
        self._tell()

    def wait(self, after: int, timeout: float) -> int:
        """See `EventStore.wait`. Own commits wake it at once; others' are seen by `PRAGMA data_version` every 5 ms."""
        deadline = time.monotonic() + timeout
        with self._news:
            wakes = self._wakes
        seen, last = None, 0
        with self._readers.lent() as db:
            while True:
                version = db.execute("PRAGMA data_version").fetchone()[0]
                if version != seen:
                    seen, last = version, head(db)
                left = deadline - time.monotonic()
                if last > after or left <= 0 or self._commits.is_closed():
                    return last
                with self._news:
                    if self._wakes != wakes or self._news.wait(min(POLL, left)):
                        break
        return last if self._commits.is_closed() else self.head()

    def close(self) -> None:
        """See `EventStore.close`."""
        if not self._commits.close():
            return
        self._tell()
        self._writer.close()
        self._readers.close()
        os.close(self._lock_file)


def _recorded(row: tuple[Any, ...]) -> Recorded[Event]:
    return Recorded(row[0], row[1], Draft._make(row[2:]))
