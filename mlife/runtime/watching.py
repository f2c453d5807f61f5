"""Wires the watch of a home: what follows its log, and its bus if it has one."""

from __future__ import annotations

from mlife.core.health.watch import Watch
from mlife.runtime import Home


def watch_of(home: Home) -> Watch:
    """A watch that nobody runs yet; it looks when it is asked."""
    return Watch(home.ports.store, home.ports.views, home.book, home.do.clock)
