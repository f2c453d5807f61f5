"""Rows of a document: as JSON, as a document in any form, one by one, and taken out."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from mlife.core.errors import Invalid, NotFound, Refused
from mlife.data import views
from mlife.data.commands import remove_rows
from mlife.data.formats import MEDIA_TYPES, Form, form_of
from mlife.data.pages.documents import row_json
from mlife.data.pages.files import disposition
from mlife.data.pages.shown import intake_of, the_document, thumbnail
from mlife.ui import answer, page, see
from mlife.ui.doing import Doing, Hands
from mlife.ui.said import Said, is_form, listed

router = APIRouter()


@router.get("/api/v1/documents/{document_id}/rows", response_model=None)
def list_rows(
    document_id: str,
    hands: Hands,
    q: str = "",
    sort: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> Response:
    """A page of the rows that match."""
    with hands.read() as read:
        head = the_document(read, document_id)
        found = views.row_page(read, [head], q, now=hands.now, sort=sort, after=after, limit=limit)
        position = read.position
    told = found.told("rows", (row_json(r) for r in found.items), position)
    return Response(orjson.dumps(told), media_type="application/json")


@router.get("/api/v1/documents/{document_id}/export", response_class=Response)
@router.get("/documents/{document_id}/export", response_class=Response, include_in_schema=False)
def export_document(document_id: str, hands: Hands, form: str = "csv", q: str = "") -> Response:
    """The rows that match as a document: csv, json, ndjson or xml, streamed."""
    kind = form_of(form)
    with hands.read() as read:
        head = the_document(read, document_id)
        views.rows_condition([head], q, hands.now)  # a wrong query is answered before the first byte
    chunks = intake_of(hands).export_document(document_id, kind, query=q)
    headers = {
        "Content-Disposition": disposition(f"{_stem(head.name)}.{kind}"),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(chunks, headers=headers, media_type=MEDIA_TYPES[Form(kind)])


def _stem(name: str) -> str:
    """*name* without the ending of a form."""
    for form in Form:
        name = name.removesuffix(f".{form}")
    return name.replace("/", "_")[:80] or "document"


@page(router, "/documents/{document_id}/rows/{number}")
def show_row(request: Request, document_id: str, number: int, hands: Hands) -> Response:
    """One row: the picture, the annotation, all columns, and what its file is used for."""
    with hands.read() as read:
        head = the_document(read, document_id)
        found = views.row(read, document_id, number)
        if found is None:
            raise NotFound(
                f"document {document_id} has no row {number}", remedy="it may have been removed; open the document"
            )
        uses = views.uses_of_file(read, found.sha256) if found.sha256 else []
        position = read.position
    data = {"row": row_json(found), "uses": [{"kind": u.kind, "in": u.used_in} for u in uses], "position": position}
    shown = {k: v if isinstance(v, str | int | float) else orjson.dumps(v).decode() for k, v in found.body.items()}
    return answer(request, "data/row.html", data, head=head, found=found, shown=shown, used=uses, thumbnail=thumbnail)


@router.post("/api/v1/documents/{document_id}/remove-rows", response_model=None)
@router.post("/documents/{document_id}/remove-rows", response_model=None, include_in_schema=False)
def take_out(request: Request, document_id: str, hands: Hands, said: Said) -> Response:
    """
    Take rows out, by `numbers` or by a query `q`, with a `reason`; groups keep what they froze.

    Honours `If-Match` with the document's version.
    """
    from_page = is_form(request)
    told = _take_out(hands, document_id, said, from_page=from_page)
    if not from_page:
        return JSONResponse(told)
    where = f"/documents/{document_id}?min_position={told['position']}"
    return see(where, f"{told['removed']:,} rows removed; groups keep what they froze")


def _take_out(hands: Doing, document_id: str, said: dict[str, Any], *, from_page: bool) -> dict[str, Any]:
    chosen = listed(said.get("numbers") or said.get("selected"))
    query = str(said.get("q") or "")
    if from_page and not chosen:  # the form has the page's query in it: it must not stand for a selection
        raise Refused("no row is selected", remedy="select rows, or all that match, then remove them")
    numbers = _numbers(chosen)
    if "*" in chosen or (query and not numbers):
        with hands.read() as read:
            head = the_document(read, document_id)
            numbers = views.numbers_of(read, views.rows_condition([head], query, hands.now))
    done = hands.edit(
        f"document/{document_id}",
        remove_rows,
        document_id=document_id,
        numbers=numbers,
        reason=str(said.get("reason") or ""),
    )
    removed = sum(len(getattr(e, "numbers", ())) for e in done.events)
    return {"position": done.position, "document_id": document_id, "removed": removed}


def _numbers(words: list[str]) -> list[int]:
    wrong = [w for w in words if w != "*" and not w.isdecimal()]
    if wrong:
        raise Invalid(f"{wrong[0]!r} is no row number", remedy="rows are numbered from 1")
    return [int(w) for w in words if w != "*"]
