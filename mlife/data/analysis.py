"""
What a document, or a selection of rows, is made of; and how far two of them are apart.

Balance is the entropy of the classes over its greatest value, H / ln K with H = −Σ p·ln p: 1 when all K classes are
equally frequent, near 0 when one has nearly everything.

The distance of two selections is the total variation distance of their classes, TVD = ½·Σ|p − q|: the share of rows
whose class would have to change to make them alike, 0 to 1. It is an effect size; a p-value would call every difference
significant at scale. Small samples differ by chance: two samples of n and m rows from one distribution have an expected
TVD of about ½·√(2/π·(1/n + 1/m))·Σ√(p·(1 − p)). `Comparison` gives that as `noise`, and the sample at which it would be
0.05 as `minimum_sample`.

Source: the paper's DAM section (Data Analysis: classes, types, sizes, balance, domain gap).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, log, pi, sqrt

from mlife.data.formats import JSON, Row
from mlife.data.formats.seen import Seen

TOLERATED_NOISE = 0.05
SHOWN_DUPLICATES = 20

# Types of annotation that hold their objects, each with a label, under the name of the type.
_OF_OBJECTS = frozenset({"boxes", "polygons", "points", "segments"})
FILE_SIZES = (
    (1 << 10, "under 1 KiB"),
    (10 << 10, "1 to 10 KiB"),
    (100 << 10, "10 to 100 KiB"),
    (1 << 20, "100 KiB to 1 MiB"),
    (10 << 20, "1 to 10 MiB"),
    (100 << 20, "10 to 100 MiB"),
)
LARGEST_FILE = "100 MiB and more"
_IMAGE_SIDES = ((32, "up to 32 px"), (128, "33 to 128 px"), (512, "129 to 512 px"), (2048, "513 to 2,048 px"))
_LARGEST_IMAGE = "over 2,048 px"


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A row whose bytes stand in an earlier row. `row` and `first` are places among the rows, from 1."""

    path: str
    row: int
    first: int


@dataclass(frozen=True, slots=True)
class Analysis:
    """
    Counts of rows, each table most frequent first. Rows without the value are counted under "".

    Fields:
        rows: how many.
        classes: rows that have the class; a row with several classes counts once for each.
        objects: labels, boxes, polygons, points, segments by class.
        annotation_types: `label`, or the type of the JSON; "" not labelled yet.
        file_types: the column `file_type`, else the ending of the path, in lower case.
        file_sizes: by bytes, smallest first.
        image_sizes: by the longer side, from the free columns `width` and `height`, smallest first.
        months: of `captured_at`, e.g. `2026-11`, earliest first.
        unlabelled: rows without annotation.
        prelabelled: of these, rows that have a model's proposal.
        duplicates: rows whose bytes (SHA-256, else MD5) stand in an earlier row.
        first_duplicates: the first 20 of them.
        bytes: of all rows that have a size.
        balance: of the classes, 0 to 1; None with fewer than two.
    """

    rows: int
    classes: Mapping[str, int]
    objects: Mapping[str, int]
    annotation_types: Mapping[str, int]
    file_types: Mapping[str, int]
    media_types: Mapping[str, int]
    places: Mapping[str, int]
    file_sizes: Mapping[str, int]
    image_sizes: Mapping[str, int]
    months: Mapping[str, int]
    labellers: Mapping[str, int]
    unlabelled: int
    prelabelled: int
    duplicates: int
    first_duplicates: tuple[Duplicate, ...]
    bytes: int
    balance: float | None


