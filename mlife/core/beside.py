"""Slow handlers, which wait for others' machines: a runner of their own runs them, beside the one for all the rest."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from mlife.core.handler import handlers
from mlife.core.media.links import Links

if TYPE_CHECKING:
    from mlife.core.runner import Runner

BESIDE_SECONDS: Final = 0.05
"""How long slow handlers wait for projections until they look again."""
LEAVE_SECONDS: Final = 5.0
"""How long a slow handler is waited for at the end."""


def slow() -> frozenset[str]:
    """Names of the slow handlers."""
    return frozenset(name for name, h in handlers.items() if h.is_slow)


@contextmanager
def in_a_thread(runner: Runner) -> Iterator[None]:
    """*runner* in a thread of its own, for the block. What it still does at the end may be done again by another."""
    ends = threading.Event()
    links = runner.ports.extra.get("links")
    if isinstance(links, Links):
        links.stop = ends
    thread = threading.Thread(target=runner.work, args=(ends,), name="mlife-slow", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        runner.ports.store.wake()
        thread.join(LEAVE_SECONDS)
