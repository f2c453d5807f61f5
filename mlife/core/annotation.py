"""
What a model said and what is right, typed: the same nine types for predictions, truths and labelled rows.

They are typed dictionaries and not models: what was sent is kept, byte for byte, and only looked at whether it is
allowed. Members beyond those named here are a tool's own attributes: documents keep them, reports refuse them
(`extra="forbid"` at the call). Pixels count from the upper left corner, may be fractions and may lie outside the
picture, as labelling tools leave them; seconds count from the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired, TypeAlias

from pydantic import ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict  # pydantic asks for this one below Python 3.12

STRICT = ConfigDict(strict=True, allow_inf_nan=False)
MOST_PARTS = 10_000

Label: TypeAlias = Annotated[str, Field(min_length=1, max_length=256, pattern=r"(?s)^\S(?:.*\S)?$")]
"""Without white space around it: " sad" and "sad" would be two classes that look like one."""
Score: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Number: TypeAlias = Annotated[float, Field(ge=-1e100, le=1e100)]
Length: TypeAlias = Annotated[float, Field(gt=0, le=1e100)]
Place: TypeAlias = Annotated[list[Number], Field(min_length=2, max_length=2)]


class Class(TypedDict):
    """One class for the whole file."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["class"]
    label: Label
    score: NotRequired[Score | None]


class Labels(TypedDict):
    """Any number of labels for the whole file."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["labels"]
    labels: Annotated[list[Label], Field(max_length=MOST_PARTS)]
    scores: NotRequired[Annotated[list[Score], Field(max_length=MOST_PARTS)] | None]


class Box(TypedDict):
    """One object; `x`, `y` are its upper left corner."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    label: Label
    x: Number
    y: Number
    width: Length
    height: Length
    score: NotRequired[Score | None]


class Boxes(TypedDict):
    """Objects by their boxes; an empty list says that there are none."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["boxes"]
    boxes: Annotated[list[Box], Field(max_length=MOST_PARTS)]


class Polygon(TypedDict):
    """One object by its outline."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    label: Label
    points: Annotated[list[Place], Field(min_length=3, max_length=MOST_PARTS)]
    score: NotRequired[Score | None]


class Polygons(TypedDict):
    """Objects by their outlines."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["polygons"]
    polygons: Annotated[list[Polygon], Field(max_length=MOST_PARTS)]


class Point(TypedDict):
    """A named place."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    label: Label
    x: Number
    y: Number
    score: NotRequired[Score | None]


class Points(TypedDict):
    """Named places in a picture."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["points"]
    points: Annotated[list[Point], Field(max_length=MOST_PARTS)]


class Scalar(TypedDict):
    """A measured value, in whatever unit the function has."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["scalar"]
    value: Number


class Vector(TypedDict):
    """Several measured values in a fixed order."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["vector"]
    values: Annotated[list[Number], Field(max_length=MOST_PARTS)]


class Text(TypedDict):
    """A transcript or a description."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["text"]
    text: Annotated[str, Field(max_length=100_000)]


class Segment(TypedDict):
    """A stretch of time, in seconds from the start."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    label: Label
    start: Annotated[float, Field(ge=0, le=1e9)]
    end: Annotated[float, Field(ge=0, le=1e9)]
    score: NotRequired[Score | None]


class Segments(TypedDict):
    """Stretches of an audio or video file."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    type: Literal["segments"]
    segments: Annotated[list[Segment], Field(max_length=MOST_PARTS)]


Annotation: TypeAlias = Annotated[
    Class | Labels | Boxes | Polygons | Points | Scalar | Vector | Text | Segments, Field(discriminator="type")
]

EXAMPLES: dict[str, str] = {
    "class": '{"type": "class", "label": "sad", "score": 0.91}',
    "labels": '{"type": "labels", "labels": ["night", "rain"]}',
    "boxes": '{"type": "boxes", "boxes": [{"label": "mask", "x": 4, "y": 7.5, "width": 20, "height": 12}]}',
    "polygons": '{"type": "polygons", "polygons": [{"label": "mask", "points": [[0, 0], [9, 0], [9, 7]]}]}',
    "points": '{"type": "points", "points": [{"label": "left eye", "x": 4, "y": 7.5}]}',
    "scalar": '{"type": "scalar", "value": 3.5}',
    "vector": '{"type": "vector", "values": [0.5, -1.25]}',
    "text": '{"type": "text", "text": "turn left"}',
    "segments": '{"type": "segments", "segments": [{"label": "cough", "start": 1.5, "end": 2.25}]}',
}
"""One of each type, as it would be right: shown where something is wrong."""

annotation_adapter: TypeAdapter[Annotation] = TypeAdapter(Annotation)


def inconsistency(said: Mapping[str, Any]) -> tuple[str, Any, str] | None:
    """
    What the types of single members can't say of a checked annotation.

    Returns:
        The member at fault (dotted), its value, and what is wrong with it; None if nothing is.
    """
    scores = said.get("scores")
    if said["type"] == "labels" and scores is not None and len(scores) != len(said["labels"]):
        return "scores", len(scores), "are not as many as labels"
    if said["type"] == "segments":
        for place, segment in enumerate(said["segments"]):
            if segment["end"] < segment["start"]:
                return f"segments.{place}.end", segment["end"], "is before start"
    return None


def bare(said: Any) -> Any:
    """What a checked annotation says, without how sure it was: two that say the same have equal ones."""
    if said["type"] == "class":
        return said["label"]
    if said["type"] == "labels":
        return frozenset(said["labels"])
    return {k: [_no_score(p) for p in v] if isinstance(v, list) else v for k, v in said.items() if k != "scores"}


def _no_score(part: Any) -> Any:
    return {k: v for k, v in part.items() if k != "score"} if isinstance(part, dict) else part
