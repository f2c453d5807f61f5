"""Golden examples: a whole CloudEvent for each event version, made from the names and types of its fields."""

from __future__ import annotations

import hashlib
import types
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from mlife.core.errors import Misconfigured
from mlife.core.events import Draft, EventKind, Recorded, derived_id, stored_bytes, to_micros

MOMENT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
SHA256 = hashlib.sha256(b"mlife").hexdigest()
MD5 = hashlib.md5(b"mlife", usedforsecurity=False).hexdigest()

PREFIXES = {
    "alarm": "alm",
    "badcase": "bc",
    "cause": "cau",
    "delivery": "msg",
    "deployment": "dep",
    "document": "doc",
    "group": "grp",
    "iteration": "itr",
    "model": "mdl",
    "opponent": "mdl",
    "request": "req",
    "rule": "rul",
    "task": "tsk",
}


def an_id(noun: str) -> str:
    """The id that examples use for a *noun*, e.g. `mdl-9372c470eead`."""
    return f"{PREFIXES[noun]}-{hashlib.sha256(noun.encode()).hexdigest()[:12]}"


KNOWN: Mapping[str, Any] = {
    "actor": "ada",
    "annotation": "happy",
    "answered_by": an_id("model"),
    "badcases": {an_id("badcase"): "fixed"},
    "by": "ada",
    "by_class": {"happy": 120},
    "client": "fleet-7",
    "columns": {"place": "str"},
    "content_sha256": SHA256,
    "data": {"uri": "s3://cam/8841.jpg", "media_type": "image/jpeg", "sha256": SHA256},
    "definition": {"title": "too much is open", "kind": "open_cost", "line": 100, "lower": 80},
    "description": "half-worn mask, night",
    "device": "cam-112",
    "digest": SHA256,
    "digests": {an_id("model"): f"sha256:{SHA256}"},
    "fields": {"place": "tunnel"},
    "fingerprint": "dms / emotion / happy → sad",
    "from_": MOMENT,
    "function": "emotion",
    "key": "tunnel-7",
    "level": "model",
    "md5": MD5,
    "media_type": "image/jpeg",
    "metrics": {"accuracy": 0.91},
    "name": "night faces",
    "note": "seen in tunnels only",
    "originator_id": "6c3d5f8e-52b4-5d6c-9f0e-1a2b3c4d5e6f",
    "owner": "bob",
    "partition_key": an_id("badcase"),
    "prediction": {"type": "class", "label": "sad", "score": 0.91},
    "previous": an_id("deployment"),
    "reason": "it was a test",
    "replaces": an_id("deployment"),
    "report_id": "8841",
    "reporter": "ada@example.org",
    "rows": {"path": "8841.jpg", "md5": MD5, "annotation": "happy"},
    "sample": SHA256,
    "sha256": SHA256,
    "system": "dms",
    "to": MOMENT,
    "truth": {"type": "class", "label": "happy"},
    "uid": SHA256[:32],
    "uri": "s3://cam/8841.jpg",
    "uris": {an_id("model"): "s3://models/7f3a.onnx"},
    "version": "2.3.0",
    "wanted": {"sad": 30},
}
"""Values that a reader understands, by a field's name; taken where they fit the type."""


def golden(kind: EventKind) -> dict[str, Any]:
    """
    A whole CloudEvent of *kind*.

    Raises:
        Misconfigured: no value can be made for a field; give it a default, or a type that says more.
    """
    event = kind.cls.model_validate({n: _value(kind, n, f) for n, f in kind.cls.model_fields.items()})
    data = stored_bytes(event)
    system = getattr(event, "system", None)
    draft = Draft(
        derived_id("example", kind.type),
        kind.stream_of(event),
        int(kind.single),
        kind.type,
        kind.key_of(event),
        to_micros(MOMENT),
        f"/mlife/{system}" if system else "/mlife",
        an_id("iteration"),
        derived_id("cause", kind.type),
        "ada",
        None,
        data,
        hashlib.sha256(data).digest(),
    )
    return Recorded(1234, 1, draft, event).as_cloud_event()


def _value(kind: EventKind, name: str, field: FieldInfo) -> Any:
    if name in KNOWN:
        for candidate in (KNOWN[name], (KNOWN[name],)):
            if _fits(field.annotation, candidate):
                return candidate
    made = _of_type(name, field.annotation, _limits(field))
    if made is None and not field.is_required():
        return field.get_default(call_default_factory=True)
    if made is None:
        raise Misconfigured(
            f"no example can be made for {name} of {kind.type}", remedy="give it a default, or a type that says more"
        )
    return made


def _fits(annotation: Any, value: Any) -> bool:
    from pydantic import TypeAdapter, ValidationError

    try:
        TypeAdapter(annotation).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def _limits(field: FieldInfo) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for m in field.metadata:
        for limit in ("ge", "gt", "le", "lt", "min_length"):
            if getattr(m, limit, None) is not None:
                found[limit] = getattr(m, limit)
    return found


def _of_type(name: str, annotation: Any, limits: Mapping[str, Any]) -> Any:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _of_type(name, inner[0], limits)
    if origin in {Union, types.UnionType}:
        return _of_type(name, next(a for a in inner if a is not type(None)), limits)
    if origin is Literal:
        return inner[0]
    if origin in {tuple, list, frozenset, set}:
        items = inner[:1] if len(inner) < 2 or inner[1] is Ellipsis else inner
        return origin(_of_type(name.removesuffix("s"), item, limits) for item in items)
    if origin is dict or annotation is dict:
        key = _of_type(name.removesuffix("s"), inner[0] if inner else str, {})
        return {key: _of_type("", inner[1] if inner else Any, {})}
    return _of_scalar(name, annotation, limits)


def _of_scalar(name: str, annotation: Any, limits: Mapping[str, Any]) -> Any:
    if annotation is bool:
        return True
    if annotation is int:
        return max(limits.get("ge", 3), limits.get("gt", 2) + 1) if limits.get("le", 3) >= 3 else limits["le"]
    if annotation is float:
        low, high = limits.get("ge", limits.get("gt", 0.0)), limits.get("le", limits.get("lt", 1.0))
        return low + (high - low) * 0.75
    if annotation is datetime:
        return MOMENT
    if annotation in {str, Any}:
        noun = name.removesuffix("_id")
        if noun in PREFIXES:
            return an_id(noun)
        known = KNOWN.get(name)
        return known if isinstance(known, str) else (name.replace("_", " ") or "one")
    return None
