"""The list of tasks, and the same as a board."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.core.projection import Reader
from mlife.core.query import narrow, without
from mlife.training import views
from mlife.training.pages.shown import as_json, live_of
from mlife.training.views import TaskView
from mlife.ui import answer, page
from mlife.ui.completing import completes
from mlife.ui.doing import Hands
from mlife.ui.lists import asked, facet_links

router = APIRouter()
completes(views.tasks_search)
BOARD = ("draft", "queued", "running", "done", "failed")
ON_BOARD = 12
FACETS = ("state", "kind", "function")


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
    now = hands.now
    ask = asked(request, q, views.tasks_search, now)
    with hands.read() as read:
        found = views.task_page(read, ask.readable, now=now, sort=sort, after=after, limit=limit)
        facets = {name: views.tasks_by(read, name, without(ask.readable, name), now=now) for name in FACETS}
        states = dict(views.tasks_by(read, "state", ask.readable, now=now))
        board = {s: _on_board(read, ask.readable, s, now) for s in BOARD} if view == "board" else {}
        position = read.position
    progress = {t.task_id: live_of(request, t) for t in [*found.items, *(t for ts in board.values() for t in ts)]}
    told = (as_json(t, progress[t.task_id]) for t in found.items)
    data = found.told("tasks", told, position, facets={name: dict(counts) for name, counts in facets.items()})
    return answer(
        request,
        "training/list.html",
        data,
        q=ask.q,
        error=ask.error,
        shown=found.items,
        progress=progress,
        board=board,
        view=view,
        states=states,
        running=any(t.state in {"queued", "running"} for t in found.items),
        facet_groups=facet_links(request, ask.readable, facets, views.tasks_search),
    )


def _on_board(read: Reader, q: str, state: str, now: datetime) -> Sequence[TaskView]:
    return views.task_page(read, narrow(q, "state", state), now=now, limit=ON_BOARD).items
