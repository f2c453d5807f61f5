"""
Pictures of strangers, looked at safely: size and kind, and thumbnails that are always encoded anew.

Pillow runs in a helper process (`images_pillow_worker.py`), started when first needed and kept. A picture that makes it
crash, eat memory or run for ever costs that process, not the server; the next picture gets a new one.

`sniff` tells a file's kind from its first bytes, never from its name.
"""

from __future__ import annotations

import atexit
import os
import re
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlife.adapters.helper_process import Helper
from mlife.adapters.images_pillow_worker import message
from mlife.core.errors import Misconfigured, NotFound

SNIFFED = 4096  # bytes that `sniff` wants to see

_WORKER = Path(__file__).with_name("images_pillow_worker.py")


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """
    A picture whose first frame could be decoded.

    Fields:
        width, height: pixels as stored, before any EXIF turn.
        format: e.g. `PNG`.
        mode: Pillow's name of the pixel type, e.g. `RGB`, `L`, `I;16`.
        media_type: e.g. `image/png`.
        turned: EXIF says that it lies on its side: upright, width and height change places.
    """

    width: int
    height: int
    format: str
    mode: str
    media_type: str
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture, PNG or WebP. `width` and `height` in pixels."""

    body: bytes
    media_type: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class NotAnImage:
    """Why a file can't be shown, as the predicate of a sentence about it: "is truncated", "has 900,000,000 pixels"."""

    problem: str


