"""Tasks and their results, as pages and as JSON."""

from pathlib import Path

from fastapi import APIRouter, Request

from mlife.training.pages import acting, detail, listing, live, results
from mlife.training.views import open_tasks
from mlife.ui import rail, templates_from

templates_from("training", Path(__file__).parent.parent / "templates")


def _count(request: Request) -> int:
    """How many tasks are queued or run."""
    with request.app.state.home.ports.views.read() as read:
        return open_tasks(read)


rail("Training", "/tasks", order=30, count=_count)

router = APIRouter(tags=["tasks"])
for part in (listing, results, live, acting, detail):
    router.include_router(part.router)
