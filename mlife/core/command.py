"""
Commands: decisions as pure functions, and the executor that carries them out.

A command is a function from what it is given and its input to events:

    def triage(given: Given, *, badcase_id: str, note: str = "") -> list[Event]:
        badcase = given(Badcase, badcase_id)      # folds the stream; the append checks its version
        if badcase.rejected:
            raise Refused(...)
        return [BadcaseTriaged(badcase_id=badcase_id, note=note, by=given.actor)]

Clock, ids and actor come from `given`, so the same streams and the same input give the same events.
"""

from __future__ import annotations

import hashlib
import inspect
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar, get_type_hints

import orjson
from pydantic import BaseModel, ConfigDict, create_model
from pydantic import ValidationError as PydanticError

from mlife.core.errors import Conflict, Invalid, Refusal, Reused, shortened
from mlife.core.events import Draft, Event, Recorded, derived_id, stored_bytes, to_micros
from mlife.core.ports import Append, Clock, EventStore, SystemClock
from mlife.core.sealing import Sealer

P = ParamSpec("P")
E = TypeVar("E", bound=Event)
Decision = Callable[Concatenate["Given", P], list[Event]]

ATTEMPTS = 8
"""How often a decision is made again when another writer was faster."""

_turns = threading.Lock()
"""Taken from the third attempt on: many threads that want the same stream queue up instead of outrunning each other."""


class State:
    """
    What decisions need to know of one stream, folded from its events.

    Subclasses name their `category` (the stream is `<category>/<id>`) and change themselves in `apply`.
    """

    category: ClassVar[str]

    def __init__(self, id: str) -> None:
        self.id = id
        self.version = 0

    @property
    def exists(self) -> bool:
        """Has anything happened in the stream?"""
        return self.version > 0

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""


S = TypeVar("S", bound=State)


def folded(state: type[S], id: str, stream: Iterable[Recorded[Event]]) -> S:
    """The state of *id* after the events of its *stream*; while one is applied, `version` is the one before it."""
    made = state(id)
    for recorded in stream:
        made.apply(recorded.event)
        made.version = recorded.version
    return made


@dataclass(frozen=True, slots=True)
class Envelope:
    """
    Who acts, when, and as part of what.

    Args:
        actor: person, device or handler.
        source: CloudEvents source; None: `/mlife/<system>` of the event, else `/mlife`.
        correlation_id: the iteration that this belongs to.
        causation_id: the event that caused it (16 bytes).
        at: None: the clock's time.
    """

    actor: str | None = None
    source: str | None = None
    correlation_id: str | None = None
    causation_id: bytes | None = None
    traceparent: str | None = None
    at: datetime | None = None


class Given:
    """
    What a decision may know: streams (by calling it), the time, new ids, who acts.

    Args:
        read: stream name → its events; only streams that the decision names are read.
        key: the decision's idempotency key; ids are derived from it.
    """

    def __init__(
        self, read: Callable[[str], Iterable[Recorded[Event]]], *, now: datetime, key: str, actor: str | None = None
    ) -> None:
        self._read = read
        self._states: dict[tuple[type[State], str], State] = {}
        self._key = key
        self._minted = 0
        self.now = now
        self.actor = actor
        self.versions: dict[str, int] = {}

    def __call__(self, state: type[S], id: str) -> S:
        """The state of stream `<category>/<id>`; its version is checked by the append."""
        known = self._states.get((state, id))
        if known is None:
            stream = f"{state.category}/{id}"
            known = folded(state, id, self._read(stream))
            self.versions[stream] = known.version
            self._states[state, id] = known
        return known  # type: ignore[return-value]

    def new_id(self, prefix: str) -> str:
        """A new id such as `tsk-3f9a2c41b7d0`; the same decision under the same key mints the same ids."""
        self._minted += 1
        return f"{prefix}-{derived_id('id', self._key, self._minted).hex()[:12]}"


