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
from mlife.badcases.views import lists, models, statistics, turns
from mlife.badcases.views.fields import sought
from mlife.badcases.views.rows import AlarmView, BadcaseListing, Share, Week
from mlife.badcases.views.saved import saved_views
from mlife.badcases.views.search import FREE, searchable_badcases, searchable_reports
from mlife.core.projection import Reader
from mlife.core.query import Listing, Range, Searchable, must_page, narrow
from mlife.core.query.editing import carry
from mlife.ui import Bar, Mark, answer, bars, completing, page, selection, sparkline, with_query
from mlife.ui.charts import BarChart
from mlife.ui.completing import completes
from mlife.ui.doing import Hands
from mlife.ui.early import render_early
from mlife.ui.filters import plural
from mlife.ui.lists import Asked, asked, facet_links
from mlife.ui.pages import wants_json

router = APIRouter(tags=["badcases"])


def _declared(read: Reader) -> list[str]:
    return [f"{FREE}{name}" for name in sought(read)]


completes(searchable_badcases, names=_declared)
completes(searchable_reports, names=_declared)


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
    ask = asked(request, q, searchable_badcases, hands.now)
    must_page(searchable_badcases, ask.readable, now=hands.now, sort=sort, after=after, limit=limit)
    if not wants_json(request):
        return render_early(
            request, "badcases/list.html", lambda: _shown(request, hands, ask, sort=sort, after=after, limit=limit)
        )
    with hands.read() as read:
        listing = lists.badcases(read, ask.readable, now=hands.now, sort=sort, after=after, limit=limit)
        counts = statistics.facets(read, ask.readable, now=hands.now) if facets else {}
        position = read.position
    data = listing.told("badcases", (asdict(v) for v in listing.items), position, reports=listing.reports)
    if facets:
        data["facets"] = {name: {s.value: s.count for s in shares} for name, shares in counts.items()}
    return answer(request, "badcases/list.html", data)


def _shown(
    request: Request, hands: Hands, ask: Asked, *, sort: str | None, after: str | None, limit: int
) -> dict[str, Any]:
    """What the page of badcases shows."""
    now = hands.now
    with hands.read() as read:
        listing = lists.badcases(read, ask.readable, now=now, sort=sort, after=after, limit=limit)
        counts = statistics.facets(read, ask.readable, now=now)
        weeks = statistics.weeks_matching(read, ask.readable, now=now)
        releases, alarms = models.releases(read), turns.alarms(read, waiting=True)
        saved, position = saved_views(read, "badcases"), read.position
    return {
        **listing.told("badcases", listing.items, position),
        "ask": ask,
        "sentence": sentence_of(ask, listing, counts),
        "groups": facet_links(request, ask.readable, _pairs(counts), searchable_badcases),
        "chart": week_chart(weeks, releases, alarms_of(alarms, counts), q=ask.readable),
        "tabs": tabs(ask.readable, "badcases", listing),
        "selected": selection(request),
        "saved": saved,
        "saved_of": "badcases",
        "trend": lambda v: sparkline("12 weeks", v.trend),
        "sorted_by": sort or searchable_badcases.default_sort,
        "page_of": _pager(request, listing),
        "picture": picture_of(hands),
    }


@page(router, "/reports")
def list_reports(
    request: Request, hands: Hands, q: str = "", sort: str | None = None, after: str | None = None, limit: int = 60
) -> Response:
    """Reports that the query asks for, the newest first."""
    now = hands.now
    ask = asked(request, q, searchable_reports, now)
    with hands.read() as read:
        listing = lists.reports(read, ask.readable, now=now, sort=sort, after=after, limit=limit)
        saved = saved_views(read, "reports")
        position = read.position
    data = listing.told("reports", (hands.open(asdict(v)) for v in listing.items), position)
    return answer(
        request,
        "badcases/reports.html",
        data,
        ask=ask,
        page_of=_pager(request, listing),
        picture=picture_of(hands),
        more=listing.more,
        badcases_tab=carried(ask.readable, "/badcases", searchable_badcases),
        saved=saved,
        saved_of="reports",
    )


