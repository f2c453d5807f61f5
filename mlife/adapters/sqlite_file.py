"""SQLite files as MLife opens them: pragmas, first use by several processes, pooling, and errors in words."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import Final
from urllib.parse import quote

from mlife.core.errors import HomeUnusable, Invalid, MLifeError, Unavailable, shortened

log = logging.getLogger("mlife.sqlite")

DISK_FAULTS: Final = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
}
"""Primary result codes that are the disk's or the machine's fault. Any other one is a fault of the statement."""

MENDED: Final = {
    "views.db": "end what runs here, delete it and its -wal and -shm: it is made anew from the log",
    "handlers.db": "end what runs here, delete it and its -wal and -shm: facts are looked at again, none takes effect "
    "twice",
    "shelf.db": "end what runs here, delete it and its -wal and -shm: pictures and texts are compared anew",
    "keys.db": "restore it from a backup; without it sealed personal fields stay unreadable",
}
"""What helps a damaged file that is not the log."""

WAITING: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


CREATED: Final = re.compile(r"^CREATE [A-Z ]+ IF NOT EXISTS (\w+)", re.MULTILINE)
"""What a schema makes, by name."""

BUSY_SECONDS: Final = 30
"""How long a statement waits for another process's lock."""

WAL_LIMIT: Final = 96 << 20
"""
Bytes; SQLite itself tries to begin a `-wal` anew from 20,000 pages (82 MB) on, at every commit, which makes commits
dear while it does not succeed.
"""
WAL_LOOK: Final = 1.0
WAL_REST: Final = 5.0
"""Seconds between looks at its length, and between tries to shorten it."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection on *path* as MLife sets it up: WAL, FULL, autocommit; any thread may use it."""
    db = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA wal_autocheckpoint=20000")
        db.execute("PRAGMA cache_size=-4000")  # each connection has its own; the system keeps the file's pages anyway
        db.execute("PRAGMA foreign_keys=ON")
    except BaseException:
        db.close()
        raise
    return db


class Wal:
    """
    Keeps the `-wal` of the file *path* short.

    SQLite begins it anew only at a moment when nobody reads from it. Where readers overlap for ever it would grow for
    ever: then they are made to wait a moment, under the lock of those who write.

    Args:
        least, most: milliseconds that writers wait for the readers; longer at each try that was in vain.
    """

    def __init__(self, path: Path, *, least: int, most: int) -> None:
        self._path = Path(f"{path}-wal")
        self._least, self._most = least, most
        self._patience = least
        self._not_before = 0.0

    def is_long(self) -> bool:
        """Is it time to begin it anew? Asked after every commit, and looked at once a second."""
        now = time.monotonic()
        if now < self._not_before:
            return False
        self._not_before = now + WAL_LOOK
        try:
            return self._path.stat().st_size > WAL_LIMIT
        except FileNotFoundError:
            return False

    def begin_anew(self, db: sqlite3.Connection) -> None:
        """Only between transactions, with the writers' lock held. If somebody reads for long, nothing happens."""
        self._not_before = time.monotonic() + max(WAL_REST, 10 * self._patience / 1000)
        try:
            db.execute(f"PRAGMA busy_timeout={self._patience}")
            was_busy = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            db.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
            self._patience = min(2 * self._patience, self._most) if was_busy else self._least
        except sqlite3.Error as fault:  # what was committed is committed; the next commit tells of a failing disk
            log.warning("%s can't be shortened: %s", self._path, fault)


def opened(path: Path, schema: str, *, mode: int = 0o644, pragmas: str = "") -> sqlite3.Connection:
    """
    A connection on *path* that has the tables of *schema*; several processes may be the first at once.

    `<path>.lock` is held while it is made: SQLite does not wait for a lock while a file turns to WAL. What is made
    already is opened without it, so that nobody who only reads has to wait for one who writes.

    Raises:
        HomeUnusable: the file can't be made or opened.
    """
    with translated(path):
        made = _opened_made(path, schema, pragmas)
        if made is not None:
            return made
        path.parent.mkdir(parents=True, exist_ok=True)
        with flocked(path):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, mode))
            db = connect(path)
            try:
                db.executescript(pragmas + schema)
            except BaseException:
                db.close()
                raise
            return db


def _opened_made(path: Path, schema: str, pragmas: str) -> sqlite3.Connection | None:
    """A connection if the file is in WAL mode and has all that *schema* makes; None if it must be made."""
    if not path.exists() or not Path(f"{path}.lock").exists() or not _is_in_wal_mode(path):
        return None
    db = connect(path)
    try:
        db.executescript(pragmas)
        there = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
        if there.issuperset(CREATED.findall(schema)):
            return db
    except BaseException:
        db.close()
        raise
    db.close()
    return None


