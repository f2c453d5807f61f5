"""Queries that a team keeps under a name."""

from __future__ import annotations

from typing import Literal

from mlife.core.events import Event, event


@event("mlife.view.saved", stream="view/{view_id}", key="view_id")
class ViewSaved(Event):
    """
    A query has a name from now on; saved again, the name means the new query.

    Fields:
        view_id: the name in small letters, with hyphens. of: which list it is a query of. sort: empty for the default.
    """

    view_id: str
    name: str
    of: Literal["badcases", "reports"]
    query: str
    sort: str = ""
    by: str | None = None


@event("mlife.view.removed", stream="view/{view_id}", key="view_id")
class ViewRemoved(Event):
    """The name means nothing any more."""

    view_id: str
    by: str | None = None
