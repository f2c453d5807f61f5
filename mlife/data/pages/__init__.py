"""Files, documents, groups and collection requests, as pages and as JSON."""

from pathlib import Path

from fastapi import APIRouter, Request

from mlife.data.pages import (
    documents,
    editing,
    files,
    groups,
    importing,
    links,
    playing,
    requests,
    rows,
    touching,
    uploads,
)
from mlife.data.views import open_requests
from mlife.data.views.searching import (
    searchable_documents,
    searchable_files,
    searchable_groups,
    searchable_requests,
)
from mlife.ui import look, rail, templates_from
from mlife.ui.completing import completes

templates_from("data", Path(__file__).parent.parent / "templates")
look("complete", shape="check", tone="done")
look("given up", shape="cross")
look("validation", shape="half")
look("bytes missing", shape="question")


def _open_requests(request: Request) -> int | None:
    """How many collection requests wait for data."""
    with request.app.state.home.ports.views.read() as read:
        return open_requests(read) or None


rail("Documents", "/documents", order=20)
rail("Groups", "/groups", order=22)
rail("Requests", "/requests", order=24, count=_open_requests)

for asked in (searchable_documents, searchable_files, searchable_groups, searchable_requests):
    completes(asked)
router = APIRouter(tags=["data"])
for part in (uploads, links, files, playing, editing, importing, rows, touching, documents, groups, requests):
    router.include_router(part.router)
