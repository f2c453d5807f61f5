"""
Rebuild, verify, roll back: a projection's tables are replaceable, and this proves and replaces them.

A rebuild fills a new generation beside the live one, then flips behind the barrier: with the writer lock held the head
stands still, so catching up to it and flipping loses nothing. Readers see the old tables or the new ones, never a mix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from mlife.core.control import skips_of
from mlife.core.errors import Conflict, Refused
from mlife.core.folding import fold
from mlife.core.handler import Ports
from mlife.core.projection import Projection, Standing, projections

Progress = Callable[[int, int], None]
"""Called with (position, head)."""

FILL_RUN = 20_000
"""Events in one transaction while filling: twice as many touch the rows of a badcase half as often."""

CLOSE_ENOUGH = 200
"""Events that may be left to fold behind the barrier."""

CHASES = 20
"""How often the head is chased before writers are made to wait, should they be faster than the fold."""


def silent(position: int, head: int) -> None:
    """Show no progress."""


def rebuild(ports: Ports, projection: Projection, progress: Progress = silent) -> Standing:
    """
    Fill a new generation from the whole log and make it the live one.

    Raises:
        Unfoldable: the log holds an event that the projection can't fold; the live generation stays.
        Refused: the projection is being rebuilt already.
    """
    views, store = ports.views, ports.store
    with _building(ports, projection) as empty:
        standing = fill(ports, projection, empty, store.head(), progress)
        views.finish(projection, standing)
        standing = _chase(ports, projection, standing, progress)
        with store.barrier() as head:
            standing = fill(ports, projection, standing, head, progress)
            views.flip(standing)
    store.wake()
    return replace(standing, state="live")


def fill(ports: Ports, projection: Projection, standing: Standing, head: int, progress: Progress = silent) -> Standing:
    """Fold the log into *standing* up to *head*."""
    skips = skips_of(ports.store, projection.name)
    while standing.position < head:
        events = ports.store.read(standing.position, min(FILL_RUN, head - standing.position))
        standing = fold(ports.views, projection, standing, events, skips)
        progress(standing.position, head)
    return standing


def verify(ports: Ports, projection: Projection, progress: Progress = silent) -> list[str]:
    """
    Replay the log into a scratch generation and compare it with the live one, row by row.

    Writers wait while both are brought to the head, not while they are compared.

    Returns:
        The differences, as sentences; empty when every row is what a fresh replay gives.

    Raises:
        Unfoldable: the log holds an event that the projection can't fold.
        Refused: the projection is being rebuilt.
    """
    with _building(ports, projection) as empty, ExitStack() as snapshot:
        scratch = _chase(ports, projection, empty, progress)
        with ports.store.barrier() as head:
            scratch = fill(ports, projection, scratch, head)
            live = _live_at(ports, projection, head)
            differences = snapshot.enter_context(ports.views.comparing(projection, live, scratch))
        return differences()


def rollback(ports: Ports, projection: Projection) -> Standing:
    """
    Make the generation before the live one live again, caught up to the head.

    Raises:
        Refused: none was kept.
        Unfoldable: it can't be caught up.
    """
    with _alone(ports, projection):
        standing = _chase(ports, projection, _kept(ports, projection), silent)
        with ports.store.barrier() as head:
            standing = fill(ports, projection, standing, head)
            ports.views.flip(standing)
    ports.store.wake()
    return replace(standing, state="live")


def _kept(ports: Ports, projection: Projection) -> Standing:
    mine = (projection.name, projection.version, "old")
    kept = [s for s in ports.views.standings() if (s.name, s.version, s.state) == mine]
    if not kept:
        raise Refused(
            f"no earlier generation of {projection.name} v{projection.version} is kept",
            remedy="one is kept after each `mlife projection rebuild`",
        )
    return kept[-1]


@contextmanager
def _alone(ports: Ports, projection: Projection) -> Iterator[None]:
    with ports.locks.hold(_lock(projection.name)) as held:
        if not held:
            raise Refused(f"projection {projection.name} is being rebuilt or verified already", remedy="wait for it")
        yield


@contextmanager
def _building(ports: Ports, projection: Projection) -> Iterator[Standing]:
    """An empty generation, which is dropped at the end unless it became live, whatever ends the block."""
    with _alone(ports, projection):
        ports.views.prepare(projection)
        _discard_fillings(ports, projection)  # of one that was killed
        try:
            yield ports.views.new_generation(projection)
        finally:
            _discard_fillings(ports, projection)


def sweep(ports: Ports) -> None:
    """Drop what rebuilds and verifications that were killed have left half-filled."""
    for s in ports.views.standings():
        if is_left_over(ports, s) and s.name in projections:
            with ports.locks.hold(_lock(s.name)) as held:
                if held:
                    _discard_fillings(ports, projections[s.name])


def is_left_over(ports: Ports, standing: Standing) -> bool:
    """Is nobody filling this half-filled generation any more?"""
    return standing.state == "filling" and not ports.locks.is_held(_lock(standing.name))


def _lock(name: str) -> str:
    return f"rebuild-{name}"


def _discard_fillings(ports: Ports, projection: Projection) -> None:
    for s in ports.views.standings():
        if (s.name, s.version, s.state) == (projection.name, projection.version, "filling"):
            ports.views.discard(s)


def _chase(ports: Ports, projection: Projection, standing: Standing, progress: Progress) -> Standing:
    for _ in range(CHASES):
        head = ports.store.head()
        if head - standing.position <= CLOSE_ENOUGH:
            break
        standing = fill(ports, projection, standing, head, progress)
    return standing


def _live_at(ports: Ports, projection: Projection, head: int) -> Standing:
    """The live generation once it has folded the log up to *head*, whoever folds it."""
    while True:
        live = ports.views.prepare(projection)
        try:
            return fill(ports, projection, live, head)
        except Conflict:
            continue  # the runner of another process was faster; it stops at head too
