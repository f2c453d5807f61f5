"""Saved views, and what they find now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Select, select

from mlife.badcases.views import lists
from mlife.badcases.views.search import searchable_badcases, searchable_reports
from mlife.badcases.views.tables import view_rows
from mlife.core.errors import Refused, there_is
from mlife.core.projection import Reader
from mlife.core.query import Searchable, compile_query, parse, read_sort

v = view_rows.c


@dataclass(frozen=True, slots=True)
class SavedView:
    """A query under a name; `of` is the list that it is a query of, `sort` empty for that list's own."""

    view_id: str
    name: str
    of: str
    query: str
    sort: str
    saved_by: str | None
    saved_at: datetime
    position: int

    @property
    def href(self) -> str:
        """The list that shows what it finds."""
        asked = {"q": self.query, **({"sort": self.sort} if self.sort else {})}
        return f"/{self.of}?{urlencode(asked)}"


def saved_views(read: Reader, of: str | None = None) -> list[SavedView]:
    """All, or those of one list, by name."""
    mine = select(view_rows) if of is None else select(view_rows).where(v.list_name == of)
    return _views(read, mine.order_by(v.list_name, v.name, v.view_id))


def saved_view(read: Reader, view_id: str) -> SavedView | None:
    """One; None if nothing is saved under the id."""
    return next(iter(_views(read, select(view_rows).where(v.view_id == view_id))), None)


def badcases_of_view(read: Reader, view_id: str, *, now: datetime, limit: int = 20_000) -> list[str]:
    """
    The ids that a saved view finds now, the most urgent first: to be frozen as the target of an iteration.

    Raises:
        NotFound: there is no such view.
        Refused: it finds reports, or more than *limit*.
    """
    view = there_is(saved_view(read, view_id), "view", view_id)
    if view.of != "badcases":
        raise Refused(f"the view {view.name} finds {view.of}", remedy="use one of badcases")
    found = lists.matching_ids(read, view.query, now=now, limit=limit + 1)
    if len(found) > limit:
        raise Refused(f"the view {view.name} finds more than {limit} badcases", remedy="narrow its query")
    return found


def searchable_of(of: str) -> Searchable:
    """The fields of the list called *of*."""
    return searchable_reports if of == "reports" else searchable_badcases


def check(of: str, query: str, sort: str, *, now: datetime) -> None:
    """
    Look whether a view can be used.

    Raises:
        QueryError: its query or its order can't be read.
    """
    compile_query(parse(query), searchable_of(of), now)
    if sort:
        read_sort(sort, searchable_of(of))


def _views(read: Reader, statement: Select[Any]) -> list[SavedView]:
    return [
        SavedView(row.view_id, row.name, row.list_name, row.query, row.sort, row.saved_by, row.saved_at, row.number)
        for row in read.all(statement)
    ]
