"""Wires the watch of a home: what follows its log, and its bus if it has one."""

from __future__ import annotations

from mlife.core.health.watch import BusSeen, Watch
from mlife.core.relay import Published
from mlife.runtime import Home, Settings
from mlife.runtime.relaying import open_relay_book


def watch_of(home: Home) -> Watch:
    """A watch that nobody runs yet; it looks when it is asked."""
    chosen, ports = home.settings, home.ports
    if chosen.is_alone:
        return Watch(ports.store, ports.views, home.book, home.do.clock)
    return Watch(
        ports.store,
        ports.views,
        home.book,
        home.do.clock,
        relay=lambda: published(chosen).position,
        bus=lambda: bus_seen(chosen),
    )


def published(chosen: Settings) -> Published:
    """How far the log is published. Raises Unavailable, Misconfigured."""
    with open_relay_book(chosen) as book:
        return book.published()


def bus_seen(chosen: Settings) -> BusSeen:
    """What the bus says of itself. Raises Unavailable, Misconfigured."""
    from mlife.adapters.health_kafka import seen
    from mlife.adapters.kafka_connection import connection

    return seen(connection(chosen.bus))
