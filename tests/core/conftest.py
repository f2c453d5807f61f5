"""Homes that know toys only (`tests/toys.py`), and databases that know the rows of the query language's tests."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, create_engine

from mlife.adapters.postgres import Postgres
from mlife.adapters.views_postgres import PostgresViews
from mlife.core import runner as running
from mlife.runtime import Home
from tests.components import Postgres as Server
from tests.core import query_rows
from tests.toys import only_toys, wire_toys


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.cluster)])
def toy_home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """An opened home with the toys' projections and no handlers, of either size; its runner is not running."""
    store = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    with only_toys():
        home = wire_toys(tmp_path / "home", store=store)
        yield home
        home.close()


@pytest.fixture
def second(toy_home: Home) -> Iterator[Home]:
    """The same home, as another process has it open."""
    other = wire_toys(toy_home.settings.home, store=toy_home.settings.store)
    yield other
    other.close()


@pytest.fixture(autouse=True)
def quick_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failing handlers are tried again at once."""
    monkeypatch.setattr(running, "BACKOFF", (0.0, 0.0))
    monkeypatch.setattr(running, "HOLD_SECONDS", 0.0)


@pytest.fixture(scope="module")
def sqlite_engine() -> Iterator[Engine]:
    """SQLite with the tables of `query_rows`."""
    made = create_engine("sqlite://")
    query_rows.metadata.create_all(made)
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def postgres_engine(postgres_shared: Server) -> Iterator[Engine]:
    """The same on PostgreSQL, spoken to as the query tables are."""
    with psycopg.connect(postgres_shared.url, autocommit=True) as db:
        db.execute("DROP SCHEMA IF EXISTS query_rows CASCADE; CREATE SCHEMA query_rows")
        url = f"{postgres_shared.url}?options=-csearch_path%3Dquery_rows"
        with closing(Postgres(url)) as postgres, closing(PostgresViews(postgres)) as views:
            query_rows.metadata.create_all(views._writers)
            yield views._writers
        db.execute("DROP SCHEMA query_rows CASCADE")


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.cluster)])
def engine(request: pytest.FixtureRequest) -> Engine:
    """A database with the tables of `query_rows`."""
    made: Engine = request.getfixturevalue(f"{request.param}_engine")
    return made