@dataclass(frozen=True, slots=True)
class ClassShare:
    """How frequent a class is on both sides: counts, and shares of the counted classes."""

    name: str
    count_a: int
    count_b: int
    share_a: float
    share_b: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    Two selections side by side.

    Fields:
        distance: total variation distance, 0 (alike) to 1 (nothing in common); None if a side has no class.
        noise: the distance that chance alone makes between two samples of these sizes.
        minimum_sample: counted classes needed on each side for a noise of 0.05.
        enough: both sides have that many.
        classes: greatest difference of shares first.
    """

    distance: float | None
    noise: float | None
    minimum_sample: int
    enough: bool
    classes: tuple[ClassShare, ...]


def analyse(rows: Iterable[Row]) -> Analysis:
    """Count *rows* in one pass. Memory: the tables, and 24 to 48 bytes a row to find duplicates."""
    tally = _Tally()
    for row in rows:
        tally.add(row)
    return tally.result()


def compare(a: Analysis | Iterable[Row], b: Analysis | Iterable[Row]) -> Comparison:
    """How differently the classes are spread in *a* and *b*; rows without a class are left out."""
    left = (a if isinstance(a, Analysis) else analyse(a)).classes
    right = (b if isinstance(b, Analysis) else analyse(b)).classes
    n, m = sum(left.values()), sum(right.values())
    shares = [
        ClassShare(
            name, left.get(name, 0), right.get(name, 0), left.get(name, 0) / max(n, 1), right.get(name, 0) / max(m, 1)
        )
        for name in sorted(left.keys() | right.keys())
    ]
    shares.sort(key=lambda s: -abs(s.share_a - s.share_b))
    spread = sum(sqrt(p * (1 - p)) for p in ((s.count_a + s.count_b) / (n + m) for s in shares))
    # noise(n, n) = ½·√(4/(π·n))·spread = 0.05, solved for n; one row at least.
    minimum = max(1, ceil(spread**2 / (pi * TOLERATED_NOISE**2)))
    if not n or not m:
        return Comparison(distance=None, noise=None, minimum_sample=minimum, enough=False, classes=tuple(shares))
    return Comparison(
        distance=sum(abs(s.share_a - s.share_b) for s in shares) / 2,
        noise=min(1.0, sqrt(2 / pi * (1 / n + 1 / m)) * spread / 2),
        minimum_sample=minimum,
        enough=min(n, m) >= minimum,
        classes=tuple(shares),
    )


def balance(counts: Mapping[str, int]) -> float | None:
    """Normalised entropy of *counts*, 0 to 1; None for fewer than two that are above 0."""
    present = [c for c in counts.values() if c > 0]
    if len(present) < 2:
        return None
    total = sum(present)
    return -sum(c / total * log(c / total) for c in present) / log(len(present))


def classes_of(annotation: str | Mapping[str, JSON] | None) -> list[str]:
    """
    The class of every object in *annotation*, in its order.

    A plain label and a `class` have one; scalars, vectors and texts have none.
    """
    if annotation is None:
        return []
    if isinstance(annotation, str):
        return [annotation]
    kind = annotation.get("type")
    if kind == "class":
        return [str(annotation["label"])]
    if kind == "labels":
        found = annotation["labels"]
        return [str(label) for label in found] if isinstance(found, list) else []
    members = annotation.get(str(kind)) if kind in _OF_OBJECTS else None
    return [str(m["label"]) for m in members if isinstance(m, dict)] if isinstance(members, list) else []


class _Tally:
    """Counts while rows pass."""

    def __init__(self) -> None:
        self.rows = self.unlabelled = self.prelabelled = self.duplicates = self.bytes = 0
        self.first_duplicates: list[Duplicate] = []
        self.by: dict[str, Counter[str]] = {
            name: Counter()
            for name in ("classes", "objects", "annotation_types", "file_types", "media_types", "places", "file_sizes",
                         "image_sizes", "months", "labellers")
        }  # fmt: skip
        self._seen = Seen()

    def add(self, row: Row) -> None:
        self.rows += 1
        found = classes_of(row.annotation)
        self.by["classes"].update(set(found))
        self.by["objects"].update(found)
        self.by["annotation_types"][annotation_type_of(row.annotation)] += 1
        self.by["file_types"][file_type_of(row.path, row.file_type)] += 1
        self.by["media_types"][row.media_type or ""] += 1
        self.by["places"][row.collection_place or ""] += 1
        self.by["file_sizes"][_bucket(row.size, FILE_SIZES, LARGEST_FILE, strict=True)] += 1
        self.by["image_sizes"][_bucket(_longer_side(row), _IMAGE_SIDES, _LARGEST_IMAGE, strict=False)] += 1
        self.by["months"][(row.captured_at or "")[:7]] += 1
        self.by["labellers"][row.labelled_by or ""] += 1
        self.bytes += row.size or 0
        if row.annotation is None:
            self.unlabelled += 1
            self.prelabelled += row.prelabel is not None
        self._find_duplicate(row)

    def _find_duplicate(self, row: Row) -> None:
        first = self._seen.first(row.sha256 or row.md5, self.rows)
        if first:
            self.duplicates += 1
            if len(self.first_duplicates) < SHOWN_DUPLICATES:
                self.first_duplicates.append(Duplicate(row.path, self.rows, first))

    def result(self) -> Analysis:
        ordered: dict[str, dict[str, int]] = {name: _frequent_first(counts) for name, counts in self.by.items()}
        ordered["file_sizes"] = _in_order(self.by["file_sizes"], [*(name for _, name in FILE_SIZES), LARGEST_FILE])
        ordered["image_sizes"] = _in_order(
            self.by["image_sizes"], [*(name for _, name in _IMAGE_SIDES), _LARGEST_IMAGE]
        )
        ordered["months"] = dict(sorted(self.by["months"].items()))
        return Analysis(
            rows=self.rows,
            **ordered,
            unlabelled=self.unlabelled,
            prelabelled=self.prelabelled,
            duplicates=self.duplicates,
            first_duplicates=tuple(self.first_duplicates),
            bytes=self.bytes,
            balance=balance(self.by["classes"]),
        )


def annotation_type_of(annotation: str | Mapping[str, JSON] | None) -> str:
    """`label`, or the type of the JSON; "" for a row that is not labelled yet."""
    if annotation is None:
        return ""
    return "label" if isinstance(annotation, str) else str(annotation["type"])


def file_type_of(path: str, file_type: str | None = None) -> str:
    """The kind of file by its own word, else by the ending of its path; in lower case, "" if nothing tells."""
    if file_type:
        return file_type.lower()
    name = path.partition("?")[0].rpartition("/")[2]
    return name.rpartition(".")[2].lower() if "." in name.strip(".") else ""


def _longer_side(row: Row) -> int | None:
    width, height = row.extra.get("width"), row.extra.get("height")
    return max(width, height) if isinstance(width, int) and isinstance(height, int) else None


def _bucket(value: int | None, limits: Iterable[tuple[int, str]], largest: str, *, strict: bool) -> str:
    """The name of the first limit that *value* is below (*strict*) or not above."""
    if value is None:
        return ""
    return next((name for limit, name in limits if value < limit or (value == limit and not strict)), largest)


def _frequent_first(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _in_order(counts: Counter[str], names: list[str]) -> dict[str, int]:
    return {name: counts[name] for name in [*names, ""] if counts[name]}
