"""
What went wrong, in few words: the signature of a prediction against its truth, for each annotation type.

A signature is a list of short texts that stay the same when the same thing goes wrong again. So it holds labels, kinds
of error and bands, and never coordinates, scores or free text. Part of fingerprint version 1: a change here is a new
version there.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

JSON = Any
UNKNOWN = "?"
SAME_PLACE = 0.5
"""Overlap (intersection over union) from which two objects are in the same place."""
NEARBY = 0.1
"""Overlap from which an object of the same label counts as displaced, not as missed."""
MOST_ERRORS = 6
"""Kinds of error that a signature names; what is beyond is counted."""
BANDS = (0.05, 0.10, 0.25, 0.50, 1.00)
"""Ends of the bands of a relative error."""

Signature = Sequence[str | None]
TextSignature = Callable[[str | None, str], Sequence[str]]

text_signatures: dict[tuple[str, str], TextSignature] = {}
"""(system, function) → the plug-in that says how its texts differ: from truth (None: unknown) and prediction."""


def signature(
    system: str, function: str, truth: Mapping[str, JSON] | None, prediction: Mapping[str, JSON]
) -> Signature:
    """The signature; its first word is the annotation type."""
    kind = prediction["type"]
    if kind == "text":
        plug_in = text_signatures.get((system, function), _text)
        return (kind, *plug_in(None if truth is None else truth["text"], prediction["text"]))
    return (kind, *_SIGNATURES[kind](truth, prediction))


def _class(truth: Mapping[str, JSON] | None, prediction: Mapping[str, JSON]) -> Signature:
    """None and not a mark stands for an unknown truth: any text may be a label."""
    return (None if truth is None else truth["label"], prediction["label"])


def _labels(truth: Mapping[str, JSON] | None, prediction: Mapping[str, JSON]) -> Signature:
    said = set(prediction["labels"])
    if truth is None:
        return (UNKNOWN, *_few(sorted(said)))
    right = set(truth["labels"])
    return _few([f"missed {x}" for x in sorted(right - said)] + [f"false {x}" for x in sorted(said - right)])


def _objects(name: str, overlap: Callable[[JSON, JSON], float]) -> Callable[..., Signature]:
    """The signature of objects that lie somewhere; *overlap* of two of them is in [0, 1]."""

    def compare(truth: Mapping[str, JSON] | None, prediction: Mapping[str, JSON]) -> Signature:
        if truth is None:
            return (UNKNOWN, *_few(sorted({p["label"] for p in prediction[name]})))
        right, said = list(truth[name]), list(prediction[name])
        _matched(right, said, SAME_PLACE, overlap)
        wrong = _matched(right, said, SAME_PLACE, overlap, same_label=False)
        errors = [f"mislabelled {r['label']} as {s['label']}" for r, s in wrong]
        errors += [f"displaced {r['label']}" for r, _ in _matched(right, said, NEARBY, overlap)]
        errors += [f"missed {r['label']}" for r in right] + [f"false {s['label']}" for s in said]
        return _few(sorted(set(errors)))

    return compare


def _matched(
    right: list[JSON],
    said: list[JSON],
    least: float,
    overlap: Callable[[JSON, JSON], float],
    *,
    same_label: bool = True,
) -> list[tuple[JSON, JSON]]:
    """Pairs with an overlap of at least *least*, the largest first; they are taken out of both lists."""
    candidates = [
        (value, i, j)
        for i, r in enumerate(right)
        for j, s in enumerate(said)
        if (r["label"] == s["label"]) is same_label and (value := overlap(r, s)) >= least
    ]
    pairs, used_right, used_said = [], set(), set()
    for _, i, j in sorted(candidates, key=lambda c: (-c[0], c[1], c[2])):
        if i not in used_right and j not in used_said:
            used_right.add(i)
            used_said.add(j)
            pairs.append((right[i], said[j]))
    right[:] = [r for i, r in enumerate(right) if i not in used_right]
    said[:] = [s for j, s in enumerate(said) if j not in used_said]
    return pairs


def _box_overlap(a: JSON, b: JSON) -> float:
    return _area_overlap(*_corners(a), *_corners(b))


def _corners(box: JSON) -> tuple[float, float, float, float]:
    return box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]


def _polygon_overlap(a: JSON, b: JSON) -> float:
    """By the boxes around the outlines: enough to tell missed from displaced."""
    return _area_overlap(*_around(a["points"]), *_around(b["points"]))


def _around(points: Sequence[Sequence[float]]) -> tuple[float, float, float, float]:
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    return min(xs), min(ys), max(xs), max(ys)


def _area_overlap(
    left: float, top: float, right: float, bottom: float, left2: float, top2: float, right2: float, bottom2: float
) -> float:
    width, height = min(right, right2) - max(left, left2), min(bottom, bottom2) - max(top, top2)
    if width <= 0 or height <= 0:
        return 0.0
    inner = width * height
    outer = (right - left) * (bottom - top) + (right2 - left2) * (bottom2 - top2) - inner
    return inner / outer if outer > 0 else 0.0


def _time_overlap(a: JSON, b: JSON) -> float:
    inner = min(a["end"], b["end"]) - max(a["start"], b["start"])
    outer = max(a["end"], b["end"]) - min(a["start"], b["start"])
    if inner < 0:
        return 0.0
    return inner / outer if outer > 0 else 1.0


def _points(truth: Mapping[str, JSON] | None, prediction: Mapping[str, JSON]) -> Signature:
    """Named places: the same name farther away than a tenth of the whole is displaced."""
    if truth is None:
        return (UNKNOWN, *_few(sorted({p["label"] for p in prediction["points"]})))
    places = [(p["x"], p["y"]) for p in truth["points"]]
    reach = 0.1 * math.dist(*_diagonal(places)) if len(places) > 1 else 10.0
    right, said = list(truth["points"]), list(prediction["points"])

    def near(a: JSON, b: JSON) -> float:
        distance = math.dist((a["x"], a["y"]), (b["x"], b["y"]))
        return 1.0 / (1.0 + distance / reach) if reach > 0 else float(distance == 0)

    _matched(right, said, 0.5, near)
    errors = [
        f"mislabelled {r['label']} as {s['label']}" for r, s in _matched(right, said, 0.5, near, same_label=False)
    ]
    errors += [f"displaced {r['label']}" for r, _ in _matched(right, said, 0.0, near)]
    errors += [f"missed {r['label']}" for r in right] + [f"false {s['label']}" for s in said]
    return _few(sorted(set(errors)))


def _diagonal(places: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], tuple[float, float]]:
    left, top, right, bottom = _around(places)
    return (left, top), (right, bottom)


def _scalar(truth: Mapping[str, JSON] | None, prediction: Mapping[str, JSON]) -> Signature:
    return (UNKNOWN,) if truth is None else (_band(truth["value"], prediction["value"]),)


def _vector(truth: Mapping[str, JSON] | None, prediction: Mapping[str, JSON]) -> Signature:
    """The component that is farthest off, in relation to the largest of the truth."""
    if truth is None:
        return (UNKNOWN,)
    right, said = truth["values"], prediction["values"]
    if len(right) != len(said):
        return (f"{len(said)} values for {len(right)}",)
    if not right:
        return ("equal",)
    worst = max(range(len(right)), key=lambda i: abs(said[i] - right[i]))
    return (f"value {worst + 1}", _band(right[worst], said[worst], max(abs(v) for v in right)))


def _band(right: float, said: float, scale: float | None = None) -> str:
    """Sign and size of an error, e.g. `too high by 25 to 50 %`; without a scale (a truth of 0) the sign alone."""
    error = said - right
    if error == 0:
        return "equal"
    word = "too high" if error > 0 else "too low"
    scale = abs(right) if scale is None else scale
    if scale == 0:
        return word
    share = abs(error) / scale
    low = 0.0
    for high in BANDS:
        if share < high:
            return f"{word} by {low * 100:.0f} to {high * 100:.0f} %"
        low = high
    return f"{word} by 100 % or more"


def _text(truth: str | None, prediction: str) -> Signature:
    """Without a plug-in: whether words are missing, added or replaced; never the words themselves."""
    if truth is None:
        return (UNKNOWN,)
    right, said = (Counter(re.findall(r"\w+", t.casefold())) for t in (truth, prediction))
    if not said and right:
        return ("nothing said",)
    missing, added = sum((right - said).values()), sum((said - right).values())
    if not missing and not added:
        return ("order or punctuation",)
    if missing and added:
        return ("words replaced",)
    return ("words missing",) if missing else ("words added",)


def _few(errors: Sequence[str]) -> Signature:
    """At most `MOST_ERRORS` of *errors*; those beyond as a count, so that a fingerprint stays short."""
    if not errors:
        return ("no difference found",)
    if len(errors) <= MOST_ERRORS:
        return tuple(errors)
    return (*errors[:MOST_ERRORS], f"and {len(errors) - MOST_ERRORS} more")


_SIGNATURES: dict[str, Callable[..., Signature]] = {
    "class": _class,
    "labels": _labels,
    "boxes": _objects("boxes", _box_overlap),
    "polygons": _objects("polygons", _polygon_overlap),
    "segments": _objects("segments", _time_overlap),
    "points": _points,
    "scalar": _scalar,
    "vector": _vector,
}
