"""
Truths and answers of samples as they are kept, and what they are.

A class is kept as its label, every richer type as its canonical JSON. Here both are read back, so that a sample of any
type can be reported as a badcase, with prediction and truth typed.
"""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import ValidationError

from mlife.core.annotation import EXAMPLES, annotation_adapter, bare

JSON = dict[str, Any]
LONGEST = 60
"""Characters of an answer in a caption."""


def typed(kept: str) -> JSON:
    """What is *kept*, as a report says it: without members that are a labelling tool's own."""
    said = _read(kept)
    if said is None:
        return {"type": "class", "label": kept}
    try:
        checked: JSON = annotation_adapter.validator.validate_python(said)
    except ValidationError:
        return said  # a report says what is wrong with it
    return checked


def is_class(kept: str) -> bool:
    """Is it a class, and not a richer type?"""
    return _read(kept) is None


def same(truth: str, prediction: str) -> bool:
    """Do both say the same, but for scores and a labelling tool's own members?"""
    return truth == prediction or (not is_class(truth) and bare(typed(truth)) == bare(typed(prediction)))


def worded(kept: str) -> str:
    """What is *kept* in a few words."""
    said = _read(kept)
    if said is None:
        return kept
    kind = said["type"]
    match kind:
        case "labels":
            text = ", ".join(map(str, said.get("labels") or ())) or "no label"
        case "scalar":
            text = str(said.get("value"))
        case "vector":
            text = " ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in said.get("values") or ())
        case "text":
            text = str(said.get("text"))
        case _:
            parts = said.get(kind) or ()
            names = ", ".join(dict.fromkeys(str(p.get("label")) for p in parts if isinstance(p, dict)))
            one = f"1 {kind.removesuffix('es') if kind == 'boxes' else kind.removesuffix('s')}"
            text = (one if len(parts) == 1 else f"{len(parts) or 'no'} {kind}") + f": {names}" * bool(names)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def failure(
    kept: tuple[str, str, str, float | None], *, system: str, function: str, model_id: str, task_id: str, at: str
) -> JSON:
    """
    A failing sample as a report; the same sample of the same task is the same report.

    Args:
        kept: SHA-256, truth, prediction, score. at: when it was tested, RFC 3339.
    """
    sha256, truth, label, score = kept
    prediction = typed(label)
    if score is not None and prediction["type"] == "class":
        prediction["score"] = score
    return {
        "system": system,
        "function": function,
        "version": model_id,  # a model under test has no version that devices report
        "model_ids": [model_id],
        "data": [{"uri": f"sha256:{sha256}", "sha256": sha256}],
        "prediction": prediction,
        "truth": typed(truth),
        "observed_at": at,
        "fields": {"task_id": task_id},
    }


def _read(kept: str) -> JSON | None:
    if not kept.startswith("{"):
        return None
    try:
        said = orjson.loads(kept)
    except orjson.JSONDecodeError:
        return None
    return said if isinstance(said, dict) and said.get("type") in EXAMPLES else None
