"""
A feature made for tests of the kernel: toys are made, painted, and seen broken.

Its tables and handlers are in force only inside `only_toys()`, so that no other test meets them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Column, Index, Integer, Select, Table, Text, select

from mlife import runtime
from mlife.core import handler as handling
from mlife.core.command import Given, State
from mlife.core.errors import Refused
from mlife.core.events import Event, Personal, Recorded, event
from mlife.core.handler import handlers, timers
from mlife.core.ports import iterate
from mlife.core.projection import Projection, Tx, projections
from mlife.core.tables import Moment, TextIndex, metadata
from mlife.runtime import Home, Settings, settings


@event("mlife.toy.made", stream="toy/{toy_id}", key="toy_id", topic="mlife.toys")
class ToyMade(Event):
    toy_id: str
    name: str
    wake_at: datetime | None = None


@event("mlife.toy.painted", stream="toy/{toy_id}", key="toy_id", topic="mlife.toys")
class ToyPainted(Event):
    toy_id: str
    colour: str


@event("mlife.toy.woken", stream="toy/{toy_id}", key="toy_id", topic="mlife.toys")
class ToyWoken(Event):
    toy_id: str


@event("mlife.toy.reported", stream="toyreport/{uid}", key="toy_id", single=True, topic="mlife.toys")
class ToyReported(Event):
    uid: str
    toy_id: str
    system: str = "nursery"
    reporter: Annotated[str | None, Personal] = None
    client: Annotated[str | None, Personal] = None
    fields: Annotated[dict[str, Any], Personal] = Field(default_factory=dict)


class Toy(State):
    category = "toy"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.colours: list[str] = []
        self.awake = False

    def apply(self, event: Event) -> None:
        if isinstance(event, ToyPainted):
            self.colours.append(event.colour)
        self.awake = self.awake or isinstance(event, ToyWoken)


def make(given: Given, *, name: str, wake_at: datetime | None = None) -> list[Event]:
    return [ToyMade(toy_id=given.new_id("toy"), name=name, wake_at=wake_at)]


def paint(given: Given, *, toy_id: str, colour: str, at_most: int = 1_000) -> list[Event]:
    if len(given(Toy, toy_id).colours) >= at_most:
        raise Refused(f"toy {toy_id} has {at_most} colours already", remedy="keep it as it is")
    return [ToyPainted(toy_id=toy_id, colour=colour)]


def report(
    given: Given,
    *,
    uid: str,
    toy_id: str,
    reporter: str | None = None,
    client: str | None = None,
    system: str = "nursery",
    fields: dict[str, Any] | None = None,
) -> list[Event]:
    return [ToyReported(uid=uid, toy_id=toy_id, reporter=reporter, client=client, system=system, fields=fields or {})]


def wake(given: Given, *, toy_id: str) -> list[Event]:
    return [] if given(Toy, toy_id).awake else [ToyWoken(toy_id=toy_id)]


toy_rows = Table(
    "toy_rows",
    metadata,
    Column("toy_id", Text, primary_key=True),
    Column("name", Text),
    Column("coats", Integer),
    Column("first_position", Integer),
    Column("last_position", Integer),
    Column("wake_at", Moment),
    Index("toy_rows_by_name", "name"),
)
toy_text = TextIndex("toy_text")
broken_rows = Table("broken_rows", metadata, Column("toy_id", Text, primary_key=True), Column("reports", Integer))

toys = Projection("toys", version=1, tables=[toy_rows], texts=[toy_text])
broken = Projection("broken", version=1, tables=[broken_rows])
for _made in (toys, broken):
    projections.pop(_made.name)

POISON = "poison"
"""A toy of this name can't be folded by `toys` while it is on `unfoldable`."""
unfoldable: set[str] = set()


@toys.on(ToyMade, ToyPainted, ToyWoken)
def fold_toys(run: Sequence[Recorded[Any]], tx: Tx) -> None:
    for r in run:
        e = r.event
        if isinstance(e, ToyMade):
            if e.name in unfoldable:
                raise ZeroDivisionError(e.name)
            row = {"toy_id": e.toy_id, "name": e.name, "coats": 0, "first_position": r.position}
            tx.insert(toy_rows, [{**row, "last_position": r.position, "wake_at": e.wake_at and micros(e.wake_at)}])
            tx.index_text(toy_text, [(r.position, e.name)])
        elif isinstance(e, ToyPainted):
            tx.add(toy_rows, [{"toy_id": e.toy_id, "coats": 1, "last_position": r.position}])
        else:
            tx.update(toy_rows, [{"toy_id": e.toy_id, "wake_at": None}])


@broken.on(ToyReported)
def fold_broken(run: Sequence[Recorded[ToyReported]], tx: Tx) -> None:
    tx.add(broken_rows, [{"toy_id": r.event.toy_id, "reports": 1} for r in run])


def micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def due(now: datetime) -> Select[Any]:
    return select(toy_rows.c.toy_id, toy_rows.c.wake_at).where(toy_rows.c.wake_at <= now)


@contextmanager
def only_toys() -> Iterator[None]:
    """The registries hold the toys' projections, and no handler and no timer yet."""
    before = [(registry, dict(registry)) for registry in (projections, handlers, timers)]
    for registry, _ in before:
        registry.clear()
    projections.update({p.name: p for p in (toys, broken)})
    unfoldable.clear()
    try:
        yield
    finally:
        for registry, entries in before:
            registry.clear()
            registry.update(entries)


def handles(name: str, *, on: type[Event] = ToyMade, latest_per: Any = None) -> Callable[[Any], Any]:
    """`@handler` for a function of a test; a second one of the same name takes the place of the first."""
    handlers.pop(name, None)
    return handling.handler(name, on=on, latest_per=latest_per)


def wire_toys(folder: Path, personal: dict[str, frozenset[str]] | None = None, *, store: str | None = None) -> Home:
    """An opened home that knows toys only, its log in *folder* or where *store* says; the caller closes it."""
    told = settings(folder, config=folder / "no.toml", store=store)
    told = Settings(**{**vars(told), "personal": personal or {}})
    load, runtime.load_features = runtime.load_features, lambda rooms: None
    try:
        return runtime.wire(told)
    finally:
        runtime.load_features = load


def made(home: Home, *names: str) -> list[str]:
    return [home.do(make, name=name).first(ToyMade).toy_id for name in names]


def colours(home: Home) -> list[tuple[str, str]]:
    return [(r.event.toy_id, r.event.colour) for r in iterate(home.ports.store) if isinstance(r.event, ToyPainted)]


def names(home: Home) -> list[str]:
    with home.ports.views.read() as read:
        return [r[0] for r in read.all(select(toy_rows.c.name).order_by(toy_rows.c.first_position))]


def state(home: Home, name: str = "toys") -> tuple[str, int]:
    standing = home.ports.views.prepare(projections[name])
    return standing.state, standing.position
