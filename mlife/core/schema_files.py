"""
Published schemas: written from the registry, committed, and never changed once they were in a release.

`schemas/<type>.json` is the JSON Schema of one event version, `schemas/examples/<type>.json` a whole CloudEvent of it,
`schemas/asyncapi.json` the topics, `schemas/openapi.json` HTTP, `docs/events.md` the catalogue for people,
`infra/kafka/topics.sh` makes the topics.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mlife import __version__
from mlife.core.errors import Corrupt, Misconfigured, NotFound
from mlife.core.event_catalogue import catalogue, json_name
from mlife.core.events import EventKind, registry, stored_bytes
from mlife.core.schema_examples import golden
from mlife.core.topics import LARGEST_MESSAGE, Topic, component_topics, script
from mlife.core.topics import topics as all_topics

JSON = dict[str, Any]
SINCE = "x-since"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Http(Protocol):
    """What serves HTTP and can say how: a FastAPI application."""

    def openapi(self) -> JSON:
        """Its OpenAPI document."""


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One published promise that is not kept.

    Args:
        file: relative to the checkout.
        problem: what is wrong, with the field.
        remedy: what to do about it.
    """

    file: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}: {self.remedy}"


def own_kinds(package: str = "mlife") -> list[EventKind]:
    """The event kinds that *package* declares."""
    return [k for k in registry if k.cls.__module__.partition(".")[0] == package]


def event_schema(kind: EventKind) -> JSON:
    """The JSON Schema of the `data` of an event."""
    schema = kind.cls.model_json_schema(mode="serialization")
    for name in kind.personal:
        schema["properties"][json_name(kind, name)]["x-personal"] = True
    return {
        "$schema": DIALECT,
        "$id": f"urn:mlife:schema:{kind.type}",
        **schema,
        "title": kind.type,
        "description": (kind.cls.__doc__ or "").strip(),
        "x-stream": kind.stream,
        "x-partitionkey": kind.key,
        "x-topic": kind.topic,
    }


def asyncapi(kinds: Iterable[EventKind]) -> JSON:
    """AsyncAPI 3 of the topics: which events each has, and their CloudEvents attributes as Kafka headers."""
    topics: dict[str, list[EventKind]] = {}
    for kind in kinds:
        topics.setdefault(kind.topic, []).append(kind)
    bindings = {t.name: _binding(t) for t in component_topics(k for listed in topics.values() for k in listed)}
    headers = {"type": "object", "properties": {f"ce_{a}": {"type": "string"} for a in ATTRIBUTES}}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "MLife events",
            "version": __version__,
            "description": "Facts as CloudEvents 1.0, binary content mode; the key is the partition key.",
        },
        "defaultContentType": "application/json",
        "channels": {
            topic: {
                "address": topic,
                "messages": {k.type: {"$ref": f"#/components/messages/{k.type}"} for k in listed},
                "bindings": {"kafka": bindings[topic]},
            }
            for topic, listed in sorted(topics.items())
        },
        "operations": {
            f"publish {topic}": {"action": "send", "channel": {"$ref": f"#/channels/{topic}"}}
            for topic in sorted(topics)
        },
        "components": {
            "schemas": {"headers": headers},
            "messages": {
                k.type: {
                    "name": k.type,
                    "summary": (k.cls.__doc__ or "").strip().partition("\n")[0],
                    "contentType": "application/json",
                    "headers": {"$ref": "#/components/schemas/headers"},
                    "payload": {"schemaFormat": "application/schema+json", "schema": {"$ref": f"./{k.type}.json"}},
                    "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": BINDING}},
                }
                for listed in topics.values()
                for k in listed
            },
        },
    }


BINDING = "0.5.0"
"""Version of AsyncAPI's words about Kafka."""


def _binding(topic: Topic) -> JSON:
    """What subscribers should know of *topic*: how many partitions, and what it keeps."""
    kept = {"cleanup.policy": ["delete"], "retention.ms": topic.keep_ms or -1, "max.message.bytes": LARGEST_MESSAGE}
    return {"partitions": topic.partitions, "topicConfiguration": kept, "bindingVersion": BINDING}


ATTRIBUTES = (
    *("id", "source", "subject", "type", "dataschema", "time", "partitionkey", "sequence", "streamversion"),
    *("correlationid", "causationid", "actor", "traceparent", "digest"),
)


def generated(kinds: Sequence[EventKind], http: Http | None = None) -> dict[str, bytes]:
    """Every generated file, by its path in the checkout. Schemas carry no `x-since` yet."""
    files = {f"schemas/{k.type}.json": as_bytes(event_schema(k)) for k in kinds}
    files |= {f"schemas/examples/{k.type}.json": as_bytes(golden(k)) for k in kinds}
    files["schemas/asyncapi.json"] = as_bytes(asyncapi(kinds))
    if http is not None:
        files["schemas/openapi.json"] = as_bytes(http.openapi())
        files["infra/kafka/topics.sh"] = script(all_topics(kinds)).encode()
    files["docs/events.md"] = catalogue(kinds).encode()
    return files


