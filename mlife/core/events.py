"""
Events: what they are, how they are named, stored and shown.

An event class is declared once, with `@event`. The decorator *is* the registration: it gives the class its type name,
the stream it belongs to, the key that must stay in order, and the topic (that of the feature whose `events.py` has it).
The stored bytes of an event are its JSON; they are also the Kafka value, and `digest` covers them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticSerializationError, ValidationError

from mlife.core.errors import Corrupt, Invalid, Misconfigured

JSON = Any
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LARGEST = 8_000_000
"""Bytes that an event may have, so that Kafka can carry it."""


class Event(BaseModel):
    """An immutable fact. Subclasses are declared with `@event` and hold nothing but its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    declared: ClassVar[EventKind]


E = TypeVar("E", bound=Event)
E_co = TypeVar("E_co", bound=Event, covariant=True)


class Personal:
    """
    Marks a field that may name a person: `client: Annotated[str | None, Personal]`.

    Which of the marked fields are really sealed is declared per system (`mlife.core.sealing`).
    """


Upcaster = Callable[[dict[str, JSON]], dict[str, JSON]]


@dataclass(frozen=True)
class EventKind:
    """
    What `@event` declares of a class.

    Args:
        name: `mlife.<thing>.<past participle>`.
        version: of the schema, from 1.
        cls: the class of this version.
        stream: template of the stream over the event's fields, e.g. `badcase/{badcase_id}`.
        key: name of the field that is the partition key.
        single: its stream never holds a second event; the event's id is derived from the stream's name.
        topic: where it is published, e.g. `mlife.badcases`.
        personal: names of the fields marked `Personal`.
        upcasters: from an old version to the next one.
    """

    name: str
    version: int
    cls: type[Event]
    stream: str
    key: str
    single: bool
    topic: str
    personal: frozenset[str]
    upcasters: dict[int, Upcaster] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """The versioned type name, e.g. `mlife.badcase.reported.v1`."""
        return f"{self.name}.v{self.version}"

    def stream_of(self, event: Event) -> str:
        """The stream that *event* belongs to."""
        return self.stream.format_map(_Fields(event))

    def key_of(self, event: Event) -> str:
        """The partition key of *event*."""
        return str(getattr(event, self.key))


class _Fields(dict[str, Any]):
    """Lets a template read an event's fields without dumping them."""

    def __init__(self, event: Event) -> None:
        self._event = event

    def __missing__(self, name: str) -> Any:
        return getattr(self._event, name)


_VERSION = re.compile(r"\.v\d+$")


@lru_cache(maxsize=1_000)
def _parted(type_name: str) -> tuple[str, int | None]:
    """Name and version of a versioned type name; None if it has no version."""
    stated = _VERSION.search(type_name)
    return (type_name, None) if stated is None else (type_name[: stated.start()], int(stated[0][2:]))


class Registry:
    """Every event kind by its name, filled by `@event` as features are imported."""

    def __init__(self) -> None:
        self._kinds: dict[str, EventKind] = {}

    def add(self, kind: EventKind) -> None:
        """Register *kind*; the same name twice is refused, and the other class named."""
        other = self._kinds.get(kind.name)
        if other is not None:
            raise Misconfigured(
                f"event {kind.name} is declared by {kind.cls.__module__}.{kind.cls.__qualname__} "
                f"and by {other.cls.__module__}.{other.cls.__qualname__}",
                remedy="rename one of them",
            )
        self._kinds[kind.name] = kind

    def __iter__(self) -> Iterator[EventKind]:
        return iter(sorted(self._kinds.values(), key=lambda k: k.name))

    def find(self, type_name: str) -> EventKind | None:
        """The kind that *type_name* (with or without version) belongs to, or None."""
        return self._kinds.get(_parted(type_name)[0])

    def kind(self, type_name: str) -> EventKind:
        """
        The kind that *type_name* (with or without version) belongs to.

        Raises:
            Corrupt: no installed feature declares it.
        """
        found = self.find(type_name)
        if found is None:
            raise Corrupt(
                f"no installed feature declares the event {type_name}",
                remedy="install the package or the newer MLife that wrote it",
            )
        return found

    def decode(self, type_name: str, data: bytes) -> Event:
        """
        The event that *data*, stored as *type_name*, is today; older versions are upcast step by step.

        Raises:
            Corrupt: the type is unknown or newer than this program, or the bytes are not what it says.
        """
        kind, version = self._stated(type_name)
        try:
            if version == kind.version:
                return kind.cls.__pydantic_validator__.validate_json(data)  # type: ignore[no-any-return]
            return kind.cls.model_validate(_upcast(kind, version, orjson.loads(data)))
        except (ValidationError, orjson.JSONDecodeError) as e:
            raise Corrupt(f"stored bytes of {type_name} are not valid: {e}") from e

    def plain(self, type_name: str, data: bytes) -> dict[str, JSON]:
        """
        The fields of that event as JSON, upcast too, but without looking whether they are valid.

        Raises:
            Corrupt: as `decode`, of what is no JSON at all.
        """
        kind, version = self._stated(type_name)
        try:
            return _upcast(kind, version, orjson.loads(data))
        except orjson.JSONDecodeError as e:
            raise Corrupt(f"stored bytes of {type_name} are not valid: {e}") from e

    def _stated(self, type_name: str) -> tuple[EventKind, int]:
        kind = self.kind(type_name)
        version = _parted(type_name)[1]
        if version is None:
            raise Corrupt(f"{type_name} has no version", remedy="restore the log from a backup")
        return kind, version


