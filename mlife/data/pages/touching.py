"""The preview of an exclusion: which rows of which documents a query over training rows touches."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.data import views
from mlife.data.pages.shown import tabs
from mlife.ui import answer, page
from mlife.ui.doing import Hands
from mlife.ui.lists import asked

router = APIRouter()


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
