"""The list of badcases, the gallery of reports, and the statistics of what is listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from mlife.badcases.pages.shown import picture_of
from mlife.badcases.views import lists, models, statistics
from mlife.badcases.views.rows import BadcaseListing, Share, Week
from mlife.badcases.views.search import searchable_badcases, searchable_reports
from mlife.core.query import Listing, complete, fields_help, narrow
from mlife.ui import Bar, Cell, Mark, answer, bars, distribution, matrix, page, selection, sparkline, with_query
from mlife.ui.charts import BarChart
from mlife.ui.doing import Hands
from mlife.ui.lists import Asked, asked, facet_links

router = APIRouter(tags=["badcases"])
MOST_CLASSES = 24
"""Rows and columns of a confusion matrix that can still be read."""


@page(router, "/badcases")
def list_badcases(
    request: Request,
    hands: Hands,
    q: str = "",
    sort: str | None = None,
    after: str | None = None,
    limit: int = 50,
    facets: Annotated[bool, Query()] = False,  # noqa: FBT002 - a query parameter
) -> Response:
    """Badcases that the query asks for, the most urgent first; with `facets=true` counts of what they are."""
    now = hands.now
    ask = asked(request, q, searchable_badcases, now)
    api = request.url.path.startswith("/api/")
    with hands.read() as read:
        listing = lists.badcases(read, ask.readable, now=now, sort=sort, after=after, limit=limit)
        counts = statistics.facets(read, ask.readable, now=now) if facets or not api else {}
        weeks = [] if api else statistics.weeks_matching(read, ask.readable, now=now)
        releases = [] if api else models.releases(read)
        position = read.position
    data = listing.told("badcases", (asdict(v) for v in listing.items), position, reports=listing.reports)
    if facets:
        data["facets"] = {name: {s.value: s.count for s in shares} for name, shares in counts.items()}
    if api:
        return answer(request, "badcases/list.html", data)
    data = {**data, "badcases": listing.items}
    return answer(
        request,
        "badcases/list.html",
        data,
        ask=ask,
        sentence=sentence_of(ask, listing, counts),
        groups=facet_links(request, ask.readable, _pairs(counts), searchable_badcases),
        chart=week_chart(weeks, releases),
        tabs=tabs(ask.readable, "badcases", listing),
        selected=selection(request),
        trend=lambda v: sparkline("12 weeks", v.trend),
        sorted_by=sort or searchable_badcases.default_sort,
        page_of=_pager(request, listing),
        picture=picture_of(hands),
    )


@page(router, "/reports")
def list_reports(
    request: Request, hands: Hands, q: str = "", sort: str | None = None, after: str | None = None, limit: int = 60
) -> Response:
    """Reports that the query asks for, the newest first."""
    now = hands.now
    ask = asked(request, q, searchable_reports, now)
    with hands.read() as read:
        listing = lists.reports(read, ask.readable, now=now, sort=sort, after=after, limit=limit)
        position = read.position
    data = listing.told("reports", (hands.open(asdict(v)) for v in listing.items), position)
    return answer(
        request, "badcases/reports.html", data, ask=ask, page_of=_pager(request, listing), picture=picture_of(hands)
    )


@page(router, "/badcases/statistics")
def show_statistics(request: Request, hands: Hands, q: str = "") -> Response:
    """The statistics of the badcases that the query asks for, counted in reports."""
    now = hands.now
    ask = asked(request, q, searchable_badcases, now)
    with hands.read() as read:
        found = statistics.analyse(read, ask.readable, now=now)
        listing = lists.badcases(read, ask.readable, now=now, limit=1)
        releases = models.releases(read)
        position = read.position
    data: dict[str, Any] = {name: [asdict(row) for row in rows] for name, rows in found.items() if name != "confusion"}
    data["confusion"] = [
        {"truth": truth, "prediction": said, "count": count} for (truth, said), count in found["confusion"].items()
    ]
    return answer(
        request,
        "badcases/statistics.html",
        {"statistics": data, "total": listing.total, "reports": listing.reports, "position": position},
        ask=ask,
        tabs=tabs(ask.readable, "statistics", listing),
        sentence=sentence_of(ask, listing, {}),
        weeks=week_chart(found["weeks"], releases),
        shares=[share_chart(name, ask.readable, found[name]) for name in ("function", "version", "client", "status")],
        confusion=confusion_chart(ask.readable, found["confusion"]),
    )


@router.get("/api/v1/badcases/query")
def help_with_query(q: str = "", caret: int | None = None, of: str = "badcases") -> dict[str, Any]:
    """What could be typed next at *caret*, and every field that can be asked about."""
    searchable = searchable_reports if of == "reports" else searchable_badcases
    return {
        "completions": [asdict(c) for c in complete(q, len(q) if caret is None else caret, searchable)],
        "fields": [asdict(f) for f in fields_help(searchable)],
    }


def _pairs(facets: Mapping[str, Sequence[Share]]) -> dict[str, list[tuple[str | None, int]]]:
    return {name: [(s.value, s.count) for s in shares] for name, shares in facets.items()}


def tabs(q: str, here: str, listing: BadcaseListing) -> list[dict[str, Any]]:
    """The views of the same badcases."""
    tail = f"?q={_quoted(q)}" if q else ""
    return [
        {"label": "Badcases", "href": f"/badcases{tail}", "here": here == "badcases", "count": listing.total},
        {"label": "Reports", "href": "/reports", "here": False, "count": None},
        {"label": "Statistics", "href": f"/badcases/statistics{tail}", "here": here == "statistics", "count": None},
    ]


def _quoted(q: str) -> str:
    return quote(q)


def sentence_of(ask: Asked, listing: BadcaseListing, facets: dict[str, list[Share]]) -> dict[str, Any]:
    """The sentence above the table: what there is, and what most of it is."""
    top = next(iter(listing.items), None)
    status = {s.value: s.count for s in facets.get("status", ())}
    return {
        "reports": listing.reports,
        "total": listing.total,
        "top": top,
        "new": status.get("new", 0),
        "back": status.get("regressed", 0) + status.get("recurring", 0),
        "asked": bool(ask.readable.strip()),
    }


def week_chart(weeks: list[Week], releases: list[tuple[str, str, Any]]) -> BarChart | None:
    """Reports by week with the releases over them; None without reports."""
    if not weeks:
        return None
    shown = [
        Bar(
            f"{w.begins.day} {w.begins:%b}",
            w.count,
            f"/reports?q=observed:{w.begins:%Y-%m-%d}..{w.begins + timedelta(days=6):%Y-%m-%d}",
        )
        for w in weeks
    ]
    marks = [
        Mark(at, f"version {version}", f"/deployments/{deployment_id}")
        for version, deployment_id, when in releases
        for at, w in enumerate(weeks)
        if w.begins <= when < w.begins + timedelta(days=7)
    ]
    return bars("Reports by week observed", shown, marks)


def share_chart(name: str, q: str, shares: list[Share]) -> BarChart:
    """One bar for each value, as a link that narrows."""
    return distribution(
        f"Reports by {name}",
        [
            Bar(s.value or f"no {name}", s.count, f"/badcases/statistics?q={_quoted(narrow(q, name, s.value))}")
            for s in shares[:20]
        ],
    )


def confusion_chart(q: str, pairs: dict[tuple[str | None, str], int]) -> Any:
    """Truth against prediction for the classes with most reports; None where nothing compares classes."""
    if not pairs:
        return None
    sizes: dict[str, int] = {}
    for (truth, said), count in pairs.items():
        for label in (truth or "?", said):
            sizes[label] = sizes.get(label, 0) + count
    kept = set(sorted(sizes, key=lambda label: (-sizes[label], label))[:MOST_CLASSES])
    cells = {}
    for (truth, said), count in pairs.items():
        if (truth or "?") in kept and said in kept:
            narrower = narrow(narrow(q, "truth", truth), "prediction", said)
            cells[truth or "?", said] = Cell(count, f"/badcases?q={_quoted(narrower)}")
    rows = sorted({row for row, _ in cells}, key=_by_number)
    columns = sorted({column for _, column in cells}, key=_by_number)
    return matrix("Truth and prediction", rows, columns, cells)


def _by_number(label: str) -> tuple[int, str]:
    return (int(label), "") if label.isdecimal() and len(label) < 10 else (10**10, label)


def _pager(request: Request, listing: Listing[Any]) -> dict[str, str | None]:
    return {
        "newer": with_query(request, after=listing.before) if listing.before else None,
        "older": with_query(request, after=listing.after) if listing.after else None,
    }