@dataclass(frozen=True, slots=True)
class Done:
    """
    What came of a command.

    Args:
        position: wait for it to read your own write; 0 if the command decided that nothing is to be done.
        events: what was written, or had been written when the same key was used before.
        known: True if the key had been used before.
    """

    position: int
    events: tuple[Event, ...]
    known: bool = False

    def answers(self, said: Mapping[str, Any], opened: Callable[[Any], Any]) -> None:
        """
        Refuse to be the answer to *said*, if it was the answer to something else under the same key.

        Texts and numbers that the events took over from the input are held against it; *opened* unseals them.

        Raises:
            Reused: they differ.
        """
        if not self.known:
            return
        events = [opened(e.model_dump(mode="json")) for e in self.events]
        for name, value in said.items():
            before = [e[name] for e in events if isinstance(e.get(name), str | int | float)]
            said_now = _bare(value) if isinstance(value, str | int | float) else ""
            if before and said_now != "" and said_now not in map(_bare, before):
                raise Reused(
                    f"this idempotency key was used before, with {name} {shortened(before[0])!r} and not "
                    f"{shortened(value)!r}",
                    remedy="use a new key for what is new",
                )

    def first(self, cls: type[E]) -> E:
        """The first event of class *cls*."""
        for e in self.events:
            if isinstance(e, cls):
                return e
        raise LookupError(f"no {cls.declared.type} among the events")


