"""Folding a run of events into one generation, and naming the one event that can't be folded."""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from mlife.core.errors import Conflict, MLifeError, Parked, in_a_line
from mlife.core.events import Event, Recorded
from mlife.core.projection import Projection, Standing, Views


@contextmanager
def without_gc() -> Iterator[None]:
    """The cyclic collector off: in a run of events it finds nothing, and takes a quarter of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def paced(run: int, seconds: float) -> int:
    """
    How many events the next run may have, by how long the last one of *run* took.

    Some events cost a thousand times what others do (a rule applied to old reports); whoever is killed in a long run
    begins it again, and readers wait for it.
    """
    if seconds > 2.0:
        return max(run // 2, 50)
    return run * 2 if seconds < 0.5 else run


class Unfoldable(Parked):
    """
    A projection met an event that it can't fold.

    Args:
        standing: where the generation stands: right before the event.
    """

    title = "Event can't be folded"

    def __init__(self, standing: Standing, culprit: Recorded[Event], fault: Exception) -> None:
        name, position = standing.name, culprit.position
        super().__init__(
            f"projection {name} can't fold {culprit.draft.type} at position {position}: {in_a_line(fault)}",
            remedy=f"mend it, or `mlife projection skip {name} {position}`, which every replay honours",
        )
        self.standing = standing


def fold(
    views: Views, projection: Projection, standing: Standing, events: Sequence[Recorded[Event]], skips: Collection[int]
) -> Standing:
    """
    Fold consecutive *events*, those at *skips* left out, and move the checkpoint past them.

    Raises:
        Unfoldable: what comes before the event at fault is folded, and the checkpoint stands there.
        Conflict: the generation was moved, flipped or dropped by another.
        Unavailable, HomeUnusable: the tables can't be written now.
    """
    taken = {t for t in {r.draft.type for r in events} if projection.takes(t)}
    mine = [r for r in events if r.draft.type in taken and r.position not in skips] if taken else []
    try:
        return views.apply(projection, standing, mine, events[-1].position)
    except Conflict:
        raise
    except Exception as e:  # a fold is anybody's code: find the event at fault
        if is_outage(e):
            raise
        fault = e
    if len(events) == 1:
        raise Unfoldable(standing, events[0], fault) from fault
    half = len(events) // 2
    middle = fold(views, projection, standing, events[:half], skips)
    return fold(views, projection, middle, events[half:], skips)


def is_outage(fault: BaseException) -> bool:
    """Is *fault* nobody's: something can't be reached or written now, and the same may work later?"""
    return isinstance(fault, MLifeError) and fault.status in {503, 507}
