"""What pages of badcases show of files, prediction over truth; and how the bytes that reports link to come in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from mlife.badcases import commands
from mlife.badcases.arriving import report_with_link
from mlife.badcases.arriving import take_bytes as arrive
from mlife.badcases.commands.media import want_data
from mlife.badcases.pages.shown import done, the_badcase
from mlife.badcases.states import Correction
from mlife.badcases.views import details
from mlife.badcases.views.media import CopyView, LinkView, copies_of, links_of_report
from mlife.badcases.wanting import digest_said, links_to_want
from mlife.core.command import Done, folded
from mlife.core.errors import Invalid, NotFound, Refused
from mlife.core.media.conversions import conversion
from mlife.core.media.links import MOST_BYTES
from mlife.ui.doing import Doing, Hands
from mlife.ui.limits import takes_any_length
from mlife.ui.media import Shown, shown_over
from mlife.ui.said import Said

JSON = dict[str, Any]
router = APIRouter(tags=["badcases"])
IN_MEMORY = 4 << 20
CAPTIONS = frozenset({"class", "labels"})
"""Types that the page of a badcase shows in words already."""
MOST_LINKS = 12
"""Files of one report that its page draws; the rest are named."""


@dataclass(frozen=True, slots=True)
class LinkedFile:
    """
    One link of a report, as its page shows it.

    Args:
        number: its place among the report's links, from 0.
        told: what came of reading it; None: nobody tried.
        shown: the drawing; None: only named, because there are too many.
    """

    number: int
    uri: str
    sha256: str | None
    pending: bool
    media_type: str
    shown: Shown | None
    told: LinkView | None


def linked_files(
    request: Request, hands: Doing, report: JSON, truth: JSON | None, told: Mapping[int, LinkView]
) -> list[LinkedFile]:
    """Every link of *report* (opened), each with prediction over *truth*, as it is known today."""
    found = []
    for number, link in enumerate(report["data"]):
        known = told.get(number)
        sha256 = (known and known.sha256) or digest_said(link)
        media_type = (known and known.media_type) or link.get("media_type") or ""
        shown = None
        if number < MOST_LINKS:
            shown = shown_over(
                request,
                hands,
                sha256=sha256,
                media_type=media_type,
                truth=truth,
                prediction=report["prediction"],
            )
        pending = bool(link.get("pending")) and (known is None or known.sha256 is None)
        found.append(LinkedFile(number, link.get("uri") or "", sha256, pending, media_type, shown, known))
    return found


def newest_of(request: Request, hands: Doing, position: int, told: Mapping[int, LinkView]) -> LinkedFile | None:
    """Prediction over truth on the first file of the report at *position*; None where a caption would say it all."""
    report = report_with_link(hands.ports, position, 0)
    if report.prediction["type"] in CAPTIONS:
        return None
    opened = hands.open(report.model_dump(mode="json"))
    return linked_files(request, hands, {**opened, "data": opened["data"][:1]}, truth_today(hands, opened), told)[0]


def truth_today(hands: Doing, report: JSON) -> JSON | None:
    """The truth of a report after its corrections."""
    uid = report["uid"]
    correction = folded(Correction, uid, hands.ports.store.read_stream(f"correction/{uid}"))
    truth: JSON | None = correction.truth if correction.exists else report.get("truth")
    return truth


@router.post("/api/v1/badcases/{badcase_id}/fetch")
@router.post("/badcases/{badcase_id}/fetch", include_in_schema=False)
def fetch_links(request: Request, hands: Hands, badcase_id: str) -> Response:
    """
    Read what the newest reports of a badcase link to and is not in the store: also what could not be read before.

    Answers at once with how many links will be read; what comes of each is an event.
    """
    with hands.read() as read:
        the_badcase(read, badcase_id)
        links = links_to_want(hands.ports.store, hands.ports.blobs, read, badcase_id)
    made = hands.do(want_data, badcase_id=badcase_id, links=links) if links else Done(0, ())
    words = f"{len(links)} links are being read" if links else "nothing is left to be read"
    return done(request, made, f"/badcases/{badcase_id}", words, badcase_id=badcase_id, wanted=len(links))


@router.post("/api/v1/reports/{position}/data/{number}")
async def take_bytes(request: Request, hands: Hands, position: int, number: int) -> Response:
    """
    The bytes of one of a report's links (its number, from 0), as the body: for those that were `pending`, and those
    that could not be read.

    The digest that the report gives is compared; where it gives none, the first bytes that come are the original, and
    others are refused. Sending the same again changes nothing.
    """
    report_with_link(hands.ports, position, number)
    takes_any_length(request)
    with SpooledTemporaryFile(IN_MEMORY) as body:
        async for some in request.stream():
            await run_in_threadpool(body.write, some)
            if body.tell() > MOST_BYTES:
                raise Invalid(f"the body has more than {MOST_BYTES:,} bytes", remedy="send a smaller file")
        return await run_in_threadpool(_keep_bytes, request, hands, position, number, body)


def _keep_bytes(request: Request, hands: Doing, position: int, number: int, body: Any) -> Response:
    sha256, made = arrive(hands.ports, hands.do, hands.open, position, number, body)
    ids: JSON = {"sha256": sha256, "new": bool(made.events)}
    return done(request, made, f"/reports/{position}", "the bytes are in the store", **ids)


@router.post("/api/v1/reports/{position}/pin")
@router.post("/reports/{position}/pin", include_in_schema=False)
def pin_copy(request: Request, hands: Hands, position: int, said: Said) -> Response:
    """
    Add a copy of a report's file to the test data: `{"sha256": "…"}`, a copy that was made of one of its files.

    The truth moves with it: boxes are shifted by a crop, segments cut by a trim. Where it can't be told what is right
    on the copy, `truth` must say it.
    """
    report = report_with_link(hands.ports, position, 0)
    told = hands.open(report.model_dump(mode="json"))
    with hands.read() as read:
        place = details.report_by_position(read, position)
        badcase = the_badcase(read, place.badcase_id if place else report.badcase_id)
        copies = [
            copy for digest in digests_of(told, links_of_report(read, position)) for copy in copies_of(read, digest)
        ]
    copy = next((c for c in copies if c.sha256 == said.get("sha256")), None)
    if copy is None:
        raise NotFound("that is no copy of a file of this report", remedy="make one: the page of the file has the form")
    truth = said.get("truth") or truth_on(copy, truth_today(hands, told))
    if truth is None:
        raise Refused("nobody can say what is right on this copy", remedy="give its truth, or the report's first")
    made = hands.edit(
        f"badcase/{badcase.badcase_id}",
        commands.pin,
        badcase_id=badcase.badcase_id,
        system=badcase.system,
        function=badcase.function,
        rows=[{"uid": report.uid, "sha256": copy.sha256, "annotation": truth}],
    )
    words = "the copy is test data now" if made.events else "the copy was test data already"
    return done(request, made, f"/reports/{position}", words, badcase_id=badcase.badcase_id, sha256=copy.sha256)


def digests_of(report: JSON, told: Mapping[int, LinkView]) -> list[str]:
    """The SHA-256 of each of a report's files that is known."""
    known = [told[n].sha256 if n in told else None for n in range(len(report["data"]))]
    both = [k or digest_said(link) for k, link in zip(known, report["data"], strict=True)]
    return list(dict.fromkeys(d for d in both if d))


def truth_on(copy: CopyView, truth: JSON | None) -> JSON | None:
    """The source's truth as it reads on the copy; None: nobody can tell."""
    if truth is None:
        return None
    try:
        moves = conversion(copy.operation).moves
    except NotFound:  # a plug-in that is gone
        return None
    moved = moves(truth, copy.parameters) if moves else None
    return {k: v for k, v in moved.items() if k not in ("score", "scores")} if moved else None
