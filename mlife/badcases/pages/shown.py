"""What these pages share: hands, input of forms and JSON, queries with their mistakes, events in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Annotated, Any

import orjson
from fastapi import Depends, Request
from starlette.responses import JSONResponse, Response

from mlife.badcases.views import lists
from mlife.badcases.views.rows import BadcaseView, Share
from mlife.badcases.views.search import searchable_badcases
from mlife.core.command import Done
from mlife.core.errors import Invalid, NotFound, Refusal, shortened
from mlife.core.events import Event, Recorded
from mlife.core.projection import Reader
from mlife.core.query import QueryError, Searchable, compile_query, narrow, parse, without
from mlife.ui import see, with_query
from mlife.ui.doing import Doing, doing
from mlife.ui.pages import wants_json

Hands = Annotated[Doing, Depends(doing)]
LARGEST_FORM = 2_000_000


async def said(request: Request) -> dict[str, Any]:
    """
    What a form or a JSON body says. Empty fields of a form say nothing; fields that come twice are lists.

    Raises:
        Invalid: it is neither.
    """
    if request.headers.get("content-type", "").startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        form = await request.form()
        return {k: v[0] if len(v) == 1 else v for k in form if (v := [str(x) for x in form.getlist(k) if str(x)])}
    body = await request.body()
    if len(body) > LARGEST_FORM:
        raise Invalid(f"a body of {len(body):,} bytes is too large here", remedy=f"send at most {LARGEST_FORM:,}")
    try:
        told = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as e:
        refusal = Refusal(1, "", shortened(body), f"is no JSON: {e.msg}", "one JSON object")
        raise Invalid("the body can't be read", refusals=(refusal,)) from None
    if not isinstance(told, dict):
        raise Invalid("the body is no JSON object", remedy='send an object such as {"note": "…"}')
    return told


Said = Annotated[dict[str, Any], Depends(said)]


def now_of(hands: Doing) -> datetime:
    """The home's time."""
    return hands.home.do.clock.now()


def the_badcase(read: Reader, badcase_id: str) -> BadcaseView:
    """
    The badcase.

    Raises:
        NotFound: there is none.
    """
    found = lists.badcase(read, badcase_id)
    if found is None:
        raise NotFound(f"there is no badcase {badcase_id}", remedy="look for it in the list of badcases")
    return found


def done(request: Request, made: Done, to: str, words: str, **ids: Any) -> Response:
    """The answer to a write: ids and position for programs, the page again for people."""
    if wants_json(request):
        return JSONResponse({"position": made.position, **ids})
    mark = "&" if "?" in to else "?"
    return see(f"{to}{mark}min_position={made.position}" if made.position else to, words)


@dataclass(frozen=True, slots=True)
class Asked:
    """A query as typed, what of it can be used, and its mistake as (message, 0-based character)."""

    q: str
    readable: str
    error: tuple[str, int] | None


def asked(request: Request, q: str, now: datetime, searchable: Searchable = searchable_badcases) -> Asked:
    """
    *q*, if it can be used. People who mistyped see everything with the mistake marked; programs get the error.

    Raises:
        QueryError: a program asked.
    """
    try:
        compile_query(parse(q), searchable, now)
    except QueryError as e:
        if wants_json(request):
            raise
        return Asked(q, "", (f"{e.problem}. {e.expected}", e.position))
    return Asked(q, q, None)


def facet_links(request: Request, q: str, facets: Mapping[str, Sequence[Share]]) -> dict[str, list[dict[str, Any]]]:
    """Facets as links that narrow the query; a value that is on leads back."""
    groups = {}
    for name, shares in facets.items():
        free = without(q, name, searchable=searchable_badcases)
        rows = []
        for share in shares:
            narrower = narrow(q, name, share.value, searchable=searchable_badcases)
            here = narrower == str(parse(q))
            href = with_query(request, q=(free if here else narrower) or None)
            rows.append({"label": share.value or f"no {name}", "count": share.count, "here": here, "href": href})
        if rows:
            groups[name.capitalize()] = rows
    return groups


def picture_of(hands: Doing) -> Callable[..., str | None]:
    """sha256 → address of a thumbnail of at least *size* pixels; None if the bytes are not here, or no picture."""

    @cache
    def here(sha256: str) -> bool:
        return hands.ports.blobs.has(sha256)

    def address(sha256: str | None, size: int = 96, media_type: str | None = None) -> str | None:
        if not sha256 or (media_type and not media_type.startswith("image/")) or not here(sha256):
            return None
        return f"/files/{sha256}/thumbnail?size={size}"

    return address


def history_of(hands: Doing, *streams: str, most: int = 100) -> list[dict[str, Any]]:
    """The events of *streams* as a timeline draws them, newest first."""
    found = [r for stream in streams for r in hands.ports.store.read_stream(stream)]
    found.sort(key=lambda r: -r.position)
    return [
        {
            "position": r.position,
            "word": _word(r),
            "text": in_words(r),
            "actor": r.draft.actor or "somebody",
            "at": r.time,
            "href": f"/events/{r.position}",
        }
        for r in found[:most]
    ]


def _word(recorded: Recorded[Event]) -> str:
    return recorded.event.declared.name.rsplit(".", 1)[-1].replace("_", " ")


def in_words(recorded: Recorded[Event]) -> str:
    """What an event of a badcase, cause, alarm or iteration says, in a few words."""
    e: Any = recorded.event
    if getattr(e, "sentence", ""):
        return str(e.sentence)
    words = [str(w).replace("_", " ") for w in (getattr(e, "reason", ""), getattr(e, "remedy", "")) if w]
    words += [str(getattr(e, name)) for name in ("title", "note", "explanation", "owner") if getattr(e, name, None)]
    if getattr(e, "until", None):
        words.append(f"until {e.until:%Y-%m-%d %H:%M} UTC")
    if getattr(e, "priority", None) is not None:
        words.append(f"priority {e.priority:g}")
    if getattr(e, "rows", None):
        words.append(f"{len(e.rows)} files to {e.document_id}")
    return ": ".join(words)
