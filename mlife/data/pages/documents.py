"""Documents: the list with what its rows are made of, and one of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.data import views
from mlife.data.pages.shown import charts, most_of, statistics_json, tabs, the_document, thumbnail
from mlife.data.views import DocumentView, RowView, Statistics
from mlife.ui import answer, page, selection
from mlife.ui.doing import Hands
from mlife.ui.lists import asked

router = APIRouter()


@page(router, "/documents")
def list_documents(
    request: Request, hands: Hands, q: str = "", sort: str | None = None, after: str | None = None, limit: int = 50
) -> Response:
    """Documents (tables of labelled files), and what the rows of all that match are made of."""
    now = hands.now
    ask = asked(request, q, views.searchable_documents, now)
    with hands.read() as read:
        found = views.document_page(read, ask.readable, now=now, sort=sort, after=after, limit=limit)
        statistics = views.analyse(read, views.rows_in_documents(ask.readable, now))
        waiting = views.requests_for(read, state="open")[:3]
        position = read.position
    data = found.told("documents", (asdict(d) for d in found.items), position, statistics=statistics_json(statistics))
    return answer(
        request,
        "data/documents.html",
        data,
        q=ask.q,
        error=ask.error,
        shown=found.items,
        tabs=tabs("Documents"),
        waiting=waiting,
        most=most_of(request, statistics, ask.readable),
        charts=charts(request, statistics, ask.readable, {"class": "class", "type": "type"}),
        searching=bool(q.strip()),
    )


@page(router, "/documents/{document_id}")
def show_document(
    request: Request,
    document_id: str,
    hands: Hands,
    q: str = "",
    sort: str | None = None,
    after: str | None = None,
    limit: int = 50,
    view: str = "table",
) -> Response:
    """One document: its rows that match, what they are made of, and the form that groups them."""
    now = hands.now
    with hands.read() as read:
        head = the_document(read, document_id)
        ask = asked(request, q, views.searchable_rows(head.columns), now)
        found = views.row_page(read, [head], ask.readable, now=now, sort=sort, after=after, limit=limit)
        statistics = views.analyse(read, views.rows_condition([head], ask.readable, now))
        groups = views.groups_of_document(read, document_id)
        position = read.position
    data = found.told(
        "rows",
        (row_json(r) for r in found.items),
        position,
        document=asdict(head),
        statistics=statistics_json(statistics),
        groups=[{"group_id": g.group_id, "purpose": g.purpose, "rows": g.rows} for g in groups],
    )
    response = answer(
        request,
        "data/document.html",
        data,
        q=ask.q,
        error=ask.error,
        head=head,
        shown=found.items,
        used_in=groups,
        view=view,
        selected=selection(request),
        most=most_of(request, statistics, ask.readable),
        columns=columns_of(head),
        charts=charts(request, statistics, ask.readable, {"class": "class", "type": "type"}),
        thumbnail=thumbnail,
        next_step=_next(head, statistics, grouped=bool(groups)),
    )
    response.headers["ETag"] = f'"{head.version}"'
    return response


def row_json(row: RowView) -> dict[str, Any]:
    """A row for programs: as in a JSON document, with its number and whether its bytes are here."""
    return {**row.body, "number": row.number, "sha256": row.sha256, "size": row.size, "stored": row.stored}


def columns_of(head: DocumentView) -> list[str]:
    """Free columns that the table has room for."""
    return [name for name, kind in head.columns.items() if kind != "json"][:3]


def _next(head: DocumentView, statistics: Statistics, *, grouped: bool) -> tuple[str, str]:
    """What to do next: a sentence, and which of `put`, `label`, `group`, `pinned`, `grouped` it is."""
    if head.purpose == "testing":
        return "These rows test and never train. Group them, and the next model is measured on them.", "pinned"
    if statistics.missing:
        return (
            f"{statistics.missing:,} of {statistics.rows:,} rows name files that are not stored yet. Put these first.",
            "put",
        )
    if statistics.unlabelled:
        return f"{statistics.unlabelled:,} rows are not labelled yet. Label them, and import them again.", "label"
    if not grouped:
        return "Group rows into a training, validation or testing set: a draft task is made with it.", "group"
    return "Rows of it are grouped already. Group others, or start the task.", "grouped"
