"""Slow handlers, which wait for others' machines: a runner of their own runs them, beside the one for all the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from mlife.core.handler import Ports, handlers
from mlife.core.media.links import Links

BESIDE_SECONDS: Final = 0.05
"""How long slow handlers wait for projections until they look again."""
LEAVE_SECONDS: Final = 5.0
"""How long a slow handler is waited for at the end."""


def slow() -> frozenset[str]:
    """Names of the slow handlers."""
    return frozenset(name for name, h in handlers.items() if h.is_slow)


@contextmanager
def in_a_thread(work: Callable[[threading.Event], None], ports: Ports) -> Iterator[None]:
    """*work* in a thread of its own, for the block. What it still does at the end may be done again by another."""
    ends = threading.Event()
    links = ports.extra.get("links")
    if isinstance(links, Links):
        links.stop = ends
    thread = threading.Thread(target=work, args=(ends,), name="mlife-slow", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        ports.store.wake()
        thread.join(LEAVE_SECONDS)
