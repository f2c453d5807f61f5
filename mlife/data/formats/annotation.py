"""
What an annotation may say: a plain label, or JSON of one of the contract's types.

Keys beyond those named here are kept (a tool's own attributes must survive), those named here are checked. Pixels count
from the upper left corner; they may be fractions and may lie outside the picture, as labelling tools leave them.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError, ValidationError

from mlife.data.formats.values import JSON, Fault, Limits, check_json, check_word


def _trimmed(label: str) -> str:
    if label != label.strip():
        raise PydanticCustomError("label", "label has white space around it")
    return label


Label: TypeAlias = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_trimmed)]
Score: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Number: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
Point: TypeAlias = Annotated[list[Number], Field(min_length=2, max_length=2)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="allow")


class ClassAnnotation(_Part):
    """One class for the whole file."""

    type: Literal["class"]
    label: Label
    score: Score | None = None


class LabelsAnnotation(_Part):
    """Any number of labels for the whole file; `scores`, if given, one for each."""

    type: Literal["labels"]
    labels: list[Label]
    scores: list[Score] | None = None

    @model_validator(mode="after")
    def _one_score_each(self) -> LabelsAnnotation:
        if self.scores is not None and len(self.scores) != len(self.labels):
            raise PydanticCustomError("scores", "as many scores as labels are needed")
        return self


class Box(_Part):
    """`x`, `y`: upper left corner; all in pixels."""

    label: Label
    x: Number
    y: Number
    width: Annotated[Number, Field(gt=0)]
    height: Annotated[Number, Field(gt=0)]
    score: Score | None = None


class BoxesAnnotation(_Part):
    """Objects by their boxes; an empty list says that there are none."""

    type: Literal["boxes"]
    boxes: list[Box]


class Polygon(_Part):
    """`points`: at least three [x, y] in pixels."""

    label: Label
    points: Annotated[list[Point], Field(min_length=3)]
    score: Score | None = None


class PolygonsAnnotation(_Part):
    """Objects by their outlines."""

    type: Literal["polygons"]
    polygons: list[Polygon]


class KeyPoint(_Part):
    """A named place, in pixels."""

    label: Label
    x: Number
    y: Number
    score: Score | None = None


class PointsAnnotation(_Part):
    """Named places in a picture."""

    type: Literal["points"]
    points: list[KeyPoint]


class ScalarAnnotation(_Part):
    """A measured value, in whatever unit the function has."""

    type: Literal["scalar"]
    value: Number


class VectorAnnotation(_Part):
    """Several measured values in a fixed order."""

    type: Literal["vector"]
    values: list[Number]


class TextAnnotation(_Part):
    """A transcript or a description."""

    type: Literal["text"]
    text: str


class Segment(_Part):
    """A stretch of time, in seconds from the start."""

    label: Label
    start: Annotated[Number, Field(ge=0)]
    end: Number
    score: Score | None = None

    @model_validator(mode="after")
    def _ends_after_start(self) -> Segment:
        if self.end < self.start:
            raise PydanticCustomError("segment", "end is before start")
        return self


class SegmentsAnnotation(_Part):
    """Stretches of an audio or video file."""

    type: Literal["segments"]
    segments: list[Segment]


Annotation: TypeAlias = Annotated[
    ClassAnnotation
    | LabelsAnnotation
    | BoxesAnnotation
    | PolygonsAnnotation
    | PointsAnnotation
    | ScalarAnnotation
    | VectorAnnotation
    | TextAnnotation
    | SegmentsAnnotation,
    Field(discriminator="type"),
]

EXAMPLES: dict[str, str] = {
    "class": '{"type": "class", "label": "sad"}',
    "labels": '{"type": "labels", "labels": ["night", "rain"]}',
    "boxes": '{"type": "boxes", "boxes": [{"label": "mask", "x": 4, "y": 7.5, "width": 20, "height": 12}]}',
    "polygons": '{"type": "polygons", "polygons": [{"label": "mask", "points": [[0, 0], [9, 0], [9, 7]]}]}',
    "points": '{"type": "points", "points": [{"label": "left eye", "x": 4, "y": 7.5}]}',
    "scalar": '{"type": "scalar", "value": 3.5}',
    "vector": '{"type": "vector", "values": [0.5, -1.25]}',
    "text": '{"type": "text", "text": "turn left"}',
    "segments": '{"type": "segments", "segments": [{"label": "cough", "start": 1.5, "end": 2.25}]}',
}

_adapter: TypeAdapter[Annotation] = TypeAdapter(Annotation)


def check_annotation(value: object, field: str, limits: Limits) -> str | dict[str, JSON] | None:
    """
    A label, trimmed; a typed annotation exactly as it came; None if the file is not labelled yet.

    Raises:
        Fault: naming the part at fault, e.g. `annotation.boxes[2].width`.
    """
    if value is None:
        return None
    if isinstance(value, str):
        label = check_word(value, field, limits)
        if label is not None and len(label) > 256:
            raise Fault(field, label, f"is a label of {len(label):,} characters", 'at most 256, or {"type": "text", …}')
        return label
    checked = check_json(value, field, limits)
    if not isinstance(checked, dict):
        raise Fault(field, checked, "is no annotation", f"a label as text, or JSON such as {EXAMPLES['class']}")
    try:
        _adapter.validate_python(checked)
    except ValidationError as e:
        raise _fault(e, field, checked) from None
    return checked


def _fault(error: ValidationError, field: str, annotation: dict[str, JSON]) -> Fault:
    first = error.errors(include_url=False, include_context=False)[0]
    kind = annotation.get("type")
    if not isinstance(kind, str) or kind not in EXAMPLES:
        at = f"{field}.type"
        return Fault(
            at, kind, "is no type of annotation" if "type" in annotation else "is missing", ", ".join(EXAMPLES)
        )
    # The first part of the place is the type, by which the union was told apart.
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"][1:])
    missing = first["type"] == "missing"
    problem = "is missing" if missing else f"is wrong: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return Fault(field + place, None if missing else first["input"], problem, EXAMPLES[kind])
