"""
Projections: query tables that are folded from the log and can be thrown away.

A projection takes *runs* of consecutive events, in position order, mixed types as they come. It changes its tables
through `Tx` and nothing else; the runner moves its checkpoint in the same transaction. It reads no clock and no
network, and it never rejects a fact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mlife.core.errors import Misconfigured
from mlife.core.events import Event, Recorded

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Executable, Table

    from mlife.core.tables import AnyRow, TextIndex

Fold = Callable[[Sequence[Recorded[Any]], "Tx"], None]


class Tx(Protocol):
    """
    One transaction on the query tables, as a projection sees it.

    Rows are plain mappings of column name to stored value (moments as microseconds). Every write folds duplicates of
    a key and sorts by key first, so that two workers never deadlock and one statement writes many rows.
    """

    def insert(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """New rows whose keys can't exist yet."""

    def insert_missing(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """New rows, where the key does not exist; the first of equal keys wins."""

    def upsert(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """Rows by primary key: new, or with the columns given here replaced; the last of equal keys wins."""

    def update(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """Change the columns given beside the primary key, where the row exists; applied in order."""

    def add(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """
        Fold into rows by primary key: numbers are added, `first_…` columns keep the smallest, `last_…` the greatest.

        Every row must give the same columns. A missing row is made of the values given.
        """

    def delete(self, table: Table, where: ColumnElement[bool]) -> None:
        """Remove rows."""

    def index_text(self, index: TextIndex, texts: Iterable[tuple[int, str]]) -> None:
        """Set the text of each integer key; a later text of a key replaces the earlier."""

    def execute(self, statement: Executable) -> Sequence[AnyRow]:
        """Any other statement (SQLAlchemy Core) over the projection's own tables; rows if it returns any."""


class Projection:
    """
    A named fold of the log into tables.

    Args:
        name: plain and unique.
        version: raise it when tables or folding change; the new version is built beside the old one.
        tables: the SQLAlchemy tables it owns.
        texts: the text indexes it owns.
    """

    def __init__(self, name: str, *, version: int, tables: Sequence[Table], texts: Sequence[TextIndex] = ()) -> None:
        self.name, self.version, self.tables, self.texts = name, version, tuple(tables), tuple(texts)
        self._folds: dict[str, Fold] = {}
        if name in projections:
            raise Misconfigured(f"two projections are called {name}", remedy="rename one of them")
        projections[name] = self

    def on(self, *classes: type[Event]) -> Callable[[Fold], Fold]:
        """Register the fold of these event classes; a run holds consecutive events of its classes, mixed."""

        def declare(fold: Fold) -> Fold:
            for cls in classes:
                if cls.declared.name in self._folds:
                    other = self._folds[cls.declared.name].__name__
                    raise Misconfigured(
                        f"projection {self.name} folds {cls.declared.name} twice: {other} and {fold.__name__}",
                        remedy="one function for each event class",
                    )
                self._folds[cls.declared.name] = fold
            return fold

        return declare

    def takes(self, type_name: str) -> bool:
        """Does it fold events of this (versioned) type?"""
        return type_name.rsplit(".v", 1)[0] in self._folds

    def fold_of(self, name: str) -> Fold | None:
        """The function that folds the events called *name* (without version), if there is one."""
        return self._folds.get(name)

    def apply(self, events: Sequence[Recorded[Event]], tx: Tx) -> None:
        """Fold consecutive events, each maximal run of one function's classes by one call."""
        for fold, run in self._runs(events):
            fold(run, tx)

    def _runs(self, events: Sequence[Recorded[Event]]) -> Iterator[tuple[Fold, list[Recorded[Event]]]]:
        current: Fold | None = None
        run: list[Recorded[Event]] = []
        folds = {t: self._folds.get(t.rsplit(".v", 1)[0]) for t in {r.draft.type for r in events}}
        for recorded in events:
            fold = folds[recorded.draft.type]
            if fold is None:
                continue
            if fold is not current and current is not None:
                yield current, run
                run = []
            current = fold
            run.append(recorded)
        if current is not None:
            yield current, run


projections: dict[str, Projection] = {}
"""Every projection by its name, filled as features are imported."""


@dataclass(frozen=True, slots=True)
class Standing:
    """
    Where one generation of a projection stands.

    Args:
        state: `live`, `filling`, `old` (kept for rollback) or `stopped` (met an event it could not fold).
        error: of a stopped one: what happened and where.
    """

    name: str
    version: int
    generation: int
    position: int
    state: str
    error: str = ""


class Reader(Protocol):
    """A consistent look at the live query tables."""

    position: int
    """Every projection has folded the log at least up to here."""

    def all(self, statement: Executable) -> Sequence[AnyRow]:
        """The rows of *statement*."""

    def one(self, statement: Executable) -> AnyRow | None:
        """The first row of *statement*, or None."""

    def value(self, statement: Executable) -> Any:
        """The first column of the first row, or None."""

    def parts(self, statement: Executable, size: int) -> Iterator[Sequence[AnyRow]]:
        """The rows of *statement*, *size* at a time: what memory they take does not grow with their number."""


class Views(Protocol):
    """The query tables: read by everybody, written by the runner."""

    def read(self, *, min_position: int = 0, timeout: float = 5.0) -> AbstractContextManager[Reader]:
        """
        One read transaction on the live generations.

        Raises:
            Unavailable: after *timeout* seconds some projection has not passed *min_position*. One that is stopped
                before it does not keep the others' readers waiting: the statement that uses its tables raises.
        """

    def standings(self) -> list[Standing]:
        """Every generation of every projection."""

    def prepare(self, projection: Projection) -> Standing:
        """The live generation of this program's version, made empty (and live, if it is the first) if it is missing."""

    def new_generation(self, projection: Projection) -> Standing:
        """An empty generation beside the live one, without indexes."""

    def finish(self, projection: Projection, standing: Standing) -> None:
        """Make the indexes of a filled generation."""

    def flip(self, standing: Standing) -> None:
        """Make a generation the live one; the one before stays for rollback, older ones are dropped."""

    def discard(self, standing: Standing) -> None:
        """Drop a generation that is not live."""

    def apply(self, projection: Projection, standing: Standing, events: Sequence[Recorded[Event]], to: int) -> Standing:
        """Fold *events* and move the checkpoint to *to*, in one transaction fenced by the old position."""

    def stop(self, standing: Standing, error: str) -> None:
        """Mark a generation as stopped, with the reason; fenced by position and state like `apply`."""

    def clear(self, projection: Projection) -> None:
        """Forget why it stopped: the runner tries again."""

    def notify(self) -> None:
        """Tell readers of this process that checkpoints moved."""

    def comparing(
        self, projection: Projection, left: Standing, right: Standing
    ) -> AbstractContextManager[Callable[[], list[str]]]:
        """
        A look at two generations as they are now, whatever is written meanwhile.

        The value, called inside the block, gives the differences row by row, as sentences; none when they are equal.
        """