def _bare(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


@dataclass(frozen=True)
class Executor:
    """Carries out commands: reads the streams they name, decides, appends, and decides again on a conflict."""

    store: EventStore
    sealer: Sealer
    clock: Clock = field(default_factory=SystemClock)
    envelope: Envelope = Envelope()

    def as_(self, **changes: Any) -> Executor:
        """The same executor for another actor, source, correlation or time."""
        return replace(self, envelope=replace(self.envelope, **changes))

    def __call__(self, decide: Decision[P], /, *args: P.args, **input: P.kwargs) -> Done:
        """Carry out a command once, under a key of its own."""
        return self.under(uuid.uuid4().hex, decide, *args, **input)

    def under(self, key: str, decide: Decision[P], /, *args: P.args, **input: P.kwargs) -> Done:
        """
        Carry out a command under the idempotency *key*: the second time, the first result is the answer.

        Raises:
            Invalid: the input does not fit the command's signature.
            Refused: the rules do not allow it now.
            Conflict: other writers were faster, eight times.
        """
        return self.expecting({}, key, decide, *args, **input)

    def expecting(
        self, versions: Mapping[str, int], key: str, decide: Decision[P], /, *args: P.args, **input: P.kwargs
    ) -> Done:
        """As `under`, but refuse with Conflict unless each stream in *versions* is at that version (`If-Match`)."""
        before = self._known(key)
        if before is not None:
            return before
        checked = check_input(decide, input)
        for attempt in range(ATTEMPTS):
            with nullcontext() if attempt < 2 else _turns:
                done = self._attempt(versions, key, decide, args, checked, last=attempt == ATTEMPTS - 1)
            if done is not None:
                return done
        raise AssertionError("unreachable")

    def _attempt(
        self,
        versions: Mapping[str, int],
        key: str,
        decide: Callable[..., list[Event]],
        args: tuple[Any, ...],
        checked: Mapping[str, Any],
        *,
        last: bool,
    ) -> Done | None:
        """Decide and append once; None if another writer was faster."""
        now = self.envelope.at or self.clock.now()
        given = Given(self.store.read_stream, now=now, key=key, actor=self.envelope.actor)
        try:
            events = decide(given, *args, **checked)
        except PydanticError as e:  # an event that the input can't make, though each of its values has the right type
            raise Invalid(f"{decide.__name__} was given input that does not fit", refusals=tuple(explain(e))) from e
        if not events:
            return Done(0, ())
        for stream, version in versions.items():
            if given.versions.get(stream, version) != version:
                raise Conflict(stream, version, given.versions[stream])
        drafts = [self.draft(e, derived_id(key, n), now) for n, e in enumerate(events)]
        try:
            outcome = self.store.append(Append(drafts, {**given.versions, **versions}))
        except Conflict:
            if versions or last:
                raise
            return None
        if outcome.known[0]:
            return self._known(key) or Done(outcome.position, tuple(events), known=True)
        return Done(outcome.position, tuple(events))

    def _known(self, key: str) -> Done | None:
        """What was written under *key* before."""
        events: list[Recorded[Event]] = []
        step = 4
        while True:
            ids = [derived_id(key, n) for n in range(len(events), len(events) + step)]
            found = self.store.find(ids)
            events += [found[i] for i in ids if i in found]
            if len(found) < step:
                break
            step = 256
        if not events:
            return None
        return Done(events[-1].position, tuple(r.event for r in events), known=True)

    def draft(self, event: Event, event_id: bytes, now: datetime) -> Draft:
        """*event* as it will be stored, with the envelope of this executor; personal fields sealed."""
        kind, env = event.declared, self.envelope
        system = getattr(event, "system", None)
        if kind.single:
            event_id = derived_id(kind.stream_of(event))  # before sealing: a resend gives the same bytes
        data = stored_bytes(event)
        if kind.personal and self.sealer.fields_of(kind.cls, system):
            plain = orjson.loads(data)
            sealed = self.sealer.seal(kind.cls, event_id, plain)
            data = data if sealed is plain else orjson.dumps(sealed)
        return Draft(
            event_id,
            kind.stream_of(event),
            int(kind.single),
            kind.type,
            kind.key_of(event),
            to_micros(now),
            env.source or (f"/mlife/{system}" if system else "/mlife"),
            env.correlation_id or getattr(event, "iteration_id", None),
            env.causation_id,
            env.actor,
            env.traceparent,
            data,
            hashlib.sha256(data).digest(),
        )


@cache
def input_model(decide: Callable[..., list[Event]]) -> type[BaseModel]:
    """The input of a command as a pydantic model, made from its signature: HTTP body, JSON Schema, CLI check."""
    hints = get_type_hints(decide, include_extras=True)
    fields: dict[str, Any] = {}
    for name, parameter in list(inspect.signature(decide).parameters.items())[1:]:
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[name] = (hints[name], default)
    title = "".join(part.title() for part in decide.__name__.split("_"))
    model: type[BaseModel] = create_model(
        title, __config__=ConfigDict(extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True), **fields
    )
    return model


def check_input(decide: Callable[..., list[Event]], given: Mapping[str, Any]) -> dict[str, Any]:
    """
    The input of a command, checked against its signature.

    Raises:
        Invalid: with one refusal for each field at fault.
    """
    model = input_model(decide)
    try:
        checked = model.model_validate(dict(given))
    except PydanticError as e:
        raise Invalid(f"{decide.__name__} was given input that does not fit", refusals=tuple(explain(e))) from e
    return {name: getattr(checked, name) for name in model.model_fields}


def explain(fault: PydanticError, line: int = 1) -> list[Refusal]:
    """pydantic's errors as refusals."""
    return [
        Refusal(
            line=line,
            field=".".join(str(p) for p in e["loc"]),
            value=shortened(e["input"]) if e["type"] != "missing" else "",
            problem="is missing" if e["type"] == "missing" else e["msg"][:1].lower() + e["msg"][1:],
            expected=_expected(e["ctx"]) if "ctx" in e else "",
        )
        for e in fault.errors(include_url=False)
    ]


def _expected(context: Mapping[str, Any]) -> str:
    return ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in context.items() if k != "error")


def given_for_test(events: Iterable[Event], *, now: datetime, key: str = "test", actor: str = "tester") -> Given:
    """A `Given` over *events* alone: decisions are tested without a store."""
    streams: dict[str, list[Recorded[Event]]] = {}
    for position, e in enumerate(events, 1):
        stream = e.declared.stream_of(e)
        past = streams.setdefault(stream, [])
        draft = Draft(
            derived_id(position), stream, 0, e.declared.type, "", to_micros(now), "/mlife", *(None,) * 4, b"", b""
        )
        past.append(Recorded(position, len(past) + 1, draft, e))
    return Given(lambda stream: streams.get(stream, []), now=now, key=key, actor=actor)
