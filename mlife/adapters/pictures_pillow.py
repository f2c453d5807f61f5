"""Copies of pictures, made with Pillow: crop, and mask what must not be seen. Runs in the workshop's process."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mlife.core.media.conversions import CannotConvert, Conversion, Parameter, Values
from mlife.core.media.moving import cropped, unchanged

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
MOST_PIXELS = 50_000_000
_PLACE = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)\s*")


def _opened(source: Path) -> Image:
    """The first frame, upright: people draw on what they see."""
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2 + 1
    image = Image.open(source, formats=FORMATS)
    if image.width * image.height > MOST_PIXELS:
        raise CannotConvert(f"has {image.width * image.height:,} pixels; at most {MOST_PIXELS:,} are read")
    image.load()
    upright = ImageOps.exif_transpose(image)
    return upright if upright.mode in {"L", "RGB", "RGBA", "I;16"} else upright.convert("RGB")


def _save(image: Image, target: Path) -> str:
    """As PNG, so that nothing is lost a second time; without what the file said about itself (place, device)."""
    image.info = {}
    image.save(target, "PNG")
    return ".png"


def crop(source: Path, target: Path, values: Values) -> str:
    """The part of the picture; what lies outside of the picture is left out."""
    image = _opened(source)
    x, y, width, height = (int(values[n]) for n in ("x", "y", "width", "height"))
    right, bottom = min(image.width, x + width), min(image.height, y + height)
    if right <= x or bottom <= y:
        raise CannotConvert(f"is {image.width} × {image.height} pixels, and none of them is in that part")
    return _save(image.crop((x, y, right, bottom)), target)


def mask(source: Path, target: Path, values: Values) -> str:
    """Everything inside the outline becomes black, in the pixels themselves: it can't be uncovered."""
    from PIL import ImageDraw

    image = _opened(source)
    points = [tuple(float(n) for n in found) for found in _PLACE.findall(str(values["outline"]))]
    if len(points) < 2:
        raise CannotConvert("needs an outline: two corners of a rectangle, or three and more points")
    drawn = ImageDraw.Draw(image)
    black = 0 if image.mode in {"L", "I;16"} else (0, 0, 0, 255)[: len(image.getbands())]
    if len(points) == 2:
        (a, b), (c, d) = points
        drawn.rectangle((min(a, c), min(b, d), max(a, c), max(b, d)), fill=black)
    else:
        drawn.polygon([(p[0], p[1]) for p in points], fill=black)
    return _save(image, target)


CROP = Conversion(
    label="Crop",
    takes=("image/",),
    run=crop,
    parameters=(
        Parameter("x", "Left edge, pixels", "whole", 0),
        Parameter("y", "Upper edge, pixels", "whole", 0),
        Parameter("width", "Width, pixels", "whole", least=1),
        Parameter("height", "Height, pixels", "whole", least=1),
    ),
    moves=lambda truth, v: cropped(
        truth, x=float(v["x"]), y=float(v["y"]), width=float(v["width"]), height=float(v["height"])
    ),
    draws="rectangle",
)
MASK = Conversion(
    label="Mask",
    takes=("image/",),
    run=mask,
    parameters=(
        Parameter(
            "outline",
            "Outline",
            "text",
            most=20_000,
            help="Two corners of a rectangle or more points, in pixels: 4,5 20,12",
        ),
    ),
    moves=lambda truth, _: unchanged(truth),
    draws="outline",
)
