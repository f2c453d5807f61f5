"""
Static files under the hash of their content, so that a browser keeps them for ever.

The stylesheet and the module lie in `mlife/ui/static`; htmx is read from its installed wheel; a feature may add a file.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.core.errors import Misconfigured, NotFound

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_sources: dict[str, Callable[[], Path]] = {}
router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is sent: its bytes, the same gzipped, and the first 12 hex digits of its SHA-256."""

    content: bytes
    gzipped: bytes
    digest: str
    media_type: str


def static_file(name: str, source: Path | Callable[[], Path]) -> None:
    """
    Serve *source* as `static(name)`; a callable is asked when the file is first needed.

    Raises:
        Misconfigured: another file has this name, or its kind is not css, js or svg.
    """
    if Path(name).suffix not in _TYPES or "/" in name:
        raise Misconfigured(f"static file {name!r}", remedy=f"a plain file name that ends in one of {sorted(_TYPES)}")
    if name in _sources and _sources[name] != source:
        raise Misconfigured(f"static file {name!r} exists already", remedy="choose another name")
    _sources[name] = source if callable(source) else lambda: source


def htmx() -> Path:
    """The htmx file of the installed wheel."""
    try:
        found = [f for f in files("django-js-lib-htmx") or () if f.parts[-2:] == ("htmx", "htmx.min.js")]
    except PackageNotFoundError:
        found = []
    if not found:
        raise Misconfigured("htmx is not installed", remedy="pip install django-js-lib-htmx")
    return Path(str(found[0].locate()))


@lru_cache
def load(name: str) -> StaticFile:
    """
    Read a static file once.

    Raises:
        NotFound: no such static file.
    """
    if name not in _sources:
        raise NotFound(f"no static file {name!r}")
    content = _sources[name]().read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:12]
    return StaticFile(content, gzip.compress(content, 9, mtime=0), digest, _TYPES[Path(name).suffix])


def static_url(name: str) -> str:
    """The address of a static file; it changes when the content does."""
    return f"/static/{load(name).digest}/{name}"


@router.get("/static/{digest}/{name}")
def serve(request: Request, digest: str, name: str) -> Response:
    """A page of before an upgrade gets today's file under yesterday's hash, but may not keep it."""
    file = load(name)
    age = "public, max-age=31536000, immutable" if digest == file.digest else "no-cache"
    headers = {"Cache-Control": age, "ETag": f'"{file.digest}"', "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.gzipped, media_type=file.media_type, headers=headers | {"Content-Encoding": "gzip"})
    return Response(file.content, media_type=file.media_type, headers=headers)


_folder = Path(__file__).parent / "static"
for _own in ("draw.js", "mlife.css", "mlife.js", "mlife.svg", "play.js"):
    static_file(_own, _folder / _own)
static_file("htmx.js", htmx)
