"""Everything that a query matches, or what is selected, as a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from mlife.badcases.exporting import MEDIA_TYPES, check_format, written
from mlife.badcases.views.export import columns_of, rows_of
from mlife.badcases.views.fields import sought
from mlife.badcases.views.saved import searchable_of
from mlife.core.query import compile_query, parse, read_sort
from mlife.ui import selection
from mlife.ui.doing import Doing, Hands

router = APIRouter(tags=["badcases"])
Form = Annotated[str, Query(alias="format")]


@router.get("/api/v1/badcases/export", response_class=Response)
@router.get("/badcases/export", include_in_schema=False)
def export_badcases(
    request: Request, hands: Hands, q: str = "", form: Form = "csv", sort: str | None = None
) -> Response:
    """
    Badcases as CSV, NDJSON or Parquet: all that `q` matches, or those named by `selected`, as they are at one moment.

    It is streamed; docs/retrieval.md has the columns, and how CSV keeps spreadsheets from running what was sent.
    """
    return _sent(request, hands, "badcases", q, form, sort)


@router.get("/api/v1/reports/export", response_class=Response)
@router.get("/reports/export", include_in_schema=False)
def export_reports(
    request: Request, hands: Hands, q: str = "", form: Form = "csv", sort: str | None = None
) -> Response:
    """Reports as CSV, NDJSON or Parquet; `selected` names positions. As for badcases otherwise."""
    return _sent(request, hands, "reports", q, form, sort)


def _sent(request: Request, hands: Doing, of: str, q: str, form: str, sort: str | None) -> Response:
    form = check_format(form)
    searchable, now = searchable_of(of), hands.now
    compile_query(parse(q), searchable, now)  # what is wrong is said before the first byte
    read_sort(sort or "", searchable)
    chosen = selection(request)
    only = None if not chosen or "*" in chosen else chosen
    with hands.read() as read:
        declared = sought(read)
    columns, parquet = columns_of(of, declared), hands.ports.extra.get("parquet")
    written(form, columns, (), hands.open, parquet)

    def pieces() -> Iterator[bytes]:
        with hands.read() as read:
            parts = rows_of(read, of, q, now=now, sort=sort or None, only=only, declared=declared)
            yield from written(form, columns, parts, hands.open, parquet)

    headers = {
        "Content-Disposition": f'attachment; filename="{of}-{now:%Y-%m-%d}.{form}"',
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
    }
    return StreamingResponse(pieces(), media_type=MEDIA_TYPES[form], headers=headers)
