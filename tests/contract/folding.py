"""Folding without a log: changes of query tables as a test says them."""

from collections.abc import Callable

from mlife.core.events import Event, Recorded
from mlife.core.projection import Projection, Tx, Views
from tests.contract.drafts import draft

Change = Callable[[Tx], None]


def fold(views: Views, *changes: Change, projection: Projection) -> None:
    """Each change in a transaction of its own, as the fold of one event."""
    for change in changes:
        standing = views.prepare(projection)
        events = [Recorded[Event](standing.position + 1, 1, draft("ware/1", str(standing.position)))]
        projection.apply = lambda events, tx, change=change: change(tx)  # type: ignore[method-assign]
        try:
            views.apply(projection, standing, events, standing.position + 1)
        finally:
            del projection.apply  # type: ignore[method-assign]
