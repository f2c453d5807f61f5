"""Homes to measure in, and what is read out of them without the product: their bytes and their tables."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlife.badcases.intake.taking import Intake
from mlife.bench.reports import batches
from mlife.runtime import Home, open_home, settings

Rows = list[tuple[Any, ...]]
LIKE_OURS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA wal_autocheckpoint=20000",
    "PRAGMA cache_size=-16000",
)
"""The yardstick gets the durability and the room that the product's own connections have."""


@contextmanager
def opened(folder: Path) -> Iterator[Home]:
    """An opened home in *folder*."""
    with open_home(settings(folder)) as home:
        yield home


def intake(home: Home) -> Intake:
    """The door for reports into *home*."""
    return Intake(home.ports.store, home.do.sealer)


def take(home: Home, some: Iterable[Sequence[dict[str, Any]]]) -> int:
    """Send every batch, each acknowledged before the next; the last position."""
    door = intake(home)
    position = 0
    for batch in some:
        answer = door.reports(batch)
        position = answer.position
        if answer.refused:
            raise AssertionError(f"a report of the benchmark was refused: {answer.refused[0]}")
    return position


def stream(home: Home, some: Iterable[Sequence[dict[str, Any]]]) -> int:
    """Send everything by one call, which appends 1,000 at a time; the last position."""
    answer = intake(home).reports(report for batch in some for report in batch)
    if answer.refused:
        raise AssertionError(f"a report of the benchmark was refused: {answer.refused[0]}")
    return answer.position


def filled(folder: Path, count: int) -> Path:
    """A home with *count* reports and no projections yet."""
    with opened(folder) as home:
        for start in range(0, count, 50_000):
            take(home, batches(min(50_000, count - start), start=start))
    return folder


def copied(folder: Path, to: Path) -> Path:
    """A second home with the same content; nobody may have the first one open."""
    shutil.rmtree(to, ignore_errors=True)
    return shutil.copytree(folder, to)


def raw_rows(folder: Path) -> tuple[list[str], Rows, Rows]:
    """Of a home's log: the statements that make its tables and triggers, its events, and the index of its ids."""
    db = sqlite3.connect(folder / "mlife.db")
    try:
        ddl = [s for (s,) in db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")]
        events = db.execute("SELECT * FROM events ORDER BY position").fetchall()
        ids = db.execute("SELECT * FROM ids_young UNION ALL SELECT * FROM ids_old ORDER BY position").fetchall()
    finally:
        db.close()
    return ddl, events, ids


@contextmanager
def raw_file(path: Path, ddl: Sequence[str]) -> Iterator[sqlite3.Connection]:
    """The yardstick's file: tables and triggers as in a home's log, durable as ours."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        for statement in (*LIKE_OURS, *ddl):
            db.execute(statement)
        yield db
    finally:
        db.close()


def raw_insert(db: sqlite3.Connection, events: Rows, ids: Rows, size: int = 1_000) -> None:
    """The same bytes into the same tables, by `executemany`, one commit for each *size* events."""
    marks = ", ".join("?" * len(events[0]))
    for start in range(0, len(events), size):
        db.execute("BEGIN IMMEDIATE")
        db.executemany(f"INSERT INTO events VALUES ({marks})", events[start : start + size])  # noqa: S608
        db.executemany("INSERT INTO ids_young VALUES (?, ?)", ids[start : start + size])
        db.execute("COMMIT")


def checkpointed(folder: Path) -> None:
    """Move what the log's WAL holds into the file, so that every measurement pays for its own pages."""
    db = sqlite3.connect(folder / "mlife.db", isolation_level=None)
    try:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")
    finally:
        db.close()
