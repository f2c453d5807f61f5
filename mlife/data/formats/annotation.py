"""What the annotation of a row may say: a plain label, or JSON of one of the types in `mlife.core.annotation`."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic_core import ValidationError

from mlife.core.annotation import EXAMPLES, annotation_adapter, inconsistency
from mlife.data.formats.values import JSON, Fault, Limits, check_json, check_word


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
        annotation_adapter.validate_python(checked)
    except ValidationError as e:
        raise _fault(e, field, checked) from None
    wrong = inconsistency(checked)
    if wrong is not None:
        member, shown, problem = wrong
        raise Fault(_place(field, member.split(".")), shown, problem, EXAMPLES[str(checked["type"])])
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
    place = _place(field, first["loc"][1:])
    missing = first["type"] == "missing"
    problem = "is missing" if missing else f"is wrong: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return Fault(place, None if missing else first["input"], problem, EXAMPLES[kind])


def _place(field: str, parts: Iterable[int | str]) -> str:
    """The dotted path of a part, e.g. `annotation.boxes[2].width`."""
    return field + "".join(f"[{p}]" if isinstance(p, int) or p.isdecimal() else f".{p}" for p in parts)
