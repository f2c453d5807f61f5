"""
The `eventsourcing` library as somebody would use it for reports: no aggregates, one domain event for each report.

Ids are derived from client and report id, as ours are, so that sending twice is found out. It gets dictionaries that
were checked already: it has no validation, no fingerprint and no digest of its own.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eventsourcing.application import Application
from eventsourcing.domain import DomainEvent

NAMESPACE = uuid.UUID("6a1b7f7e-6f6c-4e43-9a39-5a3c1d3f0a10")


@dataclass(frozen=True)
class Reported(DomainEvent):
    """A report as it was sent."""

    report: dict[str, Any]


class Reports(Application[uuid.UUID]):
    """An application that keeps reports."""


def application(path: Path) -> Reports:
    """The application on an SQLite file of its own (WAL; SQLite's default is `synchronous=FULL`)."""
    made = Reports(
        env={
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": str(path),
            "SQLITE_LOCK_TIMEOUT": "60",
            "POOL_SIZE": "32",
            "POOL_TIMEOUT": "60",
        }
    )
    db = sqlite3.connect(path)
    mode, synchronous = db.execute("PRAGMA journal_mode").fetchone()[0], db.execute("PRAGMA synchronous").fetchone()[0]
    db.close()
    if (mode, synchronous) != ("wal", 2):
        raise AssertionError(f"the library's file is {mode} with synchronous={synchronous}: not the same durability")
    return made


def postgres_application(url: str) -> Reports:
    """The application on PostgreSQL, on the library's default path, which is safe; in the schema that *url* names."""
    from psycopg.conninfo import conninfo_to_dict

    told = conninfo_to_dict(url)
    return Reports(
        env={
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": str(told["dbname"]),
            "POSTGRES_HOST": str(told["host"]),
            "POSTGRES_PORT": str(told["port"]),
            "POSTGRES_USER": str(told["user"]),
            "POSTGRES_PASSWORD": str(told["password"]),
            "POSTGRES_SCHEMA": str(told["options"]).partition("search_path=")[2],
            "POSTGRES_POOL_SIZE": "64",
            "POSTGRES_POOL_TIMEOUT": "60",
            "POSTGRES_LOCK_TIMEOUT": "60",
        }
    )


def events_of(reports: Iterable[dict[str, Any]]) -> list[Reported]:
    """One event for each report."""
    now = datetime.now(UTC)
    return [
        Reported(
            originator_id=uuid.uuid5(NAMESPACE, f"{r['client']}\0{r['report_id']}"),
            originator_version=1,
            timestamp=now,
            report=r,
        )
        for r in reports
    ]


def save(application: Reports, batches: Iterable[Sequence[dict[str, Any]]]) -> None:
    """`Application.save` of every batch, each durable before the next."""
    for batch in batches:
        application.save(*events_of(batch))
