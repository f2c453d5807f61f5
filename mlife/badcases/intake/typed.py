"""
Predictions and truths as people type them: in a form or in a cell of a table.

    class      sad
    labels     night, rain
    boxes      mask 4 7.5 20 12          label, x, y, width, height; one a line
    polygons   mask 0 0 9 0 9 7          label, then the places of its outline; one a line
    points     left eye 4 7.5            label, x, y; one a line
    scalar     3.5
    vector     0.5 -1.25
    text       turn left
    segments   cough 1.5 2.25            label, start, end in seconds; one a line

Anything may also be JSON, as in a report: the whole, or what stands in its list. Nothing is guessed: what can't be read
comes out as it is, and is refused by name like everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from mlife.core.annotation import EXAMPLES

JSON = Any
TYPES: Final = tuple(EXAMPLES)
PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "boxes": ("x", "y", "width", "height"),
    "points": ("x", "y"),
    "segments": ("start", "end"),
}
"""What follows the label on a line."""
HOW: Final[Mapping[str, str]] = {
    "class": "The class, such as sad.",
    "labels": "Labels with commas between: night, rain.",
    "boxes": "One a line: label, x, y, width, height, such as mask 4 7.5 20 12. Or JSON.",
    "polygons": "One a line: label, then x and y of each corner, such as mask 0 0 9 0 9 7. Or JSON.",
    "points": "One a line: label, x, y, such as left eye 4 7.5. Or JSON.",
    "scalar": "A number.",
    "vector": "Numbers with spaces between.",
    "text": "The text.",
    "segments": "One a line: label, start and end in seconds, such as cough 1.5 2.25. Or JSON.",
}
"""How each type is typed, for people."""
EMPTY: Final = "-"
"""Typed alone where there is nothing, such as no box at all: an empty field says that it is not known."""


def annotation_of(kind: str, text: str) -> JSON:
    """*text* as an annotation of type *kind*; to be checked like one that was sent."""
    text = text.strip()
    if text[:1] == "{" or (text[:1] == "[" and kind not in ("class", "text")):
        try:
            told = orjson.loads(text)
        except orjson.JSONDecodeError:
            return {"type": kind, _member(kind): text}
        if isinstance(told, list) or "type" in told:
            return told if isinstance(told, dict) else {"type": kind, _member(kind): told}
    return {"type": kind, _member(kind): _value(kind, "" if text == EMPTY and kind not in ("class", "text") else text)}


def typed(annotation: Mapping[str, JSON] | None) -> str:
    """An annotation as it is typed; JSON where that would lose something."""
    if annotation is None:
        return ""
    kind = annotation["type"]
    value = annotation.get(_member(kind))
    if kind in ("class", "text"):
        return str(value)
    said = ""
    if kind in ("scalar", "vector"):
        said = " ".join(map(str, value if isinstance(value, list) else [value]))
    elif kind == "labels" and not annotation.get("scores"):
        said = ", ".join(value or ()) or EMPTY
    elif kind in PLACES:
        said = (
            "\n".join(" ".join([str(p["label"]), *(f"{p[n]:g}" for n in PLACES[kind])]) for p in value or ()) or EMPTY
        )
    back = annotation_of(kind, said) if said else None
    return said if back == annotation else orjson.dumps(annotation).decode()


def _member(kind: str) -> str:
    return {"class": "label", "labels": "labels", "scalar": "value", "vector": "values", "text": "text"}.get(kind, kind)


def _value(kind: str, text: str) -> JSON:
    match kind:
        case "labels":
            return [part.strip() for part in text.split(",") if part.strip()]
        case "scalar":
            return _number(text)
        case "vector":
            return [_number(part) for part in text.replace(",", " ").split()]
        case "boxes" | "points" | "segments" | "polygons":
            return [_part(kind, line) for line in text.splitlines() if line.strip()]
    return text


def _part(kind: str, line: str) -> JSON:
    words = line.split()
    if kind == "polygons":
        numbers = len(words)
        while numbers > 0 and isinstance(_number(words[numbers - 1]), float | int):
            numbers -= 1
        label, flat = " ".join(words[:numbers]), [_number(w) for w in words[numbers:]]
        return {"label": label, "points": [flat[i : i + 2] for i in range(0, len(flat), 2)]}
    names = PLACES[kind]
    label, values = " ".join(words[: -len(names)]), words[-len(names) :]
    return {"label": label, **dict(zip(names, map(_number, values), strict=False))}


def _number(text: str) -> JSON:
    """A number; the text itself if it is none."""
    try:
        return float(text) if any(c in text for c in ".eEnN") else int(text)
    except ValueError:
        return text
