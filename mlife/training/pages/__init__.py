"""Tasks and their results, as pages and as JSON."""

from pathlib import Path

from fastapi import APIRouter, Request

from mlife.training.pages import acting, detail, listing, live, results
from mlife.training.pages.shown import live_of
from mlife.training.views import open_tasks, running_tasks
from mlife.ui import Step, rail, templates_from, under_way

templates_from("training", Path(__file__).parent.parent / "templates")


def _count(request: Request) -> int:
    """How many tasks are queued or run."""
    with request.app.state.home.ports.views.read() as read:
        return open_tasks(read)


rail("Training", "/tasks", order=30, count=_count)


@under_way
def what_runs(request: Request) -> list[Step]:
    """The tasks that run now, each with its bar."""
    with request.app.state.home.ports.views.read() as read:
        running = running_tasks(read)
    seen = [(t, live_of(request, t)) for t in running]
    return [Step(f"{t.task_id} {t.kind}", "now", f"/tasks/{t.task_id}", s.share if s else None) for t, s in seen]


router = APIRouter(tags=["tasks"])
for part in (listing, results, live, acting, detail):
    router.include_router(part.router)
