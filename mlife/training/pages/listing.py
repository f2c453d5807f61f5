"""The list of tasks, and the same as a board."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.core.projection import Reader
from mlife.core.query import Page, QueryError, narrow, parse, without
from mlife.training import views
from mlife.training.pages.shown import Hands, as_json, live_of
from mlife.training.views import TaskView
from mlife.ui import answer, page, with_query

router = APIRouter()
BOARD = ("draft", "queued", "running", "done", "failed")
ON_BOARD = 12
FACETS = {"State": "state", "Kind": "kind", "Function": "function"}


@page(router, "/tasks")
def list_tasks(
    request: Request,
    hands: Hands,
    q: str = "",
    sort: str | None = None,
    after: str | None = None,
    limit: int = 50,
    view: str = "list",
) -> Response:
    """Tasks that the query asks for, the last changed first, with counts by state, kind and function."""
    now = hands.home.do.clock.now()
    asked, readable, error = _read_query(request, q, now, sort=sort, after=after, limit=limit)
    with hands.read() as read:
        cut, found, total = views.tasks(read, asked)
        counted = {
            name: views.count_by(read, views.tasks_page(without(readable, name), now=now), name)
            for name in FACETS.values()
        }
        states = dict(views.count_by(read, asked, "state"))
        board = {s: _on_board(read, readable, s, now) for s in BOARD} if view == "board" else {}
        position = read.position
    progress = {t.task_id: live_of(request, t) for t in [*found, *(t for ts in board.values() for t in ts)]}
    data = {
        "tasks": [as_json(t, progress[t.task_id]) for t in found],
        "total": total,
        "after": cut.after,
        "before": cut.before,
        "facets": {name: dict(rows) for name, rows in counted.items()},
        "position": position,
    }
    return answer(
        request,
        "training/list.html",
        data,
        q=q,
        error=error,
        shown=found,
        progress=progress,
        board=board,
        view=view,
        states=states,
        running=any(t.state in {"queued", "running"} for t in found),
        facets_shown=_facets(request, readable, counted),
    )


def _read_query(
    request: Request, q: str, now: datetime, *, sort: str | None, after: str | None, limit: int
) -> tuple[Page, str, tuple[str, int] | None]:
    """The page asked for; a person's slip of the pen gives all tasks, and what is wrong at which character."""
    try:
        asked = views.tasks_page(q, now=now, sort=sort, after=after, limit=limit)
        return asked, str(parse(q)), None
    except QueryError as e:
        if request.url.path.startswith("/api/") or e.part != "query":
            raise
        return views.tasks_page("", now=now), "", (f"{e.problem}. {e.expected}", e.position)


def _on_board(read: Reader, q: str, state: str, now: datetime) -> list[TaskView]:
    asked = views.tasks_page(narrow(q, "state", state), now=now, limit=ON_BOARD)
    return views.tasks(read, asked)[1]


def _facets(request: Request, q: str, counted: dict[str, list[tuple[str, int]]]) -> dict[str, list[dict[str, Any]]]:
    """Counts that narrow; one that is on leads back."""
    made: dict[str, list[dict[str, Any]]] = {}
    for title, name in FACETS.items():
        made[title] = []
        for value, count in counted[name]:
            narrower = narrow(q, name, value)
            here = narrower == q
            to = with_query(request, q=(without(q, name) if here else narrower) or None)
            made[title].append({"label": value, "count": count, "here": here, "href": to})
    return made
