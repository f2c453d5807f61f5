"""Badcases, reports, causes, alarms and iterations, as pages and JSON."""

from pathlib import Path

from fastapi import APIRouter, Request

from mlife.badcases.pages.acting import router as acting
from mlife.badcases.pages.advanced import router as advanced
from mlife.badcases.pages.alarms import router as alarms_and_rules
from mlife.badcases.pages.annotating import router as annotating
from mlife.badcases.pages.box import box
from mlife.badcases.pages.bulk import router as bulk
from mlife.badcases.pages.causes import router as causes
from mlife.badcases.pages.comments import router as comments
from mlife.badcases.pages.detail import router as detail
from mlife.badcases.pages.export import router as export
from mlife.badcases.pages.functions import router as functions
from mlife.badcases.pages.grouping import router as grouping
from mlife.badcases.pages.importing import router as importing
from mlife.badcases.pages.listing import router as listing
from mlife.badcases.pages.media import router as media
from mlife.badcases.pages.needs import router as needs
from mlife.badcases.pages.receiving import router as receiving
from mlife.badcases.pages.reporting import router as reporting
from mlife.badcases.pages.ruling import router as ruling
from mlife.badcases.pages.saved import router as saved
from mlife.badcases.pages.statistics import router as statistics
from mlife.badcases.pages.suggesting import router as suggesting
from mlife.badcases.pages.turns import router as turns
from mlife.badcases.views.counts import alarms_waiting, needing_me, open_iterations
from mlife.ui import iteration_box, rail, templates_from
from mlife.ui.desk import Waiting, waits

templates_from("badcases", Path(__file__).parent.parent / "templates")
iteration_box(box)


def _needing(request: Request) -> int:
    with request.app.state.home.ports.views.read() as read:
        return needing_me(read)["all"]


def _alarms(request: Request) -> int | None:
    with request.app.state.home.ports.views.read() as read:
        return alarms_waiting(read) or None


def _iterations(request: Request) -> int | None:
    with request.app.state.home.ports.views.read() as read:
        return open_iterations(read) or None


rail("Badcases", "/badcases", order=10, count=_needing, opens="/badcases/needs")
rail("Causes", "/causes", order=12)
rail("Alarms", "/alarms", order=14, count=_alarms)
rail("Functions", "/functions", order=18)
rail("Iterations", "/iterations", order=16, count=_iterations)


@waits(order=10)
def what_waits(request: Request) -> list[Waiting]:
    """Alarms that nobody saw, what came back, and what is new."""
    with request.app.state.home.ports.views.read() as read:
        alarms, counts = alarms_waiting(read), needing_me(read)
    found = []
    if alarms:
        said = "One alarm waits." if alarms == 1 else f"{alarms} alarms wait."
        found.append(Waiting(said, "/alarms", "Look at it" if alarms == 1 else "Look at them", alarm=True))
    back = counts["regressed"] + counts["recurring"]
    if back:
        said = f"{back} badcase{'s' * (back != 1)} came back in what is active now."
        found.append(Waiting(said, "/badcases?q=status:regressed,recurring", "See what came back", alarm=True))
    if counts["new"]:
        said = f"{counts['new']} badcase{'s' * (counts['new'] != 1)} {'is' if counts['new'] == 1 else 'are'} new."
        found.append(Waiting(said, "/badcases?q=status:new", "Triage"))
    return found


router = APIRouter()
for part in (
    media,
    annotating,
    receiving,
    reporting,
    importing,
    functions,
    grouping,
    ruling,
    suggesting,
    comments,
    causes,
    needs,
    bulk,
    saved,
    export,
    advanced,
    statistics,
    acting,
    listing,
    turns,
    alarms_and_rules,
    detail,
):  # the pages of fixed names before that of one badcase
    router.include_router(part)