def _upcast(kind: EventKind, version: int, data: dict[str, JSON]) -> dict[str, JSON]:
    if version > kind.version:
        raise Corrupt(
            f"{kind.name}.v{version} is newer than this program, which knows v{kind.version}",
            remedy="update MLife before you read this log",
        )
    while version < kind.version:
        step = kind.upcasters.get(version)
        if step is None:
            raise Corrupt(f"no @upcast leads from {kind.name}.v{version} to v{version + 1}", remedy="declare it")
        try:
            data = step(data)
        except Exception as e:
            raise Corrupt(f"@upcast of {kind.name}.v{version} failed: {type(e).__name__}: {e}") from e
        version += 1
    return data


registry = Registry()

_TYPE_NAME = re.compile(r"mlife\.[a-z]+(\.[a-z_]+)+")


def event(
    name: str, *, stream: str, key: str, version: int = 1, single: bool = False, topic: str | None = None
) -> Callable[[type[E]], type[E]]:
    """
    Declare an event class and register it.

    Args:
        name: `mlife.<thing>.<past participle>`, without the version.
        stream: template over the fields, e.g. `"task/{task_id}"`.
        key: field that is the partition key.
        version: of the fields; raise it when a reader of the old one would break, and add an `@upcast`.
        single: the stream holds this one event and the writer looks it up by id (reports, files, traffic).
        topic: default: the feature whose `events` holds the class (`mlife.badcases.events` → `mlife.badcases`).

    Raises:
        Misconfigured: a name that is not past-tense shaped, or that another class has.
    """

    def declare(cls: type[E]) -> type[E]:
        if not _TYPE_NAME.fullmatch(name):
            raise Misconfigured(f"{name!r} is no event name", remedy="use mlife.<thing>.<past participle>")
        personal = frozenset(n for n, f in cls.model_fields.items() if any(m is Personal for m in f.metadata))
        where = topic or f"{cls.__module__}.".partition(".events.")[0].removesuffix(".")
        cls.declared = EventKind(name, version, cls, stream, key, single, where, personal)
        registry.add(cls.declared)
        return cls

    return declare


def upcast(cls: type[Event], *, from_version: int) -> Callable[[Upcaster], Upcaster]:
    """Register how the fields of *from_version* become those of the next version."""

    def declare(step: Upcaster) -> Upcaster:
        cls.declared.upcasters[from_version] = step
        return step

    return declare


class Draft(NamedTuple):
    """
    An event that is ready to be stored but has no position yet: the store's row, in its column order.

    `time` is in microseconds since 1970 UTC; `single` is 1 for a stream that never holds a second event.
    """

    id: bytes
    stream: str
    single: int
    type: str
    key: str
    time: int
    source: str
    correlation_id: str | None
    causation_id: bytes | None
    actor: str | None
    traceparent: str | None
    data: bytes
    digest: bytes