def _is_in_wal_mode(path: Path) -> bool:
    """
    Is it? Only SQLite is asked.

    Whoever opens the file past SQLite, and closes it again, drops every lock that this process has on it (POSIX), those
    of SQLite's other connections too. The next process to end would then take the `-wal` away under them.
    """
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=BUSY_SECONDS)) as db:
            return bool(db.execute("PRAGMA journal_mode").fetchone() == ("wal",))
    except sqlite3.Error:
        return False  # whoever makes it meets the same, and tells it


@contextmanager
def flocked(path: Path) -> Iterator[None]:
    """Hold `<path>.lock`, against other processes and other threads; waiters are served at once and fairly."""
    with translated(path):
        own = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(own, fcntl.LOCK_EX)
        yield
    finally:
        os.close(own)


class Readers:
    """
    Connections for reading, lent to one thread at a time.

    A pool and not one for each thread: servers make and drop threads, and a dropped thread would keep its file open.
    """

    def __init__(self, path: Path, make: Callable[[], sqlite3.Connection]) -> None:
        self._path = path
        self._make = make
        self._idle: list[sqlite3.Connection] = []
        self._closed = threading.Event()

    @contextmanager
    def lent(self) -> Iterator[sqlite3.Connection]:
        """A connection for the block. A disk that fails is told in words."""
        if self._closed.is_set():
            raise Unavailable("the home is closed", remedy="open it again")
        try:
            db = self._idle.pop()
        except IndexError:
            db = self._make()
        try:
            with translated(self._path):
                yield db
        finally:
            self._idle.append(db)
            if self._closed.is_set():
                self.close()

    def close(self) -> None:
        """Close those that are idle now; the others follow when they come back."""
        self._closed.set()
        while self._idle:
            self._idle.pop().close()


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn errors of the disk, met by the driver or by the system, into sentences with a remedy; others pass."""
    try:
        yield
    except (sqlite3.Error, OSError) as fault:
        said = explained(path, fault)
        if said is None:
            raise
        raise said from fault


def explained(path: Path, fault: BaseException) -> MLifeError | None:
    """*fault*, met on *path*, as MLife says it; None for one that the disk is not to blame for."""
    if isinstance(fault, sqlite3.Error):
        code = getattr(fault, "sqlite_errorcode", 0) & 0xFF
        if code in WAITING:
            return Unavailable(f"{path} is held by another program ({fault})", remedy="try again")
        if code not in DISK_FAULTS:
            return None
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            return HomeUnusable(
                f"{path} is damaged ({fault})", remedy=MENDED.get(path.name, "restore it from a backup")
            )
    text = str(fault).lower()
    if "full" in text or "no space" in text or "quota" in text:
        return HomeUnusable(
            f"the disk that holds {path} is full", remedy="free some space; what was acknowledged is kept"
        )
    if "i/o error" in text or "input/output" in text or "too large" in text:
        return HomeUnusable(
            f"{path} can't be written ({fault})",
            remedy="look at the disk's space, quota and health; what was acknowledged is kept",
        )
    return HomeUnusable(
        f"{path} can't be written ({fault})", remedy="make it writable for this user, or choose another --home"
    )


@contextmanager
def askable() -> Iterator[None]:
    """Around a question: a number or a text that no column can hold is the asker's to mend, whichever door it took."""
    try:
        yield
    except OverflowError as fault:
        raise Invalid("a number that was asked for has more than 64 bits", remedy="ask for a smaller one") from fault
    except UnicodeEncodeError as fault:
        raise Invalid(f"{shortened(fault.object)!r} is no valid text", remedy="write it as UTF-8") from fault


ROWS_AT_ONCE: Final = 256
"""Rows of one statement; the largest table has 15 columns, and SQLite takes 32,766 values."""


def insert_many(db: sqlite3.Connection, table: str, rows: Sequence[Sequence[object]]) -> None:
    """
    Insert *rows*, many by one statement, in order.

    `executemany` steps row by row and gives Python's lock away at each; with other threads at work it waits up to a
    switch interval to get it back, a thousand times for a thousand rows.
    """
    at, left, size = 0, len(rows), ROWS_AT_ONCE
    marks = f"({', '.join('?' * len(rows[0]))})" if rows else ""
    while left:
        while size > left:
            size //= 2  # few sizes, so that few statements are prepared
        db.execute(
            f"INSERT INTO {table} VALUES {', '.join([marks] * size)}",
            tuple(chain.from_iterable(rows[at : at + size])),
        )
        at, left = at + size, left - size
