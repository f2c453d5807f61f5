"""Saved views: kept, listed, opened, removed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.badcases import commands
from mlife.badcases.commands.saved import undo_view, view_id_of
from mlife.badcases.pages.shown import done
from mlife.badcases.views.saved import check, saved_view, saved_views
from mlife.core.command import check_input
from mlife.core.errors import there_is
from mlife.ui import answer, page, see
from mlife.ui.doing import Hands
from mlife.ui.pages import wants_json
from mlife.ui.said import Said

router = APIRouter(tags=["badcases"])


@page(router, "/views")
def list_views(request: Request, hands: Hands, of: str | None = None) -> Response:
    """Saved views, by name; with `of` those of badcases or of reports."""
    with hands.read() as read:
        found = saved_views(read, of)
        position = read.position
    data: dict[str, Any] = {"views": found, "position": position}
    if wants_json(request):
        data["views"] = [{**asdict(v), "href": v.href} for v in found]
    return answer(request, "badcases/saved.html", data)


@router.get("/api/v1/views/{view_id}")
@router.get("/views/{view_id}", include_in_schema=False)
def open_view(request: Request, hands: Hands, view_id: str) -> Response:
    """One saved view; a person is led to what it finds."""
    with hands.read() as read:
        view = there_is(saved_view(read, view_id), "view", view_id)
        position = read.position
    if not wants_json(request):
        return see(view.href)
    return answer(request, "", {**asdict(view), "href": view.href, "position": position})


@router.post("/api/v1/views")
@router.post("/views", include_in_schema=False)
def save(request: Request, hands: Hands, said: Said) -> Response:
    """
    Keep a query under a name: `name`, `query` (a form's `q`), `of` (badcases or reports), perhaps `sort`.

    The same name again means the new query from then on.
    """
    given = {"query": said.pop("q", ""), "of": "badcases", **said}
    given = check_input(commands.save_view, given)
    check(given["of"], given["query"], given["sort"], now=hands.now)
    view_id = view_id_of(given["name"])
    made = hands.edit(f"view/{view_id}", commands.save_view, **given)
    words = f"{given['name']} is saved" if made.events else f"{given['name']} was saved so before"
    return done(request, made, f"/views/{view_id}", words, undo=f"/views/{view_id}/undo", view_id=view_id)


@router.post("/api/v1/views/{view_id}/remove")
@router.post("/views/{view_id}/remove", include_in_schema=False)
def remove(request: Request, hands: Hands, view_id: str) -> Response:
    """Forget a saved view."""
    made = hands.edit(f"view/{view_id}", commands.remove_view, view_id=view_id)
    undo_it = f"/views/{view_id}/undo"
    return done(request, made, "/views", f"{view_id} is removed", undo=undo_it, view_id=view_id)


@router.post("/api/v1/views/{view_id}/undo")
@router.post("/views/{view_id}/undo", include_in_schema=False)
def undo(request: Request, hands: Hands, view_id: str) -> Response:
    """Take the last saving or removing of a view back; twice is as it was."""
    made = hands.edit(f"view/{view_id}", undo_view, view_id=view_id)
    return done(request, made, "/views", f"{view_id} means what it meant before", view_id=view_id)
