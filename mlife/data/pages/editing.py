"""Copies of a file: cropped, masked, trimmed. The original stays; a copy knows what it was made of, and how."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from mlife.core.media.conversions import possible, refuse_unfit
from mlife.data.copying import make_copy as copied
from mlife.data.pages.files import the_file
from mlife.ui import answer, page, see
from mlife.ui.doing import Hands
from mlife.ui.media import SHOWN, look_at
from mlife.ui.pages import local_address, wants_json
from mlife.ui.said import Said

router = APIRouter(tags=["files"])


@page(router, "/files/{sha256}/edit")
def edit_file(request: Request, hands: Hands, sha256: str, back: str = "") -> Response:
    """What copies can be made of a file, each with its form; *back* is where a copy leads afterwards."""
    with hands.read() as read:
        found = the_file(read, sha256)
    look = look_at(request, hands, found.sha256)
    offered = possible(found.media_type)
    data = {
        "sha256": found.sha256,
        "media_type": found.media_type,
        "width": look.width,
        "height": look.height,
        "seconds": look.seconds,
        "problem": look.problem,
        "conversions": [
            {
                "name": name,
                "label": made.label,
                "parameters": [
                    {"name": p.name, "label": p.label, "kind": p.kind, "default": p.default} for p in made.parameters
                ],
            }
            for name, made in offered.items()
        ],
    }
    shown = {
        "file": found,
        "offered": offered,
        "back": local_address(back) if back else "",
        "src": f"/files/{found.sha256}/thumbnail?size={SHOWN}" if look.width else None,
    }
    return answer(request, "data/edit.html", data, **shown)


@router.post("/api/v1/files/{sha256}/copies/{conversion}")
@router.post("/files/{sha256}/copies/{conversion}", include_in_schema=False)
def make_copy(request: Request, hands: Hands, sha256: str, conversion: str, said: Said, back: str = "") -> Response:
    """
    Make a copy: the conversion's parameters as JSON or as a form. The same once more gives the same file.

    Answers the copy's SHA-256; the event `mlife.file.derived` says what it was made of, and how.
    """
    with hands.read() as read:
        found = the_file(read, sha256)
    values = refuse_unfit(conversion, found.media_type).check(said)
    made, position = copied(hands.ports, hands.executor, hands.do, found, conversion, values)
    if wants_json(request):
        return JSONResponse({"sha256": made.sha256, "source": found.sha256, "position": position}, 201)
    to = local_address(back) if back else f"/files/{made.sha256}"
    mark = "&" if "?" in to else "?"
    return see(f"{to}{mark}min_position={position}", f"a copy of {found.name or 'the file'} is in the store")
