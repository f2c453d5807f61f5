"""Wires the relay: the log, the bus and the book that says how far the one is on the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from mlife.core.errors import Misconfigured
from mlife.core.events import registry
from mlife.core.relay import Relay, RelayBook
from mlife.runtime import Settings, load_features, needing


@contextmanager
def open_relay(chosen: Settings) -> Iterator[Relay]:
    """
    The relay of the log that *chosen* names; nothing is published yet.

    Raises:
        Misconfigured: there is no bus to publish on, or something in a URL is wrong.
        Unavailable: the log can't be reached.
    """
    if chosen.is_alone:
        raise Misconfigured(
            "MLIFE_BUS is inprocess: there is nothing to publish on, and `mlife up` needs no relay",
            remedy="set MLIFE_BUS to kafka://host:port, and MLIFE_STORE to postgresql://…",
        )
    with needing("cluster", "MLIFE_BUS is kafka"):
        from mlife.adapters.bus_kafka import KafkaBus
        from mlife.adapters.events_postgres import PostgresEventStore
        from mlife.adapters.kafka_connection import connection
        from mlife.adapters.postgres import Postgres
        from mlife.adapters.relay_postgres import PostgresRelayBook

    there = connection(chosen.bus)
    load_features(("events",))
    with ExitStack() as open_:
        database = open_.enter_context(closing(Postgres(chosen.store)))
        store = open_.enter_context(closing(PostgresEventStore(database)))
        bus = open_.enter_context(closing(KafkaBus(there, registry)))
        book = PostgresRelayBook(database)
        yield Relay(store, bus, book, shown=f"{database.shown} → {there.shown}")


@contextmanager
def open_relay_book(chosen: Settings) -> Iterator[RelayBook]:
    """How far the bus is, for those who only look. Raises as `open_relay`."""
    with needing("cluster", "MLIFE_STORE is PostgreSQL"):
        from mlife.adapters.postgres import Postgres
        from mlife.adapters.relay_postgres import PostgresRelayBook

    with closing(Postgres(chosen.store)) as database:
        yield PostgresRelayBook(database)
