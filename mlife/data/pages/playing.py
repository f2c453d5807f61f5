"""Sound and film as a player wants them: shown, not downloaded, and any part of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from mlife.core.errors import NotFound
from mlife.data.images import images_of
from mlife.data.pages.files import CHUNK, FOREVER, the_file
from mlife.ui.doing import Hands
from mlife.ui.media import look_at

router = APIRouter(tags=["files"])
PLAYED = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'",
}
"""A browser that is led to it plays it, and can do nothing else with it."""
RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@router.get("/api/v1/files/{sha256}/play", response_class=Response)
@router.get("/files/{sha256}/play", response_class=Response, include_in_schema=False)
def play(request: Request, sha256: str, hands: Hands) -> Response:
    """
    Sound or film under its own media type, by `Range` any part of it.

    Raises:
        NotFound: there is no such file, or nothing in it can be played.
    """
    with hands.read() as read:
        digest = the_file(read, sha256).sha256
    look, blobs = look_at(request, hands, digest), hands.ports.blobs
    if look.problem or look.medium not in {"audio", "video"}:
        raise NotFound(f"file {digest} can't be played", remedy="play sound or film; download others")
    with blobs.open(digest) as content:
        media_type = images_of(hands.ports).sniff(content.read(4096))
    size = blobs.size(digest)
    first, last = _part(request.headers.get("range", ""), size)
    headers = {"Accept-Ranges": "bytes", "Cache-Control": FOREVER, "ETag": f'"{digest}"', **PLAYED}
    if first > last:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Length"] = str(last - first + 1)
    if "range" in request.headers:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    status = 206 if "range" in request.headers else 200
    pieces = _pieces(blobs.open(digest), first, last - first + 1)
    return StreamingResponse(pieces, status, headers, media_type)


def _part(asked: str, size: int) -> tuple[int, int]:
    """The first and last byte asked for; what can't be read, or asks for several parts, is answered with the first."""
    found = RANGE.match(asked)
    if found is None or not any(found.groups()):
        return 0, size - 1
    low, high = found.groups()
    if not low:
        return max(0, size - int(high)), size - 1
    return int(low), min(int(high), size - 1) if high else size - 1


def _pieces(content: BinaryIO, first: int, count: int) -> Iterator[bytes]:
    with content:
        if content.seekable():
            content.seek(first)
        else:  # a store that only streams
            while first and (skipped := content.read(min(CHUNK, first))):
                first -= len(skipped)
        while count and (piece := content.read(min(CHUNK, count))):
            count -= len(piece)
            yield piece
