"""Files out: bytes as downloads, small pictures, and what a file is used for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import wrap
from typing import BinaryIO
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from mlife.core.errors import Misconfigured, NotFound, Refused
from mlife.core.events import derived_id
from mlife.core.projection import Reader
from mlife.data import views
from mlife.data.events import FileDerived
from mlife.data.images import images_of
from mlife.data.pages.shown import tabs
from mlife.data.views import FileView
from mlife.ui import answer, page
from mlife.ui.doing import Doing, Hands
from mlife.ui.lists import asked
from mlife.ui.media import cache_of, keep, look_at

router = APIRouter()
FOREVER = "private, max-age=31536000, immutable"
SIZES = (44, 96, 192, 384, 768)
"""Sides that thumbnails are made in; another is answered with the next larger one."""
CHUNK = 1 << 18
BYTES = "application/octet-stream"
LINK_SECONDS = 600
HARMLESS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}
"""Headers of whatever came from outside, or was made of it: if a browser is led to it, nothing in it runs."""
UNKEPT = {"Cache-Control": "no-store"}
ROOM_FOR_WORDS = 192
"""Side of a placeholder, in pixels, from which words can be read."""


@page(router, "/files")
def list_files(
    request: Request, hands: Hands, q: str = "", sort: str | None = None, after: str | None = None, limit: int = 60
) -> Response:
    """Stored files, the last stored first."""
    now = hands.now
    ask = asked(request, q, views.searchable_files, now)
    with hands.read() as read:
        found = views.file_page(read, ask.readable, now=now, sort=sort, after=after, limit=limit)
        count, size = views.stored_bytes(read)
        position = read.position
    data = found.told("files", (asdict(f) for f in found.items), position)
    return answer(
        request,
        "data/files.html",
        data,
        q=ask.q,
        error=ask.error,
        shown=found.items,
        count=count,
        size=size,
        tabs=tabs("Files"),
    )


@router.get("/files/{sha256}", include_in_schema=False)
@router.get("/api/v1/files/{sha256}/about", response_model=None)
def about_file(request: Request, sha256: str, hands: Hands) -> Response:
    """What a file is, and everything that it is used for."""
    with hands.read() as read:
        found = the_file(read, sha256)
        uses = views.uses_of_file(read, sha256)
        position = read.position
    data = {**asdict(found), "uses": [asdict(u) for u in uses], "position": position}
    look = look_at(request, hands, found.sha256)
    data |= {"width": look.width, "height": look.height, "seconds": look.seconds, "problem": look.problem}
    derived = made_of(hands, found.sha256)
    data["made_of"] = derived and derived.model_dump(mode="json")
    return answer(request, "data/file.html", data, file=found)


@router.get("/api/v1/files/{sha256}", response_class=Response)
@router.head("/api/v1/files/{sha256}", response_class=Response, include_in_schema=False)
def download(request: Request, sha256: str, hands: Hands) -> Response:
    """
    The bytes, as a download: never shown by the browser, whatever they are.

    Where the store gives links the answer is 307 and leads to one, which is good for ten minutes.
    """
    digest = sha256.removeprefix("sha256:")
    with hands.read() as read:
        known = views.file(read, digest)
    size = hands.ports.blobs.size(digest)
    shown_as = disposition(Path(known.name).name if known and known.name else digest)
    headers = {
        "Content-Disposition": shown_as,
        **HARMLESS,
        "Cache-Control": FOREVER,
        "ETag": f'"{digest}"',
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    headers["Content-Length"] = str(size)
    if request.method == "HEAD":
        return Response(headers=headers, media_type=BYTES)
    link = hands.ports.blobs.download_link(digest, disposition=shown_as, media_type=BYTES, seconds=LINK_SECONDS)
    if link is not None:
        return RedirectResponse(link, 307, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
    return StreamingResponse(_pieces(hands.ports.blobs.open(digest)), headers=headers, media_type=BYTES)


def _pieces(content: BinaryIO) -> Iterator[bytes]:
    with content:
        while piece := content.read(CHUNK):
            yield piece


def disposition(name: str) -> str:
    """The header that makes a download of it, in any browser's spelling (RFC 6266)."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\;%' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


