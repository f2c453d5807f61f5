"""
The log on SQLite: one file, one group-commit writer per process.

The writer gathers what its process has queued, takes `flock` on a side file (busy-waiting on SQLite's own lock starves
one of two processes for seconds), looks up what it must know, judges each caller alone, writes the survivors, and
answers after the commit. What keeps the cost per event flat as the log grows is ADR 0003.
"""

from __future__ import annotations

import fcntl
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from mlife.core.errors import Conflict, HomeUnusable, MLifeError, Unavailable
from mlife.core.events import Draft, Event, Recorded
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

COLUMNS: Final = "position, version, id, stream, single, type, key, time, source, correlation_id, causation_id, actor, traceparent, data, digest"
INSERT: Final = f"INSERT INTO events ({COLUMNS}) VALUES ({', '.join('?' * 15)})"
SELECT: Final = f"SELECT {COLUMNS} FROM events"

YOUNG_LIMIT: Final = 50_000
"""Young ids before they are merged: random inserts touch only this small tree; the merge writes each old page once."""

LONGEST_BATCH: Final = 20_000
"""Drafts in one commit; a longer queue is taken in several."""

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
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._queue: queue.SimpleQueue[tuple[Append, Future[Appended]] | None] = queue.SimpleQueue()
        self._news = threading.Condition()
        self._wakes = 0
        self._closed = False
        with translated(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock_file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o644)
            self._writer = connect(path)
            with self._locked():
                self._writer.executescript(SCHEMA)
        self._young = self._writer.execute("SELECT count(*) FROM ids_young").fetchone()[0]
        self._thread = threading.Thread(target=self._write_forever, name="mlife-log-writer", daemon=True)
        self._thread.start()

    # --- appending ---

    def append(self, append: Append) -> Appended:
        """See `EventStore.append`."""
        if self._closed:
            raise Unavailable("the log is closed", remedy="open the home again")
        if not append.drafts:
            return Appended((), ())
        answer: Future[Appended] = Future()
        self._queue.put((append, answer))
        return answer.result()

    def _write_forever(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            size = len(first[0].drafts)
            stop = False
            while size < LONGEST_BATCH and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    stop = True
                    break
                batch.append(following)
                size += len(following[0].drafts)
            self._write(batch)
            if stop:
                return

    def _write(self, batch: list[tuple[Append, Future[Appended]]]) -> None:
        """One commit for *batch*; every caller gets its own answer, after it."""
        try:
            with translated(self._path), self._locked():
                outcomes = self._commit([append for append, _ in batch])
        except BaseException as fault:  # noqa: BLE001 - whatever it is, it belongs to the callers, and the writer lives on
            for _, answer in batch:
                answer.set_exception(fault)
            return
        self._tell()
        for (_, answer), outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Appended):
                answer.set_result(outcome)
            else:
                answer.set_exception(outcome)

    def _commit(self, appends: Sequence[Append]) -> list[Appended | Conflict]:
        db = self._writer
        db.execute("BEGIN IMMEDIATE")
        try:
            judge = _Judge(db, appends)
            outcomes = [judge.judge(a) for a in appends]
            if judge.rows:
                db.executemany(INSERT, judge.rows)
                db.executemany("INSERT INTO ids_young VALUES (?, ?)", judge.hashes)
                if judge.shared:
                    db.executemany("INSERT INTO ids_shared VALUES (?, ?)", judge.shared)
                self._young += len(judge.hashes)
                if self._young > YOUNG_LIMIT:
                    db.execute("INSERT INTO ids_old SELECT hash, position FROM ids_young ORDER BY hash")
                    db.execute("DELETE FROM ids_young")
                    self._young = 0
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        return outcomes

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
        own = os.open(f"{self._path}.lock", os.O_RDWR)
        try:
            fcntl.flock(own, fcntl.LOCK_EX)
            yield self.head()
        finally:
            os.close(own)

    # --- reading ---

    def _db(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = connect(self._path)
            db.execute("PRAGMA query_only=1")
            self._readers.append(db)
        return db

    def head(self) -> int:
        """See `EventStore.head`."""
        return int(self._db().execute("SELECT coalesce(max(position), 0) FROM events").fetchone()[0])

    def read(self, after: int = 0, limit: int = 10_000, *, types: Sequence[str] = ()) -> list[Recorded[Event]]:
        """See `EventStore.read`."""
        if not types:
            rows = self._db().execute(f"{SELECT} WHERE position > ? ORDER BY position LIMIT ?", (after, limit))
        else:
            marks = ", ".join("?" * len(types))
            rows = self._db().execute(
                f"{SELECT} WHERE position > ? AND type IN ({marks}) ORDER BY position LIMIT ?", (after, *types, limit)
            )
        return [_recorded(row) for row in rows]

    def read_stream(self, stream: str, after_version: int = 0) -> list[Recorded[Event]]:
        """See `EventStore.read_stream`."""
        rows = self._db().execute(
            f"{SELECT} WHERE single = 0 AND stream = ? AND version > ? ORDER BY version", (stream, after_version)
        )
        return [_recorded(row) for row in rows]

    def find(self, event_ids: Sequence[bytes]) -> dict[bytes, Recorded[Event]]:
        """See `EventStore.find`."""
        db = self._db()
        places, _ = _look_up(db, event_ids)
        found: dict[bytes, Recorded[Event]] = {}
        for some in _slices(list(places.values())):
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
        db = self._db()
        with self._news:
            wakes = self._wakes
        seen, head = None, 0
        while True:
            version = db.execute("PRAGMA data_version").fetchone()[0]
            if version != seen:
                seen = version
                head = self.head()
                if head > after:
                    return head
            left = deadline - time.monotonic()
            if left <= 0:
                return head
            with self._news:
                if self._wakes != wakes or self._news.wait(min(POLL, left)):
                    if self._closed:
                        return head
                    return self.head()

    def close(self) -> None:
        """See `EventStore.close`."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._thread.join()
        self._tell()
        self._writer.close()
        for db in self._readers:
            db.close()
        os.close(self._lock_file)


class _Judge:
    """Decides, under the lock, what each caller of one commit gets."""

    def __init__(self, db: sqlite3.Connection, appends: Sequence[Append]) -> None:
        self._db = db
        self._next = db.execute("SELECT coalesce(max(position), 0) + 1 FROM events").fetchone()[0]
        self._places, self._taken = _look_up(db, [d[0] for a in appends for d in a.drafts])
        self._heads: dict[str, int] = {}
        self.rows: list[tuple[Any, ...]] = []
        self.hashes: list[tuple[int, int]] = []
        self.shared: list[tuple[bytes, int]] = []

    def judge(self, append: Append) -> Appended | Conflict:
        """The answer for *append*; what survives is added to `rows`."""
        places = self._places
        if append.whole and append.drafts[0].id in places:
            return Appended([places.get(d.id, 0) for d in append.drafts], [True] * len(append.drafts))
        for stream, expected in append.expected.items():
            actual = self._head(stream)
            if actual != expected:
                return Conflict(stream, expected, actual)
        positions: list[int] = []
        known: list[bool] = []
        for draft in append.drafts:
            place = places.get(draft[0])
            known.append(place is not None)
            positions.append(self._place(draft) if place is None else place)
        return Appended(positions, known)

    def _place(self, draft: Draft) -> int:
        event_id, stream, single = draft[0], draft[1], draft[2]
        position = self._next
        self._next += 1
        version = 1
        if not single:
            version = self._heads[stream] = self._head(stream) + 1
        self.rows.append((position, version, *draft))
        self._places[event_id] = position
        short = _short(event_id)
        if short in self._taken:
            self.shared.append((event_id, position))
        else:
            self._taken.add(short)
            self.hashes.append((short, position))
        return position

    def _head(self, stream: str) -> int:
        head = self._heads.get(stream)
        if head is None:
            found = self._db.execute("SELECT max(version) FROM events WHERE single = 0 AND stream = ?", (stream,))
            head = self._heads[stream] = int(found.fetchone()[0] or 0)
        return head


def _short(event_id: bytes) -> int:
    """The first 64 bits of an id, signed as SQLite wants them."""
    return int.from_bytes(event_id[:8], "big", signed=True)


def _look_up(db: sqlite3.Connection, event_ids: Sequence[bytes]) -> tuple[dict[bytes, int], set[int]]:
    """Which of *event_ids* are known, and where; and the 64-bit hashes among theirs that another id has taken."""
    shorts = [_short(i) for i in event_ids]
    hits: dict[int, int] = {}
    for some in _slices(shorts):
        marks = ", ".join("?" * len(some))
        hits.update(
            db.execute(
                f"SELECT hash, position FROM ids_young WHERE hash IN ({marks}) "
                f"UNION ALL SELECT hash, position FROM ids_old WHERE hash IN ({marks})",
                (*some, *some),
            )
        )
    if not hits:
        return {}, set()
    places: dict[bytes, int] = {}
    for some in _slices(list(hits.values())):
        marks = ", ".join("?" * len(some))
        places.update(db.execute(f"SELECT id, position FROM events WHERE position IN ({marks})", some))
    wanted = set(event_ids)
    places = {i: p for i, p in places.items() if i in wanted}
    strangers = [i for i, short in zip(event_ids, shorts, strict=True) if short in hits and i not in places]
    for some_ids in _slices(strangers):
        marks = ", ".join("?" * len(some_ids))
        places.update(db.execute(f"SELECT id, position FROM ids_shared WHERE id IN ({marks})", some_ids))
    return places, set(hits)


T = TypeVar("T")


def _slices(items: Sequence[T], size: int = 1_000) -> Iterator[list[T]]:
    """*items* in lists of *size*; the last is padded with its own last item, so that few statements are prepared."""
    for start in range(0, len(items), size):
        some = list(items[start : start + size])
        padded = 1 << (len(some) - 1).bit_length()
        yield some + some[-1:] * (min(padded, size) - len(some))


def _recorded(row: tuple[Any, ...]) -> Recorded[Event]:
    return Recorded(row[0], row[1], Draft._make(row[2:]))


def connect(path: Path) -> sqlite3.Connection:
    """A connection on *path* as MLife sets it up: WAL, FULL, autocommit; any thread may use it."""
    db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False, cached_statements=256)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA wal_autocheckpoint=20000")
    db.execute("PRAGMA cache_size=-16000")
    db.execute("PRAGMA foreign_keys=ON")
    return db


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn the driver's and the system's errors into sentences with a remedy."""
    try:
        yield
    except MLifeError:
        raise
    except (sqlite3.OperationalError, sqlite3.DatabaseError, OSError) as fault:
        raise explained(path, fault) from fault


def explained(path: Path, fault: Exception) -> MLifeError:
    """*fault*, met on *path*, as MLife says it."""
    text = str(fault).lower()
    if "full" in text or "no space" in text:
        return HomeUnusable(f"the disk that holds {path} is full", remedy="free some space; nothing is lost")
    if "readonly" in text or "read-only" in text or "permission" in text or "unable to open" in text:
        return HomeUnusable(f"{path} can't be written ({fault})", remedy="make it writable, or choose another --home")
    if "not a database" in text or "malformed" in text:
        return HomeUnusable(f"{path} is damaged ({fault})", remedy="restore it from a backup")
    return HomeUnusable(f"{path} failed: {fault}", remedy="see the cause, then try again")