@router.get("/api/v1/badcases/query")
def help_with_query(
    request: Request, hands: Hands, q: str = "", caret: int | None = None, of: str = "badcases"
) -> dict[str, Any]:
    """What could be typed next at *caret*, and every field that can be asked about. `/api/v1/query` has all lists."""
    return completing.help_with_query(request, hands, of if of == "reports" else "badcases", q, caret)


def _pairs(facets: Mapping[str, Sequence[Share]]) -> dict[str, list[tuple[str | None, int]]]:
    return {name: [(s.value, s.count) for s in shares] for name, shares in facets.items()}


def tabs(q: str, here: str, listing: BadcaseListing) -> list[dict[str, Any]]:
    """The views of the same badcases."""
    tail = f"?q={quoted(q)}" if q else ""
    few = [v.badcase_id for v in listing.items] if q and listing.total == len(listing.items) <= FEW else ()
    return [
        {"label": "Needs me", "href": "/badcases/needs", "here": False, "count": None},
        {"label": "Badcases", "href": f"/badcases{tail}", "here": here == "badcases", "count": listing.total},
        {"label": "Reports", "href": carried(q, "/reports", searchable_reports, few), "here": False, "count": None},
        {"label": "Statistics", "href": f"/badcases/statistics{tail}", "here": here == "statistics", "count": None},
        {"label": "Suggestions", "href": "/suggestions", "here": False, "count": None},
    ]


FEW = 20
"""Badcases that are named one by one, where their reports can't be asked for by the same words."""


def carried(q: str, to: str, searchable: Searchable, badcase_ids: Sequence[str] = ()) -> str:
    """
    The list *to* with what of *q* it can be asked; what it can't is said there.

    Args:
        badcase_ids: all that *q* finds; then nothing is lost.
    """
    asked_there, left = carry(q, searchable)
    if left and badcase_ids:
        return f"{to}?q={quoted('badcase:' + ','.join(badcase_ids))}"
    lost = f"&left={quoted(' '.join(left))}" if left else ""
    return f"{to}?q={quoted(asked_there)}{lost}" if asked_there or left else to


def quoted(q: str) -> str:
    """*q* as it stands in an address."""
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


def alarms_of(alarms: Sequence[AlarmView], facets: Mapping[str, Sequence[Share]]) -> list[AlarmView]:
    """Those that are about a function of what is listed."""
    functions = {s.value for s in facets.get("function", ())}
    return [a for a in alarms if a.function in functions]


def week_chart(
    weeks: list[Week],
    releases: list[tuple[str, str, Any]],
    alarms: Sequence[AlarmView] = (),
    *,
    q: str = "",
    to: str = "/badcases",
) -> BarChart | None:
    """
    Reports by week with the releases over them; weeks of a waiting alarm bear its mark. None without reports.

    Args:
        q: what a bar narrows, in the list *to*.
    """
    if not weeks:
        return None
    wrong = {w.begins: a for w in weeks for a in alarms if _meets(w, a)}
    shown = [
        Bar(
            f"{w.begins.day} {w.begins:%b}",
            w.count,
            f"{to}?q={quoted(narrow(q, 'observed', week_of(w)))}",
            alarm=w.begins in wrong,
            note=_alarm_note(wrong.get(w.begins), last=w.begins == max(wrong, default=None)),
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


def week_of(week: Week) -> Range:
    """The days of a week, as the query language says them."""
    return Range(f"{week.begins:%Y-%m-%d}", f"{week.begins + timedelta(days=6):%Y-%m-%d}")


def _meets(week: Week, alarm: AlarmView) -> bool:
    return alarm.from_at < week.begins + timedelta(days=7) and week.begins <= alarm.to_at


def _alarm_note(alarm: AlarmView | None, *, last: bool) -> str:
    """What the last week of an alarm says of it; the weeks before it are drawn alike and say nothing."""
    if alarm is None or not last:
        return ""
    if alarm.rate and alarm.usual and alarm.rate > alarm.usual:
        return f"{alarm.rate / alarm.usual:.1f}× its usual rate"
    return plural(alarm.badcases, "badcase") + f" of version {alarm.version}"


def _pager(request: Request, listing: Listing[Any]) -> dict[str, str | None]:
    return {
        "newer": with_query(request, after=listing.before) if listing.before else None,
        "older": with_query(request, after=listing.after) if listing.after else None,
    }