@router.get("/api/v1/files/{sha256}/thumbnail", response_class=Response)
@router.get("/files/{sha256}/thumbnail", response_class=Response, include_in_schema=False)
@router.get("/files/{sha256}/thumb", response_class=Response, include_in_schema=False)
def thumbnail(request: Request, sha256: str, hands: Hands, size: int = 96) -> Response:
    """A small picture, encoded anew and kept; for what is no picture a drawn card that names its type."""
    side = next((s for s in SIZES if s >= size), SIZES[-1])
    sha256 = sha256.removeprefix("sha256:")
    if not is_digest(sha256):
        raise NotFound(f"{sha256[:80]!r} is no SHA-256", remedy="give 64 hexadecimal digits in lower case")
    tag = f'"{sha256}-{side}"'
    headers = {"Cache-Control": FOREVER, "ETag": tag, **HARMLESS}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    kept = cache_of(request) / "thumbnails" / sha256[:2] / f"{sha256}-{side}"
    if kept.is_file():
        body = kept.read_bytes()
        return Response(body, headers=headers, media_type=_kind_of(body))
    with hands.read() as read:
        found = the_file(read, sha256)
    try:
        body = _drawn(hands, found, side)
    except Misconfigured as e:  # it may be installed tomorrow
        return Response(card(found.media_type, side, e.message), media_type="image/svg+xml", headers=HARMLESS | UNKEPT)
    keep(kept, body)
    return Response(body, headers=headers, media_type=_kind_of(body))


def _drawn(hands: Doing, file: FileView, side: int) -> bytes:
    if file.media_type.startswith(tuple(DRAWN_BY)):
        return _drawn_of(hands, file, side)
    if not file.is_image:
        return card(file.media_type, side, f"is {file.media_type}, which is not shown")
    path = hands.ports.blobs.path(file.sha256)
    if path is None:
        with hands.ports.blobs.open(file.sha256) as content:
            made = images_of(hands.ports).thumbnail(content.read(), (side, side))
    else:
        made = images_of(hands.ports).thumbnail(path, (side, side))
    body: bytes | None = getattr(made, "body", None)
    return card(file.media_type, side, str(getattr(made, "problem", ""))) if body is None else body


DRAWN_BY: Mapping[str, tuple[str, Mapping[str, float]]] = {"audio/": ("waveform", {}), "video/": ("frame", {"at": 0.0})}
"""Beginning of a media type → the conversion that makes a picture of it, and its values."""


def _drawn_of(hands: Doing, file: FileView, side: int) -> bytes:
    """The wave of a sound, the first frame of a film; a card where the reader is not installed."""
    conversion, values = next(by for kind, by in DRAWN_BY.items() if file.media_type.startswith(kind))
    with TemporaryDirectory(prefix="mlife-thumbnail-") as name:
        held = hands.ports.blobs.hold(file.sha256, Path(name) / "source")
        try:
            picture = hands.ports.extra["workshop"].convert(conversion, held, values, Path(name)).path
        except Refused as e:
            return card(file.media_type, side, e.message.removeprefix("the file "))
        made = images_of(hands.ports).thumbnail(picture, (side, side))
    body: bytes | None = getattr(made, "body", None)
    return card(file.media_type, side, str(getattr(made, "problem", ""))) if body is None else body


def card(media_type: str, side: int, problem: str) -> bytes:
    """A quiet drawing that says what kind of file it is and why it is not shown; in words where there is room."""
    kind, _, detail = media_type.partition("/")
    word = {"application": detail, "text": "text" if detail == "plain" else detail}.get(kind, kind)
    word = escape(word.removeprefix("x-").replace("octet-stream", "bytes")[:10])
    lines = wrap(problem, 26, max_lines=3, placeholder=" …") if side >= ROOM_FOR_WORDS else []
    said = "".join(f'<text x="48" y="{66 + 7 * n}" font-size="6">{escape(t)}</text>' for n, t in enumerate(lines))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 96" width="{side}" height="{side}" role="img">'
        f"<title>{escape(media_type)}: {escape(problem)}</title>"
        '<rect x="6" y="8" width="84" height="80" rx="6" fill="none" stroke="#8a8478" stroke-width="2"/>'
        '<g text-anchor="middle" font-family="sans-serif" fill="#8a8478">'
        f'<text x="48" y="{46 if lines else 54}" font-size="13">{word}</text>{said}</g>'
        "</svg>"
    ).encode()


def is_digest(text: str) -> bool:
    """Is it a SHA-256, and so no path?"""
    return len(text) == 64 and all(c in "0123456789abcdef" for c in text)


def _kind_of(body: bytes) -> str:
    """Thumbnails are PNG, WebP or our own SVG."""
    if body.startswith(b"\x89PNG"):
        return "image/png"
    return "image/svg+xml" if body.startswith(b"<svg") else "image/webp"


def the_file(read: Reader, sha256: str) -> FileView:
    """
    The file, by its digest with or without `sha256:`.

    Raises:
        NotFound: the store has none of that digest.
    """
    found = views.file(read, sha256.removeprefix("sha256:"))
    if found is None:
        raise NotFound(f"no file {sha256[:80]} is stored", remedy="put it first: mlife file put, or POST /api/v1/files")
    return found


def made_of(hands: Doing, sha256: str) -> FileDerived | None:
    """What a copy was made of; None for a file that is none."""
    found = hands.ports.store.find([derived_id(f"derived/{sha256}")])
    return next((r.event for r in found.values() if isinstance(r.event, FileDerived)), None)
