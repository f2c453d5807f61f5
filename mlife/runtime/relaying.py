"""Wires the relay: the log, the bus and the book that says how far the one is on the other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from mlife.core.errors import Misconfigured, Unavailable
from mlife.core.events import registry
from mlife.core.relay import LONGEST_PAUSE, Relay, RelayBook
from mlife.core.trouble import Trouble
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


def run_relay(chosen: Settings, stop: threading.Event) -> None:
    """
    Publish what *chosen* names until *stop* is set; a log that can't be reached is waited for, also at the start.

    Raises:
        Misconfigured, Corrupt: a person must do something first.
    """
    trouble = Trouble(logging.getLogger("mlife.relay"))
    while not stop.is_set():
        try:
            with open_relay(chosen) as relay:
                relay.run(stop)
        except Unavailable as fault:
            trouble.met(str(fault))
            stop.wait(LONGEST_PAUSE)


@contextmanager
def open_relay_book(chosen: Settings) -> Iterator[RelayBook]:
    """How far the bus is, for those who only look. Raises as `open_relay`."""
    with needing("cluster", "MLIFE_STORE is PostgreSQL"):
        from mlife.adapters.postgres import Postgres
        from mlife.adapters.relay_postgres import PostgresRelayBook

    with closing(Postgres(chosen.store)) as database:
        yield PostgresRelayBook(database)
