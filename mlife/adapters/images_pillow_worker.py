"""
The process that opens strangers' pictures. `images_pillow.py` starts it by path; it imports nothing of MLife.

It may use a fixed amount of memory beyond what it starts with, write no file, and is killed by its parent if an answer
takes too long. Whatever a picture does to it, it does to a process that holds nothing.

A message, both ways: 4 bytes length, that much JSON; then the bytes that the JSON's `body` announces.
"""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from PIL.Image import Image

# Formats of the data that models see. Left out on purpose: those that start other programs (EPS) or nest others (ICNS).
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
CRISP_TO = 64  # pixels: a picture whose longer side is not above this is enlarged by whole steps, pixel by pixel
PNG_TO = 128 * 128  # pixels: small thumbnails stay exact, larger ones are WebP of a tenth of the bytes

_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # EXIF orientation → Pillow's Transpose
_SIDEWAYS = {2, 4, 5, 6}  # those that swap width and height


class _Refused(Exception):
    """The file can't be shown; says why, as the predicate of a sentence about it."""


def read_message(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """The next message; None when the other side has gone."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    values = json.loads(stream.read(struct.unpack("<I", head)[0]))
    return values, stream.read(values.get("body", 0))


def message(values: dict[str, Any], body: bytes = b"") -> bytes:
    """*values* and *body* as one message."""
    text = json.dumps({**values, "body": len(body)}).encode()
    return struct.pack("<I", len(text)) + text + body


def answer(request: dict[str, Any], body: bytes) -> bytes:
    """The answer to one request, as a message; a picture that can't be read is an answer, too."""
    try:
        with _opened(request, body) as stream:
            return _probe(stream, request) if request["ask"] == "probe" else _thumbnail(stream, request)
    except FileNotFoundError:
        return message({"missing": True})
    except MemoryError:
        return message({"problem": "needs too much memory to be read"})
    except _Refused as e:
        return message({"problem": str(e)})
    except Exception as e:  # noqa: BLE001 - decoders raise anything on a hostile file, and all of it means the same
        return message({"problem": f"is damaged: {type(e).__name__}: {e}"[:300]})


def _opened(request: dict[str, Any], body: bytes) -> BinaryIO:
    if "path" not in request:
        size = len(body)
        stream: BinaryIO = io.BytesIO(body)
    else:
        # Not to hang on a pipe that somebody put in the place of a file.
        stream = os.fdopen(os.open(request["path"], os.O_RDONLY | os.O_NONBLOCK), "rb")
        found = os.fstat(stream.fileno())
        size = found.st_size
        if not stat.S_ISREG(found.st_mode):
            stream.close()
            raise _Refused("is no regular file")
    if size > request["max_bytes"]:
        stream.close()
        raise _Refused(f"has {size:,} bytes; at most {request['max_bytes']:,} are read")
    if size == 0:
        stream.close()
        raise _Refused("is empty")
    return stream


def _open_image(stream: BinaryIO, request: dict[str, Any]) -> Image:
    """The picture by its header; its first frame only will be decoded."""
    from PIL import Image, UnidentifiedImageError

    most = request["max_pixels"]
    # Pillow refuses above twice this, also for frames inside; the sentence below names the real limit.
    Image.MAX_IMAGE_PIXELS = most // 2 + 1
    try:
        image = Image.open(stream, formats=FORMATS)
    except UnidentifiedImageError:
        raise _Refused(f"is no picture of a known kind ({', '.join(FORMATS)})") from None
    except Image.DecompressionBombError:
        raise _Refused(f"has more than {most:,} pixels") from None
    if image.width * image.height > most:
        raise _Refused(f"has {image.width * image.height:,} pixels; at most {most:,} are read")
    return image


def _probe(stream: BinaryIO, request: dict[str, Any]) -> bytes:
    from PIL import Image

    image = _open_image(stream, request)
    found = {"width": image.width, "height": image.height, "format": image.format, "mode": image.mode}
    found["media_type"] = Image.MIME.get(image.format or "", "application/octet-stream")
    found["turned"] = _TURNS.get(_orientation(image)) in _SIDEWAYS
    # Decoding is the only way to find a truncated file; a JPEG is decoded at an eighth of its size.
    image.draft(None, (1, 1))
    image.load()
    return message(found)


def _thumbnail(stream: BinaryIO, request: dict[str, Any]) -> bytes:
    from PIL import Image

    image = _open_image(stream, request)
    box = (request["width"], request["height"])
    turn = _TURNS.get(_orientation(image))
    if turn in _SIDEWAYS:
        box = (box[1], box[0])
    image.draft(None, box)
    image.load()
    image = _eight_bit(image)
    longer = max(image.size)
    step = min(box[0] // image.width, box[1] // image.height)
    if image.width > box[0] or image.height > box[1]:
        image.thumbnail(box, Image.Resampling.LANCZOS, reducing_gap=2.0)
    elif longer <= CRISP_TO and step > 1:
        image = image.resize((image.width * step, image.height * step), Image.Resampling.NEAREST)
    if turn is not None:
        image = image.transpose(Image.Transpose(turn))
    return _encoded(image, crisp=longer <= CRISP_TO)


def _orientation(image: Image) -> int:
    # A broken EXIF block is no reason not to show the picture.
    with suppress(Exception):
        return int(image.getexif().get(0x0112, 1))
    return 1


def _eight_bit(image: Image) -> Image:
    """The picture as L, RGB or RGBA; grey of more than 8 bits is stretched from least to greatest."""
    mode = image.mode
    if mode in {"L", "RGB", "RGBA"}:
        return image
    if mode == "1":
        return image.convert("L")
    if mode[0] in "IF":
        wide = image if mode == "F" else image.convert("I").convert("F")
        least, greatest = wide.getextrema()
        if not (isinstance(least, float) and isinstance(greatest, float) and greatest - least < float("inf")):
            raise _Refused("has values that are no finite numbers")
        scale = 255 / (greatest - least) if greatest > least else 0.0
        return wide.point(lambda value: value * scale - least * scale).convert("L")
    clear = mode in {"PA", "LA", "La", "RGBa"} or "transparency" in image.info
    return image.convert("RGBA" if clear else "RGB")


def _encoded(image: Image, *, crisp: bool) -> bytes:
    """Encoded anew, without anything that the file said about itself."""
    from PIL import Image as Pillow

    image.info = {}
    out = io.BytesIO()
    kind = "PNG" if crisp or image.width * image.height <= PNG_TO or "WEBP" not in Pillow.SAVE else "WEBP"
    image.save(out, kind, **({"compress_level": 6} if kind == "PNG" else {"quality": 80, "method": 2}))
    found = {"width": image.width, "height": image.height, "media_type": Pillow.MIME[kind]}
    return message(found, out.getvalue())


def _confine(memory: int) -> None:
    """Take away what a decoder does not need. Some systems know only some of these limits."""
    import resource

    # Loaded now, so that the limits need not leave room for it.
    for name in ("Png", "Jpeg", "Gif", "WebP", "Bmp", "Tiff", "Ppm", "Mpo"):
        __import__(f"PIL.{name}ImagePlugin")
    used = 0
    with suppress(OSError):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = {"RLIMIT_AS": used + memory, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0, "RLIMIT_NOFILE": 32}
    for name, value in limits.items():
        with suppress(AttributeError, ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (value, value))


def main() -> None:
    """Answer until the parent closes the pipe."""
    warnings.simplefilter("ignore")
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    fault = None
    try:
        _confine(int(sys.argv[1]))
    except ImportError as e:
        fault = message({"fault": str(e)})
    while received := read_message(source):
        sink.write(fault or answer(*received))
        sink.flush()


if __name__ == "__main__":
    main()
