"""What these pages share: hands, the answer to a write, pictures, and events in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from fastapi import Request
from starlette.responses import JSONResponse, Response

from mlife.badcases.views import lists
from mlife.badcases.views.grouping import must_be_counted_here
from mlife.badcases.views.rows import BadcaseView
from mlife.badcases.views.saved import badcases_of_view, saved_view
from mlife.core.command import Done
from mlife.core.errors import there_is
from mlife.core.events import Event, Recorded
from mlife.core.projection import Reader
from mlife.ui import see
from mlife.ui.doing import Doing
from mlife.ui.pages import wants_json
from mlife.ui.said import listed


def the_badcase(read: Reader, badcase_id: str) -> BadcaseView:
    """
    The badcase.

    Raises:
        NotFound: there is none.
        Refused: it is merged into another one.
    """
    found = there_is(lists.badcase(read, badcase_id), "badcase", badcase_id)
    must_be_counted_here(read, badcase_id)
    return found


def done(request: Request, made: Done, to: str, words: str, *, undo: str = "", **ids: Any) -> Response:
    """The answer to a write: ids and position for programs, for people the page again, with a way to *undo* it."""
    if wants_json(request):
        return JSONResponse({"position": made.position, **ids})
    mark = "&" if "?" in to else "?"
    return see(f"{to}{mark}min_position={made.position}" if made.position else to, words, undo if made.events else "")


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


def in_words(event: Event) -> str:
    """What an event of a badcase, cause, alarm or iteration says, in a few words."""
    e: Any = event
    if getattr(e, "sentence", ""):
        return str(e.sentence)
    words = [str(w).replace("_", " ") for w in (getattr(e, name, "") for name in ("reason", "remedy", "outcome")) if w]
    if getattr(e, "what", "") and getattr(e, "version", 0):
        return f"{e.what}, of version {e.version}"
    words += [
        str(getattr(e, name)) for name in ("title", "note", "explanation", "owner", "text") if getattr(e, name, None)
    ]
    if getattr(e, "until", None):
        words.append(f"until {e.until:%Y-%m-%d %H:%M} UTC")
    if getattr(e, "priority", None) is not None:
        words.append(f"priority {e.priority:g}")
    if getattr(e, "rows", None):
        words.append(f"{len(e.rows)} files to {e.document_id}")
    return ": ".join(words)


def undo_of(recorded: Recorded[Event], stream: str, possible: Mapping[int, str]) -> str | None:
    """Where an event of *stream* is taken back; None if it can't be. *possible*: versions that can."""
    if recorded.stream != stream or recorded.version not in possible:
        return None
    kind, _, id = stream.partition("/")
    return f"/{kind}s/{id}/undo?version={recorded.version}"


def chosen_badcases(hands: Doing, said: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """
    What was said with the badcases of a list, a selection, a query `q` or a saved view as `badcase_ids`.

    Returns:
        It, and the query that found them; empty: they were chosen one by one.
    """
    given = dict(said)
    q, selected, view_id = given.pop("q", None), listed(given.pop("selected", None)), given.get("view_id")
    if "badcase_ids" in given or (selected and "*" not in selected):
        ids = given.get("badcase_ids", selected)
        return {**given, "badcase_ids": listed(ids) if isinstance(ids, str) else ids}, ""
    with hands.read() as read:
        if view_id:
            q = there_is(saved_view(read, str(view_id)), "view", str(view_id)).query
            return {**given, "badcase_ids": badcases_of_view(read, str(view_id), now=hands.now)}, q
        if q is None:
            return {**given, "badcase_ids": []}, ""
        return {**given, "badcase_ids": lists.ids_to_freeze(read, str(q), now=hands.now)}, str(q)
