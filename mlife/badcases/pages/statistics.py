"""The statistics of exactly what is retrieved or selected; every bar and every cell narrows the query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.badcases.pages.listing import quoted, sentence_of, tabs, week_chart
from mlife.badcases.views import lists, models, statistics
from mlife.badcases.views.history import Solved, TimeTo
from mlife.badcases.views.report_statistics import ReportStatistics, analyse_reports
from mlife.badcases.views.rows import Share
from mlife.badcases.views.search import searchable_badcases, searchable_reports
from mlife.core.query import Searchable, narrow, version_key
from mlife.ui import Bar, Cell, answer, bars, distribution, matrix, page, selection
from mlife.ui.charts import BarChart, Matrix
from mlife.ui.doing import Hands
from mlife.ui.filters import duration, percent, plural
from mlife.ui.lists import asked

router = APIRouter(tags=["badcases"])
MOST_CLASSES = 24
"""Rows and columns of a matrix that can still be read."""
SHARES = ("function", "version", "client", "place", "status")


@page(router, "/badcases/statistics")
def show_statistics(request: Request, hands: Hands, q: str = "") -> Response:
    """
    The statistics of the badcases that the query asks for, or of those that are `selected`, counted in reports.

    Shares, truth against prediction, versions against badcases, weeks, the time to each status, and how many were
    solved in which week and came back.
    """
    now = hands.now
    ask = asked(request, q, searchable_badcases, now)
    only = _selected(request)
    with hands.read() as read:
        found = statistics.analyse(read, ask.readable, now=now, only=only)
        listing = lists.badcases(read, ask.readable, now=now, limit=1, only=only)
        releases = models.releases(read)
        position = read.position
    shares = {name: found[name] for name in SHARES}
    data = {
        **{name: [asdict(s) for s in rows] for name, rows in shares.items()},
        **_told(found["confusion"], found["weeks"], found["matrix"], found["titles"]),
        "times": [asdict(t) for t in found["times"]],
        "solved": {**asdict(found["solved"]), "share": found["solved"].share, "back_share": found["solved"].back_share},
    }
    to = Links("/badcases/statistics", ask.readable, searchable_badcases)
    return answer(
        request,
        "badcases/statistics.html",
        {"statistics": data, "total": listing.total, "reports": listing.reports, "position": position},
        ask=ask,
        tabs=tabs(ask.readable, "statistics", listing),
        sentence=sentence_of(ask, listing, {}),
        selected=only,
        weeks=week_chart(found["weeks"], releases, q=ask.readable),
        shares=[share_chart(to, name, shares[name]) for name in SHARES],
        confusion=confusion_chart(to, found["confusion"]),
        versions=version_chart(to, "id", found["matrix"], found["titles"]),
        times=time_chart(to, found["times"]),
        solved=found["solved"],
        solving=solved_chart(to, found["solved"]),
    )


@page(router, "/reports/statistics")
def show_report_statistics(request: Request, hands: Hands, q: str = "") -> Response:
    """The statistics of the reports that the query asks for, or of those whose positions are `selected`."""
    now = hands.now
    ask = asked(request, q, searchable_reports, now)
    only = _selected(request)
    positions = None if only is None else [int(n) for n in only if n.isdecimal() and len(n) < 19]
    with hands.read() as read:
        found = analyse_reports(read, ask.readable, now=now, only=positions)
        position = read.position
    data = {
        **{name: [asdict(s) for s in rows] for name, rows in found.shares.items()},
        **_told(found.confusion, found.weeks, found.matrix, found.titles),
    }
    to = Links("/reports/statistics", ask.readable, searchable_reports)
    return answer(
        request,
        "badcases/report_statistics.html",
        {"statistics": data, "counted": found.counted, "whole": found.is_whole, "position": position},
        ask=ask,
        selected=only,
        lead=_lead(found, asks=bool(ask.readable.strip()) or only is not None),
        weeks=week_chart(found.weeks, [], q=ask.readable, to="/reports"),
        shares=[share_chart(to, name, rows) for name, rows in found.shares.items()],
        confusion=confusion_chart(to, found.confusion),
        versions=version_chart(to, "badcase", found.matrix, found.titles),
    )


def _selected(request: Request) -> list[str] | None:
    chosen = selection(request)
    return None if not chosen or "*" in chosen else chosen


def _lead(found: ReportStatistics, *, asks: bool) -> str:
    if not found.is_whole:
        return f"Of all that match, the newest {plural(found.counted, 'report')} are counted."
    return plural(found.counted, "report") + (" match. " if asks else ". ") + "Every bar and every cell narrows."


def _told(
    confusion: Mapping[tuple[str | None, str], int],
    weeks: Sequence[Any],
    cells: Mapping[tuple[str, str], int],
    titles: Mapping[str, str],
) -> dict[str, Any]:
    """Matrices and weeks for programs."""
    return {
        "confusion": [{"truth": t, "prediction": p, "count": n} for (t, p), n in confusion.items()],
        "weeks": [asdict(w) for w in weeks],
        "versions": [
            {"badcase_id": b, "title": titles.get(b, ""), "version": v, "count": n} for (b, v), n in cells.items()
        ],
    }


class Links:
    """Addresses that narrow what is asked, on the page *path*."""

    def __init__(self, path: str, q: str, searchable: Searchable) -> None:
        self._path, self._q, self._searchable = path, q, searchable

    def __call__(self, *, path: str | None = None, **fields: Any) -> str:
        """The page with every field of *fields* held to its value; None asks for those without one."""
        q = self._q
        for name, value in fields.items():
            q = narrow(q, name, value, searchable=self._searchable)
        return f"{path or self._path}?q={quoted(q)}"

    @property
    def listed(self) -> str:
        """The list of the same things."""
        return "/" + self._path.split("/")[1]


def share_chart(to: Links, name: str, shares: Sequence[Share]) -> BarChart:
    """One bar for each value."""
    return distribution(
        f"Reports by {name}", [Bar(s.value or f"no {name}", s.count, to(**{name: s.value})) for s in shares[:20]]
    )


def confusion_chart(to: Links, pairs: Mapping[tuple[str | None, str], int]) -> Matrix | None:
    """Truth against prediction for the classes with most reports; None where nothing compares classes."""
    if not pairs:
        return None
    sizes: dict[str, int] = {}
    for (truth, said), count in pairs.items():
        for label in (truth or "?", said):
            sizes[label] = sizes.get(label, 0) + count
    kept = set(sorted(sizes, key=lambda label: (-sizes[label], label))[:MOST_CLASSES])
    cells = {
        (truth or "?", said): Cell(count, to(path=to.listed, truth=truth, prediction=said))
        for (truth, said), count in pairs.items()
        if (truth or "?") in kept and said in kept
    }
    rows = sorted({row for row, _ in cells}, key=_by_number)
    columns = sorted({column for _, column in cells}, key=_by_number)
    return matrix("Truth and prediction", rows, columns, cells)


def version_chart(
    to: Links, name: str, counts: Mapping[tuple[str, str], int], titles: Mapping[str, str]
) -> Matrix | None:
    """Badcases against the versions that their reports came from; *name* is the field of a badcase's id."""
    if not counts:
        return None
    sizes: dict[str, int] = {}
    for (badcase_id, _), count in counts.items():
        sizes[badcase_id] = sizes.get(badcase_id, 0) + count
    ids = sorted(sizes, key=lambda b: (-sizes[b], b))[:MOST_CLASSES]
    versions = sorted({v for _, v in counts}, key=version_key)[-MOST_CLASSES:]
    labels = {b: f"{titles.get(b) or b} · {b[-6:]}" for b in ids}
    cells = {
        (labels[b], v): Cell(n, to(path=to.listed, **{name: b, "version": v}))
        for (b, v), n in counts.items()
        if b in labels and v in versions
    }
    return matrix("Badcases and versions", list(labels.values()), versions, cells)


def time_chart(to: Links, times: Sequence[TimeTo]) -> BarChart | None:
    """How long half of the badcases took to each status."""
    if not times:
        return None
    shown = [
        Bar(
            f"{t.status}: {_lasted(t.median_hours)} ({plural(t.badcases, 'badcase')})",
            t.median_hours,
            to(path=to.listed, reached=t.status),
        )
        for t in times
    ]
    return distribution("Time to each status, the median since the first report", shown, "hour")


def _lasted(hours: int) -> str:
    return duration(3600 * hours) if hours else "within an hour"


def solved_chart(to: Links, found: Solved) -> BarChart | None:
    """Badcases by the week in which they were solved, each with the share that is solved by then."""
    if not found.weeks:
        return None
    shown = [
        Bar(f"{w.week + 1}", w.count, to(path=to.listed, solvedin=w.week), note=f"{percent(w.share)} solved by then")
        for w in found.weeks
    ]
    return bars("Solved in week … after the first report", shown, unit="badcase")


def _by_number(label: str) -> tuple[int, str]:
    return (int(label), "") if label.isdecimal() and len(label) < 10 else (10**10, label)
