"""How a PostgreSQL database is, for `mlife doctor`: no table of MLife's is needed, and none is made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from mlife.adapters.postgres import Connection, Postgres
from mlife.core.health import Finding
from mlife.core.health.clocks import clock_finding

ASKED: Final = """
SELECT current_setting('server_version'), current_setting('transaction_read_only') = 'on', pg_is_in_recovery(),
    current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),
    current_setting('max_connections')::int,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
    pg_database_size(current_database()), has_schema_privilege(current_schema(), 'CREATE'),
    coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false), inet_server_addr()::text
"""

CROWDED: Final = 0.8
"""Share of the server's connections in use from which that is told."""


def check_postgres(url: str) -> Iterator[Finding]:
    """
    Findings about the database at *url*.

    Raises:
        Misconfigured, Unavailable: it can't be used at all, and why.
    """
    database = Postgres(url, size=1)
    try:
        with database.lent() as db:
            began = time.perf_counter()
            db.execute("SELECT 1")
            trip = (time.perf_counter() - began) * 1000
            row = db.execute(ASKED.encode()).fetchone()
            assert row is not None
            yield from _judged(database, trip, row)
            yield _clock(db)
    finally:
        database.close()


def _judged(database: Postgres, trip: float, row: tuple[Any, ...]) -> Iterator[Finding]:
    version, is_read_only, is_standby, fsync, pages, commit, most, used, size, may_create, is_tls, address = row
    told = f"{database.shown}: PostgreSQL {version}, schema {database.schema}, {size / 1e6:,.0f} MB, {trip:.1f} ms away"
    yield Finding("database", "ok", told)
    if is_standby or is_read_only:
        why = "is a standby" if is_standby else "takes no writes (default_transaction_read_only)"
        yield Finding(
            "database writes", "wrong", f"it {why}", "name the primary in MLIFE_STORE, or end the read-only mode"
        )
    if not may_create:
        denied = f"its user may not make tables in schema {database.schema}"
        yield Finding(
            "database rights", "wrong", denied, f"GRANT CREATE, USAGE ON SCHEMA {database.schema} TO that user"
        )
    off = [n for n, v in (("fsync", fsync), ("full_page_writes", pages), ("synchronous_commit", commit)) if v == "off"]
    if off:
        lost = f"{' and '.join(off)} off: a power cut loses what was acknowledged"
        yield Finding("database durability", "note", lost, "right for tests only: turn it on in postgresql.conf")
    if used > CROWDED * most:
        crowd = f"{used} of {most} connections are in use"
        yield Finding(
            "database connections", "note", crowd, "raise max_connections; each process of MLife keeps up to 20"
        )
    if not is_tls and address and not address.startswith(("127.", "::1")):
        yield Finding(
            "database encryption", "note", "the connection is not encrypted", "add sslmode=verify-full to the URL"
        )


def _clock(db: Connection) -> Finding:
    before = datetime.now(UTC)
    row = db.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    return clock_finding("database", row[0].astimezone(UTC), before, datetime.now(UTC))
