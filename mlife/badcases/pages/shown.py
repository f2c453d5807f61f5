"""What these pages share: hands, the answer to a write, pictures, and events in words."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from fastapi import Request
from starlette.responses import JSONResponse, Response

from mlife.badcases.views import lists
from mlife.badcases.views.rows import BadcaseView
from mlife.core.command import Done
from mlife.core.errors import there_is
from mlife.core.events import Event
from mlife.core.projection import Reader
from mlife.ui import see
from mlife.ui.doing import Doing
from mlife.ui.pages import wants_json


def the_badcase(read: Reader, badcase_id: str) -> BadcaseView:
    """
    The badcase.

    Raises:
        NotFound: there is none.
    """
    return there_is(lists.badcase(read, badcase_id), "badcase", badcase_id)


def done(request: Request, made: Done, to: str, words: str, **ids: Any) -> Response:
    """The answer to a write: ids and position for programs, the page again for people."""
    if wants_json(request):
        return JSONResponse({"position": made.position, **ids})
    mark = "&" if "?" in to else "?"
    return see(f"{to}{mark}min_position={made.position}" if made.position else to, words)


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
    words = [str(w).replace("_", " ") for w in (getattr(e, "reason", ""), getattr(e, "remedy", "")) if w]
    words += [str(getattr(e, name)) for name in ("title", "note", "explanation", "owner") if getattr(e, name, None)]
    if getattr(e, "until", None):
        words.append(f"until {e.until:%Y-%m-%d %H:%M} UTC")
    if getattr(e, "priority", None) is not None:
        words.append(f"priority {e.priority:g}")
    if getattr(e, "rows", None):
        words.append(f"{len(e.rows)} files to {e.document_id}")
    return ": ".join(words)
