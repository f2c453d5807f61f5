"""
Rebuild, verify, roll back: a projection's tables are replaceable, and this proves and replaces them.

A rebuild fills a new generation beside the live one, then flips behind the barrier: with the writer lock held the head
stands still, so catching up to it and flipping loses nothing. Readers see the old tables or the new ones, never a mix.
"""

from __future__ import annotations

from collections.abc import Callable

from mlife.core.errors import Conflict, Refused
from mlife.core.events import Event, Recorded
from mlife.core.handler import Ports
from mlife.core.projection import Projection, Standing
from mlife.core.runner import FILL_RUN, skips_of

Progress = Callable[[int, int], None]
"""Called with (position, head)."""

CLOSE_ENOUGH = 200
"""Events that may be left to fold behind the barrier."""


def silent(position: int, head: int) -> None:
    """Show no progress."""


def rebuild(ports: Ports, projection: Projection, progress: Progress = silent) -> Standing:
    """Fill a new generation from the whole log and make it the live one."""
    views, store = ports.views, ports.store
    views.prepare(projection)
    standing = fill(ports, projection, views.new_generation(projection), store.head(), progress)
    views.finish(projection, standing)
    while store.head() - standing.position > CLOSE_ENOUGH:
        standing = fill(ports, projection, standing, store.head(), progress)
    with store.barrier() as head:
        standing = fill(ports, projection, standing, head, progress)
        views.flip(standing)
    store.wake()
    return standing


def fill(ports: Ports, projection: Projection, standing: Standing, head: int, progress: Progress = silent) -> Standing:
    """Fold the log into *standing* up to *head*."""
    skips = skips_of(ports, projection)
    while standing.position < head:
        events = ports.store.read(standing.position, min(FILL_RUN, head - standing.position))
        mine: list[Recorded[Event]] = [r for r in events if projection.takes(r.draft.type) and r.position not in skips]
        standing = ports.views.apply(projection, standing, mine, events[-1].position)
        progress(standing.position, head)
    return standing


def verify(ports: Ports, projection: Projection, progress: Progress = silent) -> list[str]:
    """
    Replay the log into a scratch generation and compare it with the live one, row by row.

    Returns:
        The differences, as sentences; empty when every row is what a fresh replay gives.
    """
    views = ports.views
    scratch = fill(ports, projection, views.new_generation(projection), ports.store.head(), progress)
    try:
        with ports.store.barrier() as head:
            scratch = fill(ports, projection, scratch, head)
            live = _live_at(ports, projection, head)
            return views.compare(projection, live, scratch)
    finally:
        views.discard(scratch)


def rollback(ports: Ports, projection: Projection) -> Standing:
    """
    Make the generation before the live one live again, caught up to the head.

    Raises:
        Refused: none was kept.
    """
    kept = [
        s
        for s in ports.views.standings()
        if (s.name, s.version, s.state) == (projection.name, projection.version, "old")
    ]
    if not kept:
        raise Refused(
            f"no earlier generation of {projection.name} v{projection.version} is kept",
            remedy="one is kept after each `mlife projection rebuild`",
        )
    standing = fill(ports, projection, kept[-1], ports.store.head())
    with ports.store.barrier() as head:
        standing = fill(ports, projection, standing, head)
        ports.views.flip(standing)
    ports.store.wake()
    return standing


def _live_at(ports: Ports, projection: Projection, head: int) -> Standing:
    """The live generation once it has folded the log up to *head*, whoever folds it."""
    while True:
        live = ports.views.prepare(projection)
        try:
            return fill(ports, projection, live, head)
        except Conflict:
            continue  # the runner of another process was faster; it stops at head too