def as_bytes(value: JSON) -> bytes:
    """*value* as a committed file has it."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def write(root: Path, kinds: Sequence[EventKind], http: Http | None = None) -> list[str]:
    """
    Write what is new or may still change, and leave what was published before.

    Returns:
        The files that were changed.

    Raises:
        Misconfigured: a version that an earlier release published would change; nothing is written.
    """
    broken = [f for k in kinds for f in _frozen_faults(root, k)]
    if broken:
        raise Misconfigured("\n".join(map(str, broken)), remedy="nothing was written")
    changed = []
    for name, made in generated(kinds, http).items():
        path, content = root / name, made
        kind = registry.find(path.stem) if path.parent.name == "schemas" else None
        if kind is not None:
            before = _json(path) if path.exists() else {}
            content = as_bytes({**json.loads(content), SINCE: before.get(SINCE, __version__)})
        elif path.parent.name == "examples" and path.exists() and _is_frozen(root, path.stem):
            continue
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            changed.append(name)
    return changed


def check(root: Path, kinds: Sequence[EventKind], http: Http | None = None) -> list[Fault]:
    """
    Is every published schema still honoured?

    Committed files are what would be generated, every example of every version is still understood, and no published
    version has gone.

    Raises:
        NotFound: there are no schemas at *root*.
    """
    if not (root / "schemas").is_dir():
        raise NotFound(f"{root} has no folder schemas", remedy="run this in a checkout, or write them first")
    faults = [f for k in kinds for f in _frozen_faults(root, k)]
    named = {f.file for f in faults}
    for name, content in generated(kinds, http).items():
        if name not in named:
            faults += _stale(root, name, content)
    return faults + list(_misunderstood(root, kinds))


REMEDY_CHANGED = "raise the version in @event, add an @upcast from this one, and leave the file as it is"
REMEDY_STALE = "make schemas"


def _stale(root: Path, name: str, content: bytes) -> Iterator[Fault]:
    path = root / name
    if not path.exists():
        yield Fault(name, "is missing", REMEDY_STALE)
    elif path.suffix != ".json":
        if path.read_bytes() != content:
            yield Fault(name, "is not what the registered events say", REMEDY_STALE)
    elif path.parent.name != "examples" or not _is_frozen(root, path.stem):
        new, old = json.loads(content), _json(path)
        if SINCE in old:
            old.pop(SINCE)
        if new != old:
            yield Fault(name, f"is not what the program says ({'; '.join(_differences(old, new)[:3])})", REMEDY_STALE)


def _is_frozen(root: Path, type_name: str) -> bool:
    """Was the version published by an earlier release than this?"""
    path = root / "schemas" / f"{type_name}.json"
    return path.exists() and _json(path).get(SINCE, __version__) != __version__


def _frozen_faults(root: Path, kind: EventKind) -> Iterator[Fault]:
    if not _is_frozen(root, kind.type):
        return
    name = f"schemas/{kind.type}.json"
    old, new = _promise(_json(root / name)), _promise(event_schema(kind))
    if old != new:
        since = _json(root / name)[SINCE]
        told = "; ".join(_differences(old, new))
        yield Fault(name, f"published with {since} and may not change, but {told}", REMEDY_CHANGED)


def _promise(schema: JSON) -> JSON:
    """What a reader relies on: everything but the words."""
    kept = {k: v for k, v in schema.items() if k not in {"description", "title", SINCE}}
    return {k: _promise(v) if isinstance(v, dict) else v for k, v in kept.items()} if "properties" in kept else kept


def _misunderstood(root: Path, kinds: Sequence[EventKind]) -> Iterator[Fault]:
    names = {k.name for k in kinds}
    for path in sorted((root / "schemas" / "examples").glob("*.json")):
        name = f"schemas/examples/{path.name}"
        if not (root / "schemas" / path.name).exists():
            yield Fault(name, "has no schema beside it", "restore the schema from the history")
        kind = registry.find(path.stem)
        if kind is None or kind.name not in names:
            yield Fault(name, f"nobody declares {path.stem} any more", "published events stay readable: declare it")
            continue
        try:
            shown = _json(path)
            event = registry.decode(path.stem, json.dumps(shown["data"]).encode())
        except (Corrupt, KeyError) as e:
            yield Fault(name, f"can't be read any more: {e}", "add an @upcast that understands it")
            continue
        if path.stem == kind.type and hashlib.sha256(stored_bytes(event)).hexdigest() != shown.get("digest"):
            yield Fault(name, "does not come back as the bytes that its digest covers", REMEDY_STALE)


def _differences(old: Any, new: Any, at: str = "") -> list[str]:
    """Where *new* differs from *old*, as sentences that name the field."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in sorted(old.keys() | new.keys()):
            where = f"{at}.{key}".lstrip(".")
            if key not in new:
                found.append(f"{where} is gone")
            elif key not in old:
                found.append(f"{where} is new")
            else:
                found += _differences(old[key], new[key], where)
        return [re.sub(r"\bproperties\.(\w+)", r"field \1", f) for f in found]
    if isinstance(old, list) and isinstance(new, list) and all(isinstance(x, str) for x in [*old, *new]):
        more, less = sorted(set(new) - set(old)), sorted(set(old) - set(new))
        return [f"{at} has {x} now" for x in more] + [f"{at} has {x} no more" for x in less] or (
            [] if old == new else [f"{at} is in another order"]
        )
    return [] if old == new else [f"{at} was {_short(old)} and is {_short(new)}"]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"


def _json(path: Path) -> JSON:
    try:
        read: Mapping[str, Any] = json.loads(path.read_bytes())
    except ValueError as e:
        raise Corrupt(f"{path} is no JSON: {e}", remedy="restore it from the history") from e
    return dict(read)
