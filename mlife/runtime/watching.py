"""Wires the watch of a home: what follows its log, and its bus if it has one."""

from __future__ import annotations

from typing import Final

from mlife.core.health.watch import BusSeen, Watch
from mlife.core.relay import Published
from mlife.runtime import Home, Settings
from mlife.runtime.relaying import open_relay_book


def watch_of(home: Home) -> Watch:
    """A watch that nobody runs yet; it looks when it is asked."""
    chosen, ports = home.settings, home.ports
    return Watch(
        ports.store,
        ports.views,
        home.book,
        home.do.clock,
        relay=None if chosen.is_alone else lambda: published(chosen).position,
        bus=None if chosen.is_alone else lambda: bus_seen(chosen),
        files=lambda: ports.blobs.has(NOBODYS),
    )


NOBODYS: Final = "0" * 64
"""A digest that no file has: asking for it shows whether the store of files answers."""


def published(chosen: Settings) -> Published:
    """How far the log is published. Raises Unavailable, Misconfigured."""
    with open_relay_book(chosen) as book:
        return book.published()


def bus_seen(chosen: Settings) -> BusSeen:
    """What the bus says of itself. Raises Unavailable, Misconfigured."""
    from mlife.adapters.health_kafka import seen
    from mlife.adapters.kafka_connection import connection

    return seen(connection(chosen.bus))
