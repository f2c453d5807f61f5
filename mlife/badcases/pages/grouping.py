"""Merging, splitting, and taking both back: from a list, from one badcase, from its reports."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from mlife.badcases import commands
from mlife.badcases.commands.grouping import unmerge_all
from mlife.badcases.events import BadcaseMerged, BadcaseSplit, BadcaseUnmerged, ReportCorrected
from mlife.badcases.fingerprint import explain
from mlife.badcases.pages.shown import done, picture_of, the_badcase
from mlife.badcases.regrouping import to_merge, to_split
from mlife.badcases.views import grouping, lists
from mlife.badcases.views.search import searchable_reports
from mlife.core.command import check_input
from mlife.core.errors import Refused
from mlife.core.projection import Reader
from mlife.ui import answer, page, selection, with_query
from mlife.ui.doing import Doing, Hands
from mlife.ui.lists import asked
from mlife.ui.said import Said, listed

router = APIRouter(tags=["grouping"])


@router.post("/api/v1/badcases/merge")
@router.post("/badcases/merge", include_in_schema=False)
def merge(request: Request, hands: Hands, said: Said) -> Response:
    """
    Count badcases in another one: `badcase_ids`, `into` (without it, the one with the most reports), `reason`.

    Their reports, old and new, count there; their pins, verdicts, causes and iterations follow. It can be taken back.
    """
    ids = listed(said.get("badcase_ids", said.get("selected")))
    if "*" in ids:
        with hands.read() as read:
            ids = lists.matching_ids(read, str(said.get("q", "")), now=hands.now, limit=commands.MOST_MERGED + 1)
    return _merge(request, hands, ids, said)


@router.post("/api/v1/badcases/{badcase_id}/merge")
@router.post("/badcases/{badcase_id}/merge", include_in_schema=False)
def merge_one(request: Request, hands: Hands, badcase_id: str, said: Said) -> Response:
    """Count a badcase in the badcase `into`; `reason` says why they are one."""
    if not said.get("into"):
        raise Refused("it is not said what to merge into", remedy="name the badcase that it shall be counted in")
    return _merge(request, hands, [badcase_id], said)


def _merge(request: Request, hands: Doing, ids: list[str], said: dict[str, Any]) -> Response:
    into = str(said["into"]).strip() if said.get("into") else None
    with hands.read() as read:
        given = to_merge(read, ids, into)
    for name in ("reason", "suggested_by"):
        if said.get(name):
            given[name] = said[name]
    made = hands.do(commands.merge, **check_input(commands.merge, given))
    merged = [e.badcase_id for e in made.events if isinstance(e, BadcaseMerged)]
    into = given["into"]
    words = f"{_counted(merged)} counted in {into} now" if merged else f"nothing was left to do: all are in {into}"
    undo = f"/badcases/unmerge?last={made.position}&count={len(merged)}"
    return done(request, made, f"/badcases/{into}", words, undo=undo, into=into, merged=merged)


def _counted(ids: list[str]) -> str:
    return f"{ids[0]} is" if len(ids) == 1 else f"{len(ids)} badcases are"


@router.post("/api/v1/badcases/unmerge")
@router.post("/badcases/unmerge", include_in_schema=False)
def unmerge_many(request: Request, hands: Hands, said: Said, last: int = 0, count: int = 0) -> Response:
    """Take merges back, all or none: `badcase_ids`, or those of the `count` events up to position `last`."""
    ids = listed(said.get("badcase_ids", ""))
    if 0 < count <= commands.MOST_MERGED and last >= count:
        made_then = hands.ports.store.read(last - count, count)
        ids += [r.event.badcase_id for r in made_then if isinstance(r.event, BadcaseMerged)]
    if not ids:
        raise Refused("no badcase is named", remedy="name those that shall be counted by themselves again")
    made = hands.do(unmerge_all, **check_input(unmerge_all, {"badcase_ids": ids}))
    home = made.first(BadcaseUnmerged).was_into
    words = f"{_counted(ids)} counted by {'itself' if len(ids) == 1 else 'themselves'} again"
    return done(request, made, f"/badcases/{home}", words, badcase_ids=ids)


@router.post("/api/v1/badcases/{badcase_id}/unmerge")
@router.post("/badcases/{badcase_id}/unmerge", include_in_schema=False)
def unmerge(request: Request, hands: Hands, badcase_id: str, said: Said) -> Response:
    """Take a merge back: the badcase is counted by itself again, with all that came for it since."""
    given = check_input(commands.unmerge, {**said, "badcase_id": badcase_id})
    made = hands.edit(f"badcase/{badcase_id}", commands.unmerge, **given)
    home = made.first(BadcaseUnmerged).was_into
    undo = f"/badcases/{badcase_id}/merge-again?into={home}"
    words = f"{badcase_id} is counted by itself again, apart from {home}"
    return done(request, made, f"/badcases/{badcase_id}", words, undo=undo, badcase_id=badcase_id, was_into=home)


@router.post("/badcases/{badcase_id}/merge-again", include_in_schema=False)
def merge_again(request: Request, hands: Hands, badcase_id: str, into: str) -> Response:
    """The undo of an unmerge, as an address without a body."""
    return _merge(request, hands, [badcase_id], {"into": into})


@router.post("/api/v1/badcases/{badcase_id}/split")
@router.post("/badcases/{badcase_id}/split", include_in_schema=False)
def split(request: Request, hands: Hands, badcase_id: str, said: Said) -> Response:
    """
    Count some reports in a badcase of their own: `reports` (positions) or `q` (a query within it), `title`, `reason`.

    What a query finds is frozen: reports that come later are counted in the old one.
    """
    chosen = listed(said.get("reports", said.get("selected")))
    everything = "*" in chosen or ("q" in said and not chosen)
    with hands.read() as read:
        the_badcase(read, badcase_id)
        given = to_split(read, badcase_id, chosen, str(said.get("q", "")) if everything else None, now=hands.now)
    given |= {"title": said.get("title", ""), "reason": said.get("reason", "")}
    made = hands.do(commands.split, **check_input(commands.split, given))
    new = made.first(BadcaseSplit)
    words = f"{len(new.reports)} reports of {badcase_id} are counted in {new.badcase_id} now"
    undo = f"/badcases/{new.badcase_id}/rejoin"
    return done(
        request,
        made,
        f"/badcases/{new.badcase_id}",
        words,
        undo=undo,
        badcase_id=new.badcase_id,
        from_badcase_id=badcase_id,
    )


@router.post("/api/v1/badcases/{badcase_id}/rejoin")
@router.post("/badcases/{badcase_id}/rejoin", include_in_schema=False)
def rejoin(request: Request, hands: Hands, badcase_id: str, said: Said) -> Response:
    """Take a split back: its reports are counted where they came from."""
    given = check_input(commands.rejoin, {**said, "badcase_id": badcase_id})
    made = hands.edit(f"badcase/{badcase_id}", commands.rejoin, **given)
    words = f"the reports of {badcase_id} are counted where they came from"
    undo = f"/badcases/{badcase_id}/split-again"
    return done(request, made, f"/badcases/{badcase_id}", words, undo=undo, badcase_id=badcase_id)


@router.post("/api/v1/badcases/{badcase_id}/split-again")
@router.post("/badcases/{badcase_id}/split-again", include_in_schema=False)
def split_again(request: Request, hands: Hands, badcase_id: str, said: Said) -> Response:
    """Make a split again that was taken back, of the same reports."""
    given = check_input(commands.split_again, {**said, "badcase_id": badcase_id})
    made = hands.edit(f"badcase/{badcase_id}", commands.split_again, **given)
    words = f"the reports are counted in {badcase_id} again"
    return done(
        request, made, f"/badcases/{badcase_id}", words, undo=f"/badcases/{badcase_id}/rejoin", badcase_id=badcase_id
    )


@page(router, "/badcases/{badcase_id}/grouping")
def show_grouping(request: Request, hands: Hands, badcase_id: str, q: str = "", after: str | None = None) -> Response:
    """Why each report is in a badcase, and its reports to choose from for a split."""
    now = hands.now
    ask = asked(request, q, searchable_reports, now)
    with hands.read() as read:
        badcase = the_badcase(read, badcase_id)
        mine = f"badcase:{badcase_id} ({ask.readable})" if ask.readable.strip() else f"badcase:{badcase_id}"
        listing = lists.reports(read, mine, now=now, after=after, limit=60)
        why = why_of(read, badcase_id)
        alike = lists.badcases(
            read, f'system:"{badcase.system}" function:"{badcase.function}"', now=now, sort="-reports", limit=9
        )
        position = read.position
    data = {
        "badcase_id": badcase_id,
        "totals": {"reports": badcase.reports, "pictures": badcase.pictures, "clients": badcase.clients},
        **why,
        "position": position,
    }
    return answer(
        request,
        "badcases/grouping.html",
        data,
        b=badcase,
        ask=ask,
        reports=[hands.open(asdict(r)) for r in listing.items],
        total=listing.total,
        selected=selection(request),
        others=[("", "choose one")]
        + [
            (o.badcase_id, f"{o.title}, {o.reports} reports ({o.badcase_id})")
            for o in alike.items
            if o.badcase_id != badcase_id
        ],
        older=with_query(request, after=listing.after) if listing.after else None,
        newer=with_query(request, after=listing.before) if listing.before else None,
        picture=picture_of(hands),
    )


def why_of(read: Reader, badcase_id: str) -> dict[str, Any]:
    """Why the reports of a badcase are in it, part by part, and what was split off it."""
    return {
        "parts": [
            {**asdict(p), "sentence": explain(p.fingerprint, p.rule).sentence}
            for p in grouping.parts_of(read, badcase_id)
        ],
        "moved": [asdict(m) for m in grouping.moves_from(read, badcase_id)],
    }


def led_home(request: Request, hands: Doing, badcase_id: str) -> Response | None:
    """The way from a merged badcase, or a split that was taken back, to where it is counted; None: it is here."""
    with hands.read() as read:
        home = grouping.home_of(read, badcase_id)
    if home is None:
        return None
    to = "/api/v1/badcases" if request.url.path.startswith("/api/") else "/badcases"
    tail = f"&min_position={hands.min_position}" if hands.min_position else ""
    return RedirectResponse(f"{to}/{home.badcase_id}?was={badcase_id}{tail}", 303)


def was_elsewhere(read: Reader, badcase_id: str, was: str) -> dict[str, str] | None:
    """What is said at *badcase_id* to one who asked for *was*, which is counted there."""
    home = grouping.home_of(read, was) if was else None
    if home is None or home.badcase_id != badcase_id:
        return None
    name = next((n.title for n in grouping.named(read, [was])), was)
    how = "is merged into this one" if home.how == "merged" else "was split off, and taken back"
    said = f"{was}, {name}, {how} by {home.by or 'somebody'} on {home.at:%d %b %Y}" + (
        f": {home.reason}" if home.reason else ""
    )
    undo, label = ("unmerge", f"Unmerge {was}") if home.how == "merged" else ("split-again", "Split it again")
    return {"badcase_id": was, "said": f"{said}.", "undo": f"/badcases/{was}/{undo}", "undo_label": label}


def way_of(hands: Doing, read: Reader, uid: str, position: int) -> list[dict[str, Any]]:
    """What happened to a report after it came, up to where it is counted: corrections, splits that hold, merges."""
    corrections = hands.ports.store.read_stream(f"correction/{uid}")
    steps = [
        grouping.Step("corrected", c.event.badcase_id, c.position, c.event.by)
        for c in corrections
        if isinstance(c.event, ReportCorrected)
    ]
    return [asdict(step) for step in [*steps, *grouping.way_of(read, position)]]
