"""The components that tests and benchmarks run on: they serve, survive a kill, and are gone when they should be."""

import os
from pathlib import Path

import psycopg
import pytest

from infra.local import Broken, Kafka, Postgres, Server
from infra.local.server import Port, listening


def test_a_killed_database_comes_back_with_what_it_had(postgres_server: Postgres) -> None:
    with psycopg.connect(postgres_server.url) as db:
        db.execute("CREATE TABLE kept AS SELECT 7 AS n")
    postgres_server.kill()
    assert postgres_server.pid is None
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres_server.url)

    postgres_server.start()
    with psycopg.connect(postgres_server.url) as db:
        assert db.execute("SELECT n FROM kept").fetchone() == (7,)


def test_each_test_has_a_schema_of_its_own(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as db:
        row = db.execute(
            "SELECT current_schema(), count(*) FROM pg_tables WHERE schemaname = current_schema()"
        ).fetchone()
    assert row is not None
    assert row[0].startswith("t")
    assert row[1] == 0


def test_a_server_stops_and_starts_on_the_same_port(kafka_server: Kafka) -> None:
    pid, url = kafka_server.pid, kafka_server.url
    assert pid
    kafka_server.stop()
    assert not listening(kafka_server.port)
    kafka_server.start()
    assert kafka_server.url == url
    assert kafka_server.pid not in (None, pid)


def test_two_servers_never_get_one_port() -> None:
    assert len({port.number for port in [Port() for _ in range(20)]}) == 20


def test_one_that_does_not_start_says_where_its_log_is(tmp_path: Path) -> None:
    class Never(Server):
        name = "never"

        @property
        def url(self) -> str:
            return ""

        def _launch(self):  # type: ignore[no-untyped-def]
            return self._spawn(["sh", "-c", "echo out of tea; exit 3"])

        def _ready(self) -> bool:
            return False

    with pytest.raises(Broken, match=r"ended with 3 while it started") as told:
        Never(tmp_path).start()
    assert "out of tea" in str(told.value)
    assert os.fspath(tmp_path / "never.log") in str(told.value)
