"""
From a picture's bytes to the numbers that a model reads.

A model says itself how it wants to be fed, in the metadata entry `mlife.input`. Test code, the serving target and
clients all convert with the function here, so that a picture means the same everywhere.
"""

from __future__ import annotations

import io
import json
import warnings
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mlife.core.errors import Invalid, shortened

if TYPE_CHECKING:
    from numpy.typing import NDArray

INPUT_KEY = "mlife.input"
LARGEST_PICTURE = 50_000_000
"""Pixels that a picture may have before it is opened; what is larger may be a bomb."""


@dataclass(frozen=True, slots=True)
class ImageInput:
    """
    How a model wants pictures.

    Args:
        mode: `L` (grey) or `RGB`.
        size: width and height in pixels that the model reads.
        margin: share of the width cut off left and right, and of the height cut off above and below; 0 up to 0.5.
        scale: what a pixel value 0..255 is multiplied with.
        flat: one row of numbers per picture; otherwise channels × height × width.
    """

    mode: str = "L"
    size: tuple[int, int] = (8, 8)
    margin: float = 0.0
    scale: float = 1 / 255
    flat: bool = True

    @classmethod
    def from_json(cls, text: str) -> ImageInput:
        """
        Read the entry `mlife.input`.

        Raises:
            Invalid: it is not JSON, or not a description that this version knows.
        """
        try:
            said = json.loads(text)
            kind = said.pop("kind", None)
            made = cls(**{**said, "size": tuple(said.get("size", (8, 8)))})
        except (ValueError, TypeError, AttributeError) as e:
            raise Invalid(f"{INPUT_KEY} can't be read: {shortened(text)} ({e})", remedy=_EXPECTED) from e
        if kind != "image" or not made.sensible():
            raise Invalid(f"{INPUT_KEY} is no known input: {shortened(text)}", remedy=_EXPECTED)
        return made

    def to_json(self) -> str:
        """The text for the metadata entry `mlife.input`."""
        return json.dumps({"kind": "image", **asdict(self)}, sort_keys=True)

    def sensible(self) -> bool:
        """Is each value of the right type and in its range? It may come from a stranger's file."""
        sides = list(self.size)
        typed = [type(side) is int for side in sides] + [type(x) in {int, float} for x in (self.margin, self.scale)]
        if len(sides) != 2 or not all(typed):
            return False
        ranged = [0 < side <= 4096 for side in sides] + [0 <= self.margin < 0.5, 0 < self.scale <= 255]
        return all(ranged) and self.mode in {"L", "RGB"} and type(self.flat) is bool

    def convert(self, data: bytes) -> NDArray[Any]:
        """
        One picture, as float32 of the shape that the model reads (without the batch axis).

        Raises:
            Invalid: the bytes are no picture, or one that is too large.
        """
        import numpy as np
        from PIL import Image, UnidentifiedImageError

        try:
            with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as picture:
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                if picture.width * picture.height > LARGEST_PICTURE:
                    raise Invalid(f"a picture of {picture.width} × {picture.height} pixels is too large")
                plain = picture.convert(self.mode)
        except UnidentifiedImageError as e:
            raise Invalid(f"{len(data)} bytes are no picture of a known kind", remedy="send e.g. PNG or JPEG") from e
        except (OSError, SyntaxError, ValueError) as e:
            raise Invalid(f"{len(data)} bytes are no picture: {e}") from e
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
            raise Invalid(f"the picture is too large to open: {e}") from e
        across, down = round(plain.width * self.margin), round(plain.height * self.margin)
        box = (across, down, plain.width - across, plain.height - down)
        if box[0] >= box[2] or box[1] >= box[3]:
            raise Invalid(f"nothing is left of {plain.width} × {plain.height} pixels inside the margin {self.margin}")
        small = plain.resize(self.size, Image.Resampling.BOX, box=box)
        pixels = np.asarray(small, dtype=np.float32) * np.float32(self.scale)
        if self.flat:
            return pixels.reshape(-1)
        return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


_EXPECTED = (
    'write e.g. {"kind": "image", "mode": "L", "size": [8, 8], "margin": 0.0, "scale": 0.00392, "flat": true} '
    "into the model's metadata_props"
)
