"""What the relay's tests share: a log on PostgreSQL whose events belong to every component, and its subscribers."""

import random
from collections.abc import Iterator
from contextlib import closing

import pytest

from mlife.adapters.events_postgres import PostgresEventStore
from mlife.adapters.postgres import Postgres
from mlife.core.ports import EventStore
from mlife.runtime import load_features
from tests.relay.facts import Facts


@pytest.fixture(scope="session", autouse=True)
def features() -> None:
    """Every installed feature: its events name the topics."""
    load_features()


@pytest.fixture
def store(postgres_url: str) -> Iterator[EventStore]:
    """An empty log."""
    with closing(Postgres(postgres_url)) as database, closing(PostgresEventStore(database)) as store:
        yield store


@pytest.fixture
def facts(store: EventStore) -> Facts:
    """What writes random facts of all components into it."""
    return Facts(store, random.Random(7))
