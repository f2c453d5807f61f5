"""Groups: frozen sets of rows, made by Group Items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from mlife.core.errors import Invalid, there_is
from mlife.core.projection import Reader
from mlife.data import views
from mlife.data.analysis import balance
from mlife.data.intake import Grouped, Selection
from mlife.data.pages.shown import intake_of, tabs, thumbnail
from mlife.data.views import GroupView
from mlife.ui import Bar, answer, distribution, page, see
from mlife.ui.doing import Doing, Hands
from mlife.ui.lists import asked
from mlife.ui.said import Said, is_form, listed

router = APIRouter()
ROWS_SHOWN = 60


@page(router, "/groups")
def list_groups(
    request: Request, hands: Hands, q: str = "", sort: str | None = None, after: str | None = None, limit: int = 50
) -> Response:
    """Groups, the last sealed first."""
    now = hands.now
    ask = asked(request, q, views.searchable_groups, now)
    with hands.read() as read:
        found = views.group_page(read, ask.readable, now=now, sort=sort, after=after, limit=limit)
        position = read.position
    data = found.told("groups", (asdict(g) for g in found.items), position)
    return answer(
        request,
        "data/groups.html",
        data,
        q=ask.q,
        error=ask.error,
        shown=found.items,
        tabs=tabs("Groups"),
        rows=sum(g.rows for g in found.items),
        left_out=sum(g.left_out for g in found.items),
    )


@page(router, "/groups/{group_id}")
def show_group(request: Request, group_id: str, hands: Hands, after: int = 0) -> Response:
    """One group: its seal, its classes, what it was frozen from, its rows, its task."""
    with hands.read() as read:
        head = the_group(read, group_id)
        rows = views.group_rows_after(read, group_id, after, ROWS_SHOWN)
        sources = views.document_list(read, list(head.sources))
        position = read.position
    bars = [Bar(label or "not labelled", n) for label, n in list(head.by_class.items())[:20]]
    return answer(
        request,
        "data/group.html",
        {**asdict(head), "balance": balance(head.by_class), "position": position},
        head=head,
        shown=rows,
        sources_shown=sources,
        older=rows[-1].number if rows and rows[-1].number < head.rows else None,
        chart=distribution("By class", bars, "row"),
        thumbnail=thumbnail,
    )


@router.get("/api/v1/groups/{group_id}/rows", response_model=None)
def list_group_rows(group_id: str, hands: Hands, after: int = 0, limit: int = 1_000) -> Response:
    """Frozen rows in their order, after row number `after`, as in a JSON document."""
    if not 1 <= limit <= 2_000:
        raise Invalid(f"limit is {limit}", remedy="ask for 1 to 2,000 rows")
    with hands.read() as read:
        the_group(read, group_id)
        found = views.group_rows_after(read, group_id, after, limit)
    last = found[-1].number if len(found) == limit else None
    body = orjson.dumps({"rows": [{**r.body, "number": r.number} for r in found], "after": last})
    return Response(body, media_type="application/json")


@router.post("/api/v1/groups", response_model=None)
@router.post("/groups", response_model=None, include_in_schema=False)
def group_items(request: Request, hands: Hands, said: Said) -> Response:
    """
    Group Items: freeze rows of documents as a `training`, `validation` or `testing` set; its draft task gets a Task ID.

    name, purpose, documents, q (which rows) or numbers, per_class, limit, part (`0..0.8`), seed, without_leaks, system,
    function, iteration_id. Refused rows are told with where they are used.
    """
    told = _group(hands, said)
    if not is_form(request):
        return JSONResponse(told.as_json())
    g = told.group
    left = f", {g.left_out:,} left out by the leakage guard" if g.left_out else ""
    return see(
        f"/groups/{g.group_id}?min_position={told.position}",
        f"{g.rows:,} rows frozen for {g.purpose}{left}. Draft task {g.task_id}",
    )


def _group(hands: Doing, said: Mapping[str, Any]) -> Grouped:
    chosen = [w for w in listed(said.get("numbers") or said.get("selected")) if w != "*"]
    everything = "*" in listed(said.get("selected"))
    wrong = [w for w in chosen if not w.isdecimal()]
    if wrong:
        raise Invalid(f"{wrong[0]!r} is no row number", remedy="rows are numbered from 1")
    selection = Selection(
        documents=listed(said.get("documents")),
        query=str(said.get("q") or said.get("query") or ""),
        numbers=[] if everything else [int(w) for w in chosen],
        per_class=_whole(said, "per_class"),
        limit=_whole(said, "limit"),
        part=part_of(said.get("part")),
        seed=_whole(said, "seed") or 0,
    )
    return intake_of(hands).group(
        selection,
        name=str(said.get("name") or ""),
        purpose=str(said.get("purpose") or ""),
        system=said.get("system"),
        function=said.get("function"),
        iteration_id=said.get("iteration_id") or said.get("iteration"),
        without_leaks=said.get("without_leaks") in (True, "true", "on", "1", "yes"),
        key=hands.key,
    )


def _whole(said: Mapping[str, Any], name: str) -> int | None:
    value = said.get(name)
    if value in (None, ""):
        return None
    try:
        return int(str(value))
    except ValueError:
        raise Invalid(f"{name} is {value!r}", remedy="give a whole number") from None


def part_of(said: Any) -> tuple[float, float] | None:
    """
    `0..0.8` or `[0, 0.8]` as numbers; None for nothing.

    Raises:
        Invalid: it is neither.
    """
    if said in (None, "", []):
        return None
    try:
        low, high = said.split("..") if isinstance(said, str) else said
        return float(low), float(high)
    except (TypeError, ValueError, AttributeError):
        raise Invalid(f"{said!r} is no part of a whole", remedy="write it like 0..0.8") from None


def the_group(read: Reader, group_id: str) -> GroupView:
    """
    The group.

    Raises:
        NotFound: there is none.
    """
    return there_is(views.group(read, group_id), "group", group_id)
