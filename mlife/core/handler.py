"""
Handlers: what follows from a fact.

    @handler("training.draft_task", on=DocumentGrouped)
    def draft_task(fact: Recorded[DocumentGrouped], do: Do) -> None:
        do(training.draft_task, task_id=fact.event.task_id, ...)

A handler may run twice and must not matter twice: ids of what it causes are derived from handler, cause and ordinal, so
a command that was carried out before is not decided again. What fails is retried, then its partition key is parked.
A timer is the same for a moment that has come: due rows of a projection, asked by whoever holds the runner lock.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol

from mlife.core.command import Decision, Done, Executor
from mlife.core.errors import Misconfigured
from mlife.core.events import Event, Recorded
from mlife.core.ports import Blobs, EventStore, Locks, Models
from mlife.core.projection import Reader, Views

if TYPE_CHECKING:
    from sqlalchemy import Select

    from mlife.core.tables import AnyRow

P = ParamSpec("P")
log = logging.getLogger("mlife.handler")


@dataclass(frozen=True)
class Ports:
    """
    The outside world, as `mlife.runtime` wired it.

    Args:
        extra: ports of features and plug-ins by name, e.g. `target`.
    """

    store: EventStore
    views: Views
    blobs: Blobs
    locks: Locks
    models: Models
    extra: dict[str, Any] = field(default_factory=dict)


class Do:
    """What a handler may do: carry out commands in the name of its fact, and look at the query tables."""

    def __init__(self, executor: Executor, ports: Ports, key: str, position: int = 0) -> None:
        self._executor = executor
        self.ports = ports
        self._key = key
        self._position = position
        self._calls = 0

    def __call__(self, decide: Decision[P], *args: P.args, **input: P.kwargs) -> Done:
        """Carry out a command; the same call of the same fact is carried out once."""
        self._calls += 1
        return self._executor.under(f"{self._key}:{self._calls}", decide, *args, **input)

    def open(self, value: Any) -> Any:
        """*value* of an event with sealed texts readable again."""
        return self._executor.sealer.open(value)

    @property
    def now(self) -> datetime:
        """The time that commands carried out here are recorded at."""
        return self._executor.envelope.at or self._executor.clock.now()

    def read(self) -> AbstractContextManager[Reader]:
        """
        The query tables; they have folded the fact already.

        Raises:
            Unavailable: from a statement that uses a projection which stopped before it; the handler is tried again.
        """
        return self.ports.views.read(min_position=self._position, timeout=0.0)


@dataclass(frozen=True)
class Handler:
    """A registered handler; see `handler`."""

    name: str
    types: frozenset[str]
    run: Callable[[Recorded[Any], Do], None]
    latest_per: Callable[[Recorded[Any]], str] | None
    is_slow: bool = False

    def takes(self, type_name: str) -> bool:
        """Does it handle events of this (versioned) type?"""
        return type_name.rsplit(".v", 1)[0] in self.types

    def facts(self, events: Sequence[Recorded[Event]]) -> list[Recorded[Event]]:
        """Those of consecutive *events* that it must see, in order; with `latest_per` the last of each key."""
        taken = {t for t in {r.draft.type for r in events} if self.takes(t)}
        mine = [r for r in events if r.draft.type in taken] if taken else []
        return mine if self.latest_per is None else sorted(self._latest(mine).values(), key=lambda r: r.position)

    def _latest(self, mine: Sequence[Recorded[Event]]) -> dict[object, Recorded[Event]]:
        assert self.latest_per is not None
        latest: dict[object, Recorded[Event]] = {}
        for r in mine:
            try:
                key: object = self.latest_per(r)
            except Exception:
                log.exception("handler %s can't tell what %r is one of: it is handled by itself", self.name, r)
                key = r.position
            latest[key] = r
        return latest


@dataclass(frozen=True)
class Timer:
    """A registered timer; see `timer`."""

    name: str
    due: Callable[[datetime], Select[Any]]
    run: Callable[[AnyRow, Do], None]


handlers: dict[str, Handler] = {}
timers: dict[str, Timer] = {}


def handler(
    name: str,
    *,
    on: type[Event] | tuple[type[Event], ...],
    latest_per: Callable[[Recorded[Any]], str] | None = None,
    slow: bool = False,
) -> Callable[[Callable[[Recorded[Any], Do], None]], Callable[[Recorded[Any], Do], None]]:
    """
    Register a function as the handler of event classes.

    Args:
        name: `<feature>.<verb>`; part of the ids of what it causes, so never rename it.
        on: the event class or classes.
        latest_per: for facts that come in floods (reports): of several facts with the same value, handle the last.
            The handler then looks at the query tables, and what it decides must depend on them and not on the fact.
        slow: it waits for others' machines. Such handlers have a thread of their own, so that nothing else waits.

    Raises:
        Misconfigured: another function has the name.
    """
    classes = on if isinstance(on, tuple) else (on,)

    def declare(run: Callable[[Recorded[Any], Do], None]) -> Callable[[Recorded[Any], Do], None]:
        _unique(name, handlers, run)
        handlers[name] = Handler(name, frozenset(c.declared.name for c in classes), run, latest_per, slow)
        return run

    return declare


def timer(
    name: str, *, due: Callable[[datetime], Select[Any]]
) -> Callable[[Callable[[AnyRow, Do], None]], Callable[[AnyRow, Do], None]]:
    """
    Register what happens when a row of a projection comes due.

    Args:
        due: from the time to a query whose rows are due. The row's values are part of the derived ids, so select only
            what names the occasion (a key and its due time). What the timer does must make the row go away.
    """

    def declare(run: Callable[[AnyRow, Do], None]) -> Callable[[AnyRow, Do], None]:
        _unique(name, timers, run)
        timers[name] = Timer(name, due, run)
        return run

    return declare


def _unique(name: str, table: Any, run: Callable[..., None]) -> None:
    other = table.get(name)
    if other is not None:
        raise Misconfigured(
            f"{run.__module__}.{run.__qualname__} and {other.run.__module__}.{other.run.__qualname__} "
            f"are both called {name}",
            remedy="rename one of them",
        )


def acting(executor: Executor, ports: Ports, name: str, fact: Recorded[Event]) -> Do:
    """The `Do` of handler *name* for *fact*: its commands carry the fact as cause and share its correlation."""
    own = executor.as_(actor=f"handler {name}", causation_id=fact.draft.id, correlation_id=fact.draft.correlation_id)
    if fact.draft.source.endswith("/simulation"):  # what follows from simulated time happens in it
        own = own.as_(source=fact.draft.source, at=fact.time)
    return Do(own, ports, f"{name}:{uuid.UUID(bytes=fact.draft.id)}", fact.position)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """
    A fact that a handler could not handle, or that waits behind one of the same key.

    Args:
        attempts: how often it was tried; 0 for one that waits.
        error: why the last try failed; empty for one that waits.
        retry: a person asked for another try.
    """

    handler: str
    key: str
    position: int
    attempts: int
    error: str
    retry: bool = False


class HandlerBook(Protocol):
    """Where handlers stand, what was tried, and what is parked; beside the query tables."""

    def positions(self) -> dict[str, int]:
        """Checkpoint of every handler that ever ran."""

    def move(self, positions: dict[str, int]) -> None:
        """Move checkpoints on, never back, and forget the attempts at facts up to them, parked ones excepted."""

    def attempt(self, handler: str, position: int, change: int = 1) -> int:
        """Count a try *before* it is made, so that a crash counts (-1: it was none); how many that makes."""

    def park(self, letter: DeadLetter) -> None:
        """
        Keep a dead letter. One that was tried replaces what was known of it, and no letter of its key is to be
        retried any more; one that waits changes nothing if it is known.
        """

    def letters(self, handler: str = "", key: str | None = None) -> list[DeadLetter]:
        """Dead letters (of a handler, of a key) in position order."""

    def due(self) -> list[tuple[str, str]]:
        """
        Handlers and keys to be tried again, in order of their first letters.

        A person asked for it, or the letter that the others wait for is gone.
        """

    def parked_keys(self, handler: str) -> set[str]:
        """Keys of which later facts must wait."""

    def ask_retry(self, handler: str, key: str) -> int:
        """Mark the letters of a key to be tried again; how many there are."""

    def unpark(self, handler: str, position: int) -> None:
        """The fact is dealt with: forget the letter and its attempts."""
