"""Documents in: by HTTP as a raw body or a form, and the page with that form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, Response

from mlife.core.errors import Invalid
from mlife.data.formats import Form, form_of
from mlife.data.intake import Imported
from mlife.data.pages.shown import intake_of, tabs
from mlife.data.pages.uploads import is_multipart, streamed
from mlife.ui import render, see
from mlife.ui.doing import Doing, Hands
from mlife.ui.pages import wants_json

router = APIRouter()
LARGEST_DOCUMENT = 2 << 30


@router.post("/api/v1/documents", response_model=None)
@router.post("/documents", response_model=None, include_in_schema=False)
async def import_document(request: Request, hands: Hands) -> Response:
    """
    Import a table of labelled files: the raw body, or `file` of a multipart form.

    Said beside it, in the address or as fields: name, form (else by content type or file name), id, into, purpose
    (`testing`), system, function, request, iteration. The good rows are kept; the others come back with line and field.
    """
    if is_multipart(request):
        async with request.form(max_files=1, max_fields=50) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile) or not file.filename:
                raise Invalid("no document came", remedy="send it as the field file, or as the body")
            said = {**request.query_params, **{k: v for k, v in form.items() if isinstance(v, str) and v.strip()}}
            told = await run_in_threadpool(_take, hands, file.file, said, file.filename)
    else:
        async with streamed(request, LARGEST_DOCUMENT) as body:
            kind = request.headers.get("content-type", "")
            told = await run_in_threadpool(_take, hands, body, dict(request.query_params), kind)
    if wants_json(request):
        return JSONResponse(told.as_json())
    return see(f"/documents/{told.document_id}?min_position={told.position}", _sentence(told))


def _take(hands: Doing, source: BinaryIO, said: Mapping[str, Any], told_by: str) -> Imported:
    """*told_by*: file name or content type, which tells the form if nobody says it."""
    name = str(said.get("name") or ("" if "/" in told_by else told_by) or "document")
    return intake_of(hands).import_document(
        source,
        _form(said.get("form"), name, told_by),
        name=name,
        document_id=said.get("id"),
        into=said.get("into"),
        purpose=said.get("purpose") or "any",
        system=said.get("system"),
        function=said.get("function"),
        request_id=said.get("request"),
        iteration_id=said.get("iteration"),
        key=hands.key,
    )


def _form(said: str | None, name: str, told_by: str) -> Form:
    fault: Invalid | None = None
    for word in (said, told_by, name):
        if not word or word.startswith(("application/octet-stream", "application/x-www-form-urlencoded")):
            continue
        try:
            return form_of(word)
        except Invalid as e:
            fault = fault or e
    raise fault or Invalid("nothing tells the document's form", remedy="add ?form=csv, json, ndjson or xml")


def _sentence(told: Imported) -> str:
    if told.known:
        return f"This document was here already: {told.rows:,} rows, nothing was written"
    refused = ""
    if told.refused_count:
        refused = f". {told.refused_count:,} refused: {'; '.join(map(str, told.refused[:2]))}"
    missing = f", {told.missing:,} without bytes in the store" if told.missing else ""
    return f"{told.rows:,} rows imported{missing}{refused}"[:900]


@router.get("/documents/import", include_in_schema=False)
def import_form(request: Request, into: str = "", collection: str = "") -> Response:
    """The form; `into` appends to a document, `collection` answers a request."""
    return render(request, "data/import.html", into=into, collection=collection, tabs=tabs("Documents"))