class Recorded(Generic[E_co]):
    """An event as the log has it, with its envelope. `event` and `json` are decoded on first use."""

    __slots__ = ("_event", "_json", "draft", "position", "version")

    def __init__(self, position: int, version: int, draft: Draft, event: E_co | None = None) -> None:
        self.position = position
        self.version = version
        self.draft = draft
        self._event = event
        self._json: dict[str, JSON] | None = None

    @property
    def event(self) -> E_co:
        """The event, as the current version of its class."""
        if self._event is None:
            self._event = registry.decode(self.draft.type, self.draft.data)  # type: ignore[assignment]
        return self._event  # type: ignore[return-value]

    @property
    def json(self) -> dict[str, JSON]:
        """The event's fields as JSON, for floods: an object takes three times as long. Shared, so never change it."""
        if self._json is None:
            self._json = registry.plain(self.draft.type, self.draft.data)
        return self._json

    @property
    def id(self) -> UUID:
        """The event's id."""
        return UUID(bytes=self.draft.id)

    @property
    def stream(self) -> str:
        """The stream, e.g. `badcase/bc-…`; CloudEvents calls it the subject."""
        return self.draft.stream

    @property
    def time(self) -> datetime:
        """When it was recorded, UTC."""
        return from_micros(self.draft.time)

    @property
    def correlation_id(self) -> str | None:
        """The loop (iteration) that it belongs to."""
        return self.draft.correlation_id

    def __repr__(self) -> str:
        return f"<{self.draft.type} at {self.position} in {self.draft.stream}>"

    def as_cloud_event(self) -> dict[str, JSON]:
        """The event as CloudEvents 1.0 JSON (structured mode), with the attributes of `contract.md`."""
        d = self.draft
        shown: dict[str, JSON] = {
            "specversion": "1.0",
            "id": str(self.id),
            "source": d.source,
            "subject": d.stream,
            "type": d.type,
            "dataschema": f"urn:mlife:schema:{d.type}",
            "time": rfc3339(d.time),
            "datacontenttype": "application/json",
            "partitionkey": d.key,
            "sequence": f"{self.position:020d}",
            "streamversion": self.version,
            "correlationid": d.correlation_id,
            "causationid": str(UUID(bytes=d.causation_id)) if d.causation_id else None,
            "actor": d.actor,
            "traceparent": d.traceparent,
            "digest": d.digest.hex(),
            "data": orjson.loads(d.data),
        }
        return {k: v for k, v in shown.items() if v is not None}


def stored_bytes(event: Event) -> bytes:
    """
    The JSON of *event* as it is stored: declared field order, UTC times, no NaN.

    Raises:
        Invalid: it is longer than `LARGEST`, or a text has a NUL, which no column of PostgreSQL can hold; so no log
            holds one.
    """
    try:
        data = event.__pydantic_serializer__.to_json(event)
    except PydanticSerializationError as e:
        raise Corrupt(f"{event.declared.type} can't be written as JSON: {e}") from e
    if len(data) > LARGEST:
        raise Invalid(
            f"{event.declared.name} would have {len(data):,} bytes; an event has at most {LARGEST:,}",
            remedy="give it less at once, or keep the bulk as a file and name that",
        )
    if b"\\u0000" in data and "\0" in _texts(orjson.loads(data)):
        raise Invalid(f"{event.declared.name} was given a text with a NUL character", remedy="leave the character out")
    return data


def _texts(value: JSON) -> str:
    """Every text in *value*, names included."""
    if isinstance(value, dict):
        return "".join(f"{k}{_texts(v)}" for k, v in value.items())
    if isinstance(value, list):
        return "".join(map(_texts, value))
    return value if isinstance(value, str) else ""


def derived_id(*parts: object) -> bytes:
    """A UUIDv5 (16 bytes) in MLife's name space from *parts*; the same parts give the same id everywhere."""
    return uuid5_bytes("\0".join(map(str, parts)).encode())


_NAMESPACE = hashlib.sha1(b"urn:mlife:events").digest()[:16]  # noqa: S324 - UUIDv5 is SHA-1 by RFC 9562, and guards nothing


def uuid5_bytes(name: bytes) -> bytes:
    """UUIDv5 of *name* in MLife's name space, as 16 bytes (RFC 9562, 5.5)."""
    d = bytearray(hashlib.sha1(_NAMESPACE + name).digest()[:16])  # noqa: S324 - the same
    d[6] = (d[6] & 0x0F) | 0x50
    d[8] = (d[8] & 0x3F) | 0x80
    return bytes(d)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """The UTC moment *micros* microseconds after 1970."""
    return EPOCH + timedelta(microseconds=micros)


def rfc3339(micros: int) -> str:
    """*micros* as RFC 3339 UTC with microseconds."""
    return from_micros(micros).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def canonical_json(value: Mapping[str, JSON]) -> bytes:
    """Canonical JSON: sorted keys, no white space, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
