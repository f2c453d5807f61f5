"""
The query tables on a database of SQL: everything that does not depend on which one.

Which generation of a projection's tables a reader sees is read in its own transaction (ADR 0004).
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar

from sqlalchemy import Connection, Engine, Executable, event, text

from mlife.adapters.views_sql.generations import (
    Names,
    Rewriter,
    all_standings,
    key_of,
    named,
    names_of,
    ours,
    physical_name,
    plain_names,
)
from mlife.core.errors import Conflict, Unavailable
from mlife.core.events import Event, Recorded
from mlife.core.folding import without_gc
from mlife.core.projection import Projection, Standing, Tx, projections
from mlife.core.tables import AnyRow

THIS = "name = :name AND version = :version AND generation = :generation"

ENTER = text(
    "INSERT INTO checkpoints (name, version, generation, position, state) "
    "VALUES (:name, :version, :generation, 0, :state)"
)
MOVE = text(f"UPDATE checkpoints SET position = :to WHERE {THIS} AND position = :position AND state = :state")
STOP = text(
    f"UPDATE checkpoints SET state = 'stopped', error = :error WHERE {THIS} AND position = :position AND state = :state"
)
CLEAR = text(
    "UPDATE checkpoints SET state = 'live', error = '' WHERE name = :name AND version = :version AND state = 'stopped'"
)
SET_STATE = text(f"UPDATE checkpoints SET state = :state, error = '' WHERE {THIS}")
FORGET = text(f"DELETE FROM checkpoints WHERE {THIS}")


class SqlViews(ABC):
    """
    `Views` on a database of SQL; each adds how it is connected, how its tables are made, and how rows are written.

    Attributes:
        WAITS: seconds between looks of one who waits for a position, at first and at most.
    """

    WAITS: ClassVar[tuple[float, float]]

    def __init__(self) -> None:
        self._moved = threading.Condition()
        self._rewriter = Rewriter()

    # --- what each database does in its own way ---

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Connection]:
        """A transaction that sees one moment, whatever is written meanwhile."""

    @abstractmethod
    def _writing(self, standing: Standing | None = None) -> AbstractContextManager[Connection]:
        """A transaction that writes: rows of *standing*, or what generations there are, one writer of those at once."""

    @abstractmethod
    def _tx(self, c: Connection, standing: Standing) -> AbstractContextManager[Tx]:
        """How a projection writes rows of *standing* in the transaction of *c*; all are written after the block."""

    @abstractmethod
    def _asking(self) -> AbstractContextManager[None]:
        """Around a reader's question: a value that no column can hold is Invalid, an outage is told in words."""

    @abstractmethod
    def _live(self, c: Connection) -> list[Standing]:
        """The generations that this program reads, which stay there until the transaction of *c* ends."""

    @abstractmethod
    def _hold(self, c: Connection, standings: Sequence[Standing]) -> None:
        """See that the reading transaction of *c* has begun, and that the tables of *standings* outlive it."""

    @abstractmethod
    def _create(self, c: Connection, projection: Projection, standing: Standing) -> None:
        """Make the tables of a generation."""

    @abstractmethod
    def _index(self, c: Connection, projection: Projection, standing: Standing) -> None:
        """Make the indexes of a generation, where they are missing."""

    @abstractmethod
    def _check(self, c: Connection, projection: Projection, standing: Standing) -> None:
        """
        See that a generation has the tables that this program declares.

        Raises:
            Misconfigured: a table was changed, and the projection's version was not raised.
        """

    @abstractmethod
    def _drop(self, c: Connection, standing: Standing) -> None:
        """Have a generation gone, its checkpoint and its tables."""

    @abstractmethod
    def _compared(self, projection: Projection, name: str) -> str:
        """What is selected of the table *name* to compare its rows."""

    def _listen(self, engine: Engine) -> None:
        """Have *engine* read and write physical tables where statements name plain ones."""
        event.listen(engine, "before_cursor_execute", self._rename, retval=True)

    def _rename(self, c: Any, cursor: Any, sql: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        names: Names | None = c.info.get("names")
        return (sql if names is None else self._rewriter.rewrite(sql, names)), parameters

    # --- reading ---

    @contextmanager
    def read(self, *, min_position: int = 0, timeout: float = 5.0) -> Iterator[SqlReader]:
        """See `Views.read`."""
        deadline = time.monotonic() + timeout
        wait, longest = self.WAITS
        while True:
            with self._reading() as c:
                live = self._live(c)
                if len(live) == len(projections):
                    moving = min((s.position for s in live if s.state == "live"), default=min_position)
                    if moving >= min_position:
                        with _meaning(c, names_of(live, min_position)):
                            yield SqlReader(c, min((s.position for s in live), default=0), self._asking)
                        return
            if len(live) < len(projections):
                self._prepare_all(live)
                continue
            if time.monotonic() > deadline:
                slow = min((s for s in live if s.state == "live"), key=lambda s: s.position)
                raise Unavailable(
                    f"projection {slow.name} is at position {slow.position}, not yet {min_position}",
                    remedy="ask again; `mlife projection status` shows who lags",
                )
            with self._moved:
                self._moved.wait(wait)
            wait = min(1.5 * wait, longest)

    def _prepare_all(self, live: Sequence[Standing]) -> None:
        """Make what a new home, or a newly installed feature, lacks; a query on it finds empty tables, not none."""
        for projection in projections.values():
            if projection.name not in {s.name for s in live}:
                self.prepare(projection)

    def notify(self) -> None:
        """See `Views.notify`."""
        with self._moved:
            self._moved.notify_all()

    def standings(self) -> list[Standing]:
        """See `Views.standings`."""
        with self._reading() as c:
            return all_standings(c)

    # --- generations ---

    def prepare(self, projection: Projection) -> Standing:
        """See `Views.prepare`."""
        with self._reading() as c:
            for s in ours(all_standings(c)):
                if s.name == projection.name:
                    self._check(c, projection, s)
                    return s
        return self._make(projection, "live")

    def new_generation(self, projection: Projection) -> Standing:
        """See `Views.new_generation`."""
        return self._make(projection, "filling")

    def _make(self, projection: Projection, state: str) -> Standing:
        with self._writing() as c:
            mine = [s for s in all_standings(c) if (s.name, s.version) == (projection.name, projection.version)]
            if state == "live":
                for s in mine:
                    if s.state in ("live", "stopped"):
                        return s  # another process was faster
            standing = Standing(
                projection.name, projection.version, 1 + max((s.generation for s in mine), default=0), 0, state
            )
            c.execute(ENTER, {**named(standing), "state": state})
            self._create(c, projection, standing)
            if state == "live":
                self._index(c, projection, standing)
            return standing

    def finish(self, projection: Projection, standing: Standing) -> None:
        """See `Views.finish`."""
        with self._writing(standing) as c:
            self._index(c, projection, standing)

    def flip(self, standing: Standing) -> None:
        """See `Views.flip`."""
        with self._writing() as c:
            mine = [s for s in all_standings(c) if (s.name, s.version) == (standing.name, standing.version)]
            live = [s for s in mine if s.state in ("live", "stopped") and s.generation != standing.generation]
            if standing.generation not in {s.generation for s in mine}:
                raise Conflict(f"generation {standing.generation} of {standing.name}", standing.position, -1)
            for s in live:
                c.execute(SET_STATE, {**named(s), "state": "old"})
            c.execute(SET_STATE, {**named(standing), "state": "live"})
            kept = {standing.generation, *(s.generation for s in live)}
            for s in mine:
                if s.generation not in kept and s.state == "old":
                    self._drop(c, s)
        self.notify()

    def discard(self, standing: Standing) -> None:
        """See `Views.discard`."""
        with self._writing() as c:
            self._drop(c, standing)

    # --- folding ---

    def apply(self, projection: Projection, standing: Standing, events: Sequence[Recorded[Event]], to: int) -> Standing:
        """See `Views.apply`."""
        with self._writing(standing) as c, without_gc():
            moved = c.execute(
                MOVE, {**named(standing), "to": to, "position": standing.position, "state": standing.state}
            )
            if moved.rowcount != 1:
                raise Conflict(f"checkpoint of {standing.name}", standing.position, -1)
            if events:
                with _meaning(c, names_of([standing])), self._tx(c, standing) as tx:
                    projection.apply(events, tx)
        return Standing(*key_of(standing), to, standing.state)

    def stop(self, standing: Standing, error: str) -> None:
        """See `Views.stop`."""
        with self._writing(standing) as c:
            stopped = c.execute(
                STOP, {**named(standing), "error": error, "position": standing.position, "state": standing.state}
            )
            if stopped.rowcount != 1:
                raise Conflict(f"checkpoint of {standing.name}", standing.position, -1)
        self.notify()

    def clear(self, projection: Projection) -> None:
        """See `Views.clear`."""
        with self._writing() as c:
            c.execute(CLEAR, {"name": projection.name, "version": projection.version})

    @contextmanager
    def comparing(self, projection: Projection, left: Standing, right: Standing) -> Iterator[Callable[[], list[str]]]:
        """See `Views.comparing`."""
        with self._reading() as c:
            self._hold(c, (left, right))
            yield lambda: self._differences(c, projection, left, right)

    def _differences(self, c: Connection, projection: Projection, left: Standing, right: Standing) -> list[str]:
        found: list[str] = []
        for name in plain_names(projection):
            columns = self._compared(projection, name)
            for here, there, word in ((left, right, "is not in"), (right, left, "is only in")):
                rows = c.exec_driver_sql(
                    f"SELECT {columns} FROM {physical_name(name, here)} "
                    f"EXCEPT SELECT {columns} FROM {physical_name(name, there)} LIMIT 5"
                )
                found += [f"{name}: {tuple(row)} {word} the fresh replay" for row in rows]
        return found


@contextmanager
def _meaning(c: Connection, names: Names) -> Iterator[None]:
    """Plain names in statements of *c* mean *names* inside the block."""
    info = c.info  # kept: a connection that breaks inside can't be asked for it any more
    info["names"] = names
    try:
        yield
    finally:
        info.pop("names", None)


class SqlReader:
    """See `Reader`."""

    def __init__(self, c: Connection, position: int, asking: Callable[[], AbstractContextManager[None]]) -> None:
        self._c = c
        self._asking = asking
        self.position = position

    def all(self, statement: Executable) -> Sequence[AnyRow]:
        """See `Reader.all`."""
        with self._asking():
            return self._c.execute(statement).all()

    def one(self, statement: Executable) -> AnyRow | None:
        """See `Reader.one`."""
        with self._asking():
            return self._c.execute(statement).first()

    def value(self, statement: Executable) -> Any:
        """See `Reader.value`."""
        row = self.one(statement)
        return None if row is None else row[0]

    def parts(self, statement: Executable, size: int) -> Iterator[Sequence[AnyRow]]:
        """See `Reader.parts`."""
        with self._asking(), self._c.execute(statement, execution_options={"yield_per": size}) as rows:
            yield from rows.partitions()
