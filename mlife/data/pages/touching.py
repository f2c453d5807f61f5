"""The preview of an exclusion: which rows of which documents a query over training rows touches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.core.events import EPOCH
from mlife.core.projection import Reader
from mlife.core.query import Searchable
from mlife.data import views
from mlife.data.pages.shown import tabs
from mlife.ui import answer, page
from mlife.ui.completing import completes
from mlife.ui.doing import Hands
from mlife.ui.lists import asked

router = APIRouter()
MOST_COUNTED = 50_000
"""Rows up to which a box tells the values that they have."""


def _rows(read: Reader, about: Mapping[str, str]) -> Searchable:
    """What can be asked of the rows of a `document`, or of the training data of a `system`'s `function`."""
    if "document" in about:
        found = views.document(read, about["document"])
        heads = [found] if found is not None else []
    else:
        heads = list(views.documents_of_function(read, about.get("system", ""), about.get("function", "")))
    made = views.searchable_rows({name: kind for head in heads for name, kind in head.columns.items()})
    few = sum(head.rows for head in heads) <= MOST_COUNTED
    return replace(made, large=not few, shown=views.rows_condition(heads, "", EPOCH))


completes(_rows, "rows")


@page(router, "/documents/touched")
def show_touched(request: Request, hands: Hands, system: str, function: str, q: str = "") -> Response:
    """Rows of training data of a function that a query touches, by document. Nothing is changed."""
    now = hands.now
    with hands.read() as read:
        heads = views.documents_of_function(read, system, function)
        columns = {name: kind for head in heads for name, kind in head.columns.items()}
        ask = asked(request, q, views.searchable_rows(columns), now)
        found = views.touched_rows(read, ask.readable, heads, now=now) if ask.readable.strip() else []
        position = read.position
    data = {
        "touched": [
            {"document_id": t.document.document_id, "name": t.document.name, "rows": t.rows, "first": list(t.first)}
            for t in found
        ],
        "rows": sum(t.rows for t in found),
        "documents": len(heads),
        "position": position,
    }
    return answer(
        request,
        "data/touched.html",
        data,
        q=ask.q,
        error=ask.error,
        shown=found,
        about={"system": system, "function": function},
        tabs=tabs("Documents"),
    )
