"""The log on PostgreSQL asks small questions of a large table, whatever the planner knows of it."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from mlife.adapters.events_postgres import PostgresEventStore
from mlife.adapters.postgres import Postgres
from mlife.core.ports import Append
from tests.contract.drafts import draft


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresEventStore]:
    with closing(Postgres(postgres_url)) as postgres, closing(PostgresEventStore(postgres)) as opened:
        yield opened


@pytest.fixture
def db(postgres_url: str, store: PostgresEventStore) -> Iterator[psycopg.Connection]:
    """The database, as somebody with another program has it."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def both(name: str) -> Append:
    """A decision on a new stream that also records a report."""
    return Append([draft(f"toy/{name}", "a"), draft("toys", name, single=1)], {f"toy/{name}": 0})


def rows_read(db: psycopg.Connection, *sessions: psycopg.Connection) -> int:
    """Rows of the log that *sessions* have looked at until now, and others that have reported it."""
    for session in sessions:
        session.execute("SELECT pg_stat_force_next_flush()")
    db.execute("SELECT pg_stat_clear_snapshot()")
    return db.execute(
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relid = 'events'::regclass"
    ).fetchone()[0]


@pytest.mark.parametrize("known", ["nothing is known of the table", "the table is analyzed"])
def test_no_question_reads_the_whole_log_whatever_the_planner_knows_of_it(
    known: str, store: PostgresEventStore, db: psycopg.Connection
) -> None:
    """Plans that were made while the table was empty, or without statistics, must be those of a large one."""
    import tests.toys  # noqa: F401 - declares the toys' events

    db.execute("ALTER TABLE events SET (autovacuum_enabled = off)")
    store.append(both("first"))
    store.append(Append([draft("toys", f"{n}", single=1) for n in range(20_000)], whole=False))
    types = ["mlife.toy.painted.v1", "mlife.never.declared.v1", "mlife.nor.this.v1"]
    store.append(Append([draft("toy/long", f"{n}", type=types[n % 3]) for n in range(9_000)], whole=False))
    if known == "the table is analyzed":
        db.execute("ANALYZE events")
    writer = store._writer._db
    assert writer is not None
    with store._postgres.lent() as reader:
        before = rows_read(db, writer, reader)
    for n in range(20):
        store.append(both(f"{n}"))
        assert len(store.read_stream("toy/long", 8_990)) == 10
        assert len(store.find([both("first").drafts[0].id])) == 1
    for n in range(5):
        assert len(store.read(n, 10_000)) == 10_000
        assert len(store.read(n, 2_000, types=["mlife.toy.painted.v1", "mlife.toy.woken.v1"])) == 2_000
        assert store.read(n, 2_000, types=["mlife.toy.woken.v1"]) == []
    with store._postgres.lent() as reader:
        assert rows_read(db, writer, reader) - before < 5 * (10_000 + 2_000) + 3_000