class PillowImages:
    """
    Looks at pictures; may be used from many threads, which take turns.

    Args:
        max_bytes: the largest file that is opened.
        max_pixels: the largest picture that is decoded (a zip bomb is refused by its header).
        memory: bytes that the helper may use beyond what it starts with.
        timeout: seconds for one answer.
    """

    def __init__(
        self,
        *,
        max_bytes: int = 64 << 20,
        max_pixels: int = 50_000_000,
        memory: int = 768 << 20,
        timeout: float = 10.0,
    ) -> None:
        self._limits = {"max_bytes": max_bytes, "max_pixels": max_pixels}
        self._memory = memory
        self._timeout = timeout
        self._lock = threading.Lock()
        self._helper = self._new_helper()
        self._owner = os.getpid()
        atexit.register(self.close)

    def probe(self, source: Path | bytes) -> ImageInfo | NotAnImage:
        """
        What kind of picture *source* (a file, or its bytes) is.

        The first frame is decoded, so that a truncated file is found out.

        Raises:
            NotFound: there is no such file.
        """
        found, _ = self._ask(source, {"ask": "probe"})
        return NotAnImage(found["problem"]) if "problem" in found else ImageInfo(**found)

    def thumbnail(self, source: Path | bytes, box: tuple[int, int] = (256, 256)) -> Thumbnail | NotAnImage:
        """
        The first frame of *source*, upright, to fit into *box* (width, height in pixels, 1 to 2,048).

        A picture of at most 64 pixels is enlarged by a whole factor, pixel by pixel; others are never enlarged.

        Raises:
            NotFound: there is no such file.
        """
        width, height = (max(1, min(2048, side)) for side in box)
        found, body = self._ask(source, {"ask": "thumbnail", "width": width, "height": height})
        return NotAnImage(found["problem"]) if "problem" in found else Thumbnail(body, **found)

    @staticmethod
    def sniff(head: bytes) -> str:
        """The media type of a file that begins with *head*; see `sniff`."""
        return sniff(head)

    def close(self) -> None:
        """Stop the helper; the next question starts another."""
        if self._owner == os.getpid():
            with self._lock:
                self._helper.stop()

    # ── the helper ───────────────────────────────────────────────────────────────────────────────

    def _new_helper(self) -> Helper:
        return Helper([sys.executable, "-P", str(_WORKER), str(self._memory)], "reads pictures")

    def _ask(self, source: Path | bytes, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        if self._owner != os.getpid():
            # After a fork the pipes still belong to the parent, and its lock may be held by nobody here.
            self._lock, self._helper, self._owner = threading.Lock(), self._new_helper(), os.getpid()
        request = {**request, **self._limits}
        if isinstance(source, Path):
            sent = message({**request, "path": str(source.absolute())})
        elif len(source) > self._limits["max_bytes"]:
            return {"problem": f"has {len(source):,} bytes; at most {self._limits['max_bytes']:,} are read"}, b""
        else:
            sent = message(request, source)
        with self._lock:
            # Once more if the helper died: somebody may have ended it while it was idle.
            found, body = self._exchange(sent) or self._exchange(sent) or ({"problem": "makes the reader crash"}, b"")
        if "missing" in found:
            raise NotFound(f"no file {source!s}", remedy="check the path")
        if "fault" in found:
            raise Misconfigured(
                f"pictures can't be read: {found['fault']}", remedy="install Pillow: pip install pillow"
            )
        return found, body

    def _exchange(self, sent: bytes) -> tuple[dict[str, Any], bytes] | None:
        """Send and wait for the answer; None if the helper died over it."""
        try:
            return self._helper.ask(sent, self._timeout)
        except TimeoutError:
            return {"problem": f"takes longer than {self._timeout:g} s to be read"}, b""


# ── kinds of files ───────────────────────────────────────────────────────────────────────────────

UNKNOWN = "application/octet-stream"

# A portable map is text: "P1" alone may begin a sentence.
_SIZE = rb"\s+(?:#[^\n]*\n\s*)*\d+\s+\d+\s"
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (rb"\x89PNG\r\n\x1a\n", "image/png"),
    (rb"\xff\xd8\xff", "image/jpeg"),
    (rb"GIF8[79]a", "image/gif"),
    (rb"RIFF....WEBP", "image/webp"),
    (rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", "image/bmp"),
    (rb"II\*\0|MM\0\*", "image/tiff"),
    (rb"P[14]" + _SIZE, "image/x-portable-bitmap"),
    (rb"P[25]" + _SIZE, "image/x-portable-graymap"),
    (rb"P[36]" + _SIZE, "image/x-portable-pixmap"),
    (rb"....ftyp(?:heic|heix|mif1)", "image/heic"),
    (rb"....ftypavif", "image/avif"),
    (rb"....ftypqt", "video/quicktime"),
    (rb"....ftypM4A", "audio/mp4"),
    (rb"....ftyp", "video/mp4"),
    (rb"RIFF....WAVE", "audio/wav"),
    (rb"RIFF....AVI ", "video/x-msvideo"),
    (rb"\x1a\x45\xdf\xa3.{0,60}webm", "video/webm"),
    (rb"\x1a\x45\xdf\xa3", "video/x-matroska"),
    (rb"OggS", "audio/ogg"),
    (rb"fLaC", "audio/flac"),
    (rb"ID3|\xff[\xfb\xf3\xf2]", "audio/mpeg"),
    (rb"%PDF-", "application/pdf"),
    (rb"PK\x03\x04", "application/zip"),
    (rb"\x1f\x8b", "application/gzip"),
    (rb"\x93NUMPY", "application/x-npy"),
    (rb"PAR1", "application/vnd.apache.parquet"),
)
_KINDS = tuple((re.compile(magic, re.DOTALL), media_type) for magic, media_type in _MAGIC)
_SVG = re.compile(r"<(?:\w+:)?svg[\s>/]", re.IGNORECASE)
_HTML = re.compile(
    r"<(?:!doctype\s+html|html|head|body|script|iframe|title|meta|link|style|table|div|a|p|h1|br|img)[\s>/]",
    re.IGNORECASE,
)


def sniff(head: bytes) -> str:
    """
    The media type of a file that begins with *head* (its first 4 KiB); `application/octet-stream` if it can't be told.

    Text that a browser might run is called by its name (HTML, SVG, XML), wherever in *head* the mark-up begins, so that
    nobody serves it as a picture. A picture with mark-up inside is a picture: thumbnails of it are encoded anew.
    """
    for magic, media_type in _KINDS:
        if magic.match(head):
            return media_type
    text = _as_text(head)
    if text is None:
        return UNKNOWN
    svg, html = _SVG.search(text), _HTML.search(text)
    if html and not (svg and svg.start() < html.start()):
        return "text/html"
    if svg:
        return "image/svg+xml"
    start = text.lstrip()[:5]
    if start.startswith("<?xml"):
        return "application/xml"
    return "application/json" if start[:1] in {"{", "["} else "text/plain"


def _as_text(head: bytes) -> str | None:
    """*head* as text, the last character possibly cut; None if it is none."""
    if not head:
        return None
    encoding = "utf-16" if head[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    for cut in range(4):
        try:
            text = head[: len(head) - cut].decode(encoding)
        except UnicodeDecodeError:
            continue
        return None if re.search("[\0-\x08\x0e-\x1a]", text) else text
    return None
