"""The built-in renderers, one for each annotation type; pyproject.toml names them as entry points."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import SequenceMatcher
from typing import Any

from mlife.core.media.drawing import Case, Drawing, Mark, Side

JSON = Any
MOST_MARKS = 200
"""Of each side; more can't be told apart."""
MOST_WORDS = 2_000
"""Of each text: comparing takes the product of both."""
MOST_VALUES = 100


def one_class(case: Case) -> Drawing:
    """A caption."""
    return Drawing("picture", facts=(("class", _class(case.truth), _class(case.prediction)),))


def _class(said: Mapping[str, JSON] | None) -> str:
    if said is None:
        return "unknown"
    return str(said.get("label", "–")) + _scored(said.get("score"))


def labels(case: Case) -> Drawing:
    """Each label, and who says it."""
    told = {side: list(said["labels"]) for side, said in case.sides()}
    scores = dict(zip(case.prediction["labels"], case.prediction.get("scores") or (), strict=False))
    names = list(dict.fromkeys(name for said in told.values() for name in said))
    known = case.truth is not None
    rows = tuple(
        (
            name,
            ("yes" if name in told["truth"] else "no") if known else "unknown",
            "yes" + _scored(scores.get(name)) if name in told["prediction"] else "no",
        )
        for name in names[:MOST_MARKS]
    )
    return Drawing("picture", facts=rows, note=_left_out(len(names), MOST_MARKS, "labels"))


def boxes(case: Case) -> Drawing:
    """Boxes over the picture."""
    return _marked(case, "boxes", "picture", _box)


def _box(side: Side, box: Mapping[str, JSON]) -> Mark:
    x, y, width, height = (float(box[n]) for n in ("x", "y", "width", "height"))
    corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
    said = f"{box['label']}{_scored(box.get('score'))} at {x:g}, {y:g}, {width:g} × {height:g} pixels"
    return Mark(side, "outline", box["label"], corners, said)


def polygons(case: Case) -> Drawing:
    """Outlines over the picture."""
    return _marked(case, "polygons", "picture", _polygon)


def _polygon(side: Side, polygon: Mapping[str, JSON]) -> Mark:
    at = tuple((float(x), float(y)) for x, y in polygon["points"])
    least, most = (min(x for x, _ in at), min(y for _, y in at)), (max(x for x, _ in at), max(y for _, y in at))
    said = (
        f"{polygon['label']}{_scored(polygon.get('score'))}, {len(at)} corners between {least[0]:g}, {least[1]:g} and "
        f"{most[0]:g}, {most[1]:g} pixels"
    )
    return Mark(side, "outline", polygon["label"], at, said)


def points(case: Case) -> Drawing:
    """Places in the picture."""
    return _marked(case, "points", "picture", _point)


def _point(side: Side, point: Mapping[str, JSON]) -> Mark:
    x, y = float(point["x"]), float(point["y"])
    return Mark(
        side, "place", point["label"], ((x, y),), f"{point['label']}{_scored(point.get('score'))} at {x:g}, {y:g}"
    )


def segments(case: Case) -> Drawing:
    """Stretches on a time line."""
    drawn = _marked(case, "segments", "time", _segment)
    end = max([case.seconds or 0.0, *(b for m in drawn.marks for _, b in m.at)], default=0.0)
    return Drawing("time", drawn.marks, note=drawn.note, end=end)


def _segment(side: Side, segment: Mapping[str, JSON]) -> Mark:
    start, end = float(segment["start"]), float(segment["end"])
    said = f"{segment['label']}{_scored(segment.get('score'))} from {start:g} to {end:g} s"
    return Mark(side, "stretch", segment["label"], ((start, end),), said)


def _marked(case: Case, members: str, kind: Any, mark: Callable[[Side, Mapping[str, JSON]], Mark]) -> Drawing:
    marks, most = [], 0
    for side, said in case.sides():
        most = max(most, len(said[members]))
        marks += [mark(side, one) for one in said[members][:MOST_MARKS]]
    facts = [("how many", _count(case.truth, members), _count(case.prediction, members))]
    return Drawing(kind, tuple(marks), tuple(facts), note=_left_out(most, MOST_MARKS, members))


def _count(said: Mapping[str, JSON] | None, members: str) -> str:
    return "unknown" if said is None else str(len(said[members]))


def scalar(case: Case) -> Drawing:
    """Two numbers and the error."""
    predicted = float(case.prediction["value"])
    if case.truth is None:
        return Drawing("facts", facts=(("value", "unknown", f"{predicted:g}"),))
    true = float(case.truth["value"])
    error = predicted - true
    share = f" ({error / abs(true):+.1%})" if true else ""
    return Drawing("facts", facts=(("value", f"{true:g}", f"{predicted:g}"), ("error", "–", f"{error:+g}{share}")))


def vector(case: Case) -> Drawing:
    """Each number with its error, and the largest error first."""
    predicted = [float(v) for v in case.prediction["values"]]
    if case.truth is None:
        rows = [(str(n), "unknown", f"{v:g}") for n, v in enumerate(predicted)]
        return Drawing("facts", facts=tuple(rows[:MOST_VALUES]), note=_left_out(len(rows), MOST_VALUES, "values"))
    true = [float(v) for v in case.truth["values"]]
    errors = [p - t for p, t in zip(predicted, true, strict=False)]
    rows = [
        (str(n), f"{t:g}", f"{p:g} ({e:+g})") for n, (t, p, e) in enumerate(zip(true, predicted, errors, strict=False))
    ]
    head = []
    if len(true) != len(predicted):
        head.append(("how many", str(len(true)), str(len(predicted))))
    if errors:
        worst = max(range(len(errors)), key=lambda n: abs(errors[n]))
        head.append(("largest error", f"value {worst}", f"{errors[worst]:+g}"))
    return Drawing("facts", facts=(*head, *rows[:MOST_VALUES]), note=_left_out(len(rows), MOST_VALUES, "values"))


def text(case: Case) -> Drawing:
    """One text against the other, word by word."""
    predicted = _words(case.prediction["text"])
    if case.truth is None:
        return Drawing("words", words=(("both", case.prediction["text"]),), note="The truth is unknown.")
    true = _words(case.truth["text"])
    if max(len(true), len(predicted)) > MOST_WORDS:
        both = (("truth", case.truth["text"]), ("prediction", case.prediction["text"]))
        return Drawing("words", words=both, note=f"Texts of more than {MOST_WORDS} words are not compared.")
    shown: list[tuple[str, str]] = []
    wrong = 0
    for change, i, j, k, m in SequenceMatcher(None, true, predicted, autojunk=False).get_opcodes():
        if change == "equal":
            shown.append(("both", "".join(true[i:j])))
            continue
        wrong += max(_spoken(true[i:j]), _spoken(predicted[k:m]))
        both = (("truth", "".join(true[i:j])), ("prediction", "".join(predicted[k:m])))
        shown += [(side, said) for side, said in both if said]
    spoken = _spoken(true)
    rate = f" ({wrong / spoken:.0%} of {spoken})" if spoken else ""
    return Drawing("words", words=tuple(shown), facts=(("words that differ", "–", f"{wrong}{rate}"),))


def _words(said: str) -> list[str]:
    """Words and what is between them, so that joined they are the text again."""
    return re.findall(r"\s+|[^\s]+", said)


def _spoken(words: Iterable[str]) -> int:
    return sum(1 for word in words if not word.isspace())


def _scored(score: float | None) -> str:
    return "" if score is None else f" {score:.2f}"


def _left_out(there: int, most: int, what: str) -> str:
    return f"{there:,} {what} are too many to be shown: these are the first {most}." if there > most else ""
