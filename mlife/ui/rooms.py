"""
The rail: features add their rooms to it, and one of them fills the box that shows where this iteration stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from starlette.requests import Request

from mlife.core.errors import Misconfigured

Count = Callable[[Request], int | str | None]


@dataclass(frozen=True, slots=True)
class RailEntry:
    """
    One room. Its count is asked on every page and on every refresh of the rail, so it must be quick.

    Args:
        opens: the page of the room that it opens on; None: that at *href*.
    """

    label: str
    href: str
    order: int
    count: Count | None = None
    opens: str | None = None

    @property
    def door(self) -> str:
        """The address of the page that the room opens on."""
        return self.opens or self.href

    @property
    def key(self) -> str:
        """What tells the entry's element from others."""
        return self.href.strip("/").replace("/", "-") or "home"

    def is_here(self, path: str) -> bool:
        """Whether *path* is in this room."""
        return path == self.href or (self.href != "/" and path.startswith(self.href.rstrip("/") + "/"))


@dataclass(frozen=True, slots=True)
class Step:
    """
    One step of the iteration.

    Args:
        word: what it says, e.g. `340 of 400 rows collected`.
        state: `done`, `now`, `wrong` or `ahead`.
        href: where it leads.
        share: progress in [0, 1] of a step that runs.
    """

    word: str
    state: str = "ahead"
    href: str | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Iteration:
    """What the box shows: a name, where it leads, the steps in their order."""

    title: str
    href: str | None = None
    steps: Sequence[Step] = field(default=())


IterationBox = Callable[[Request], Iteration | None]
UnderWay = Callable[[Request], Sequence[Step]]
_entries: dict[str, RailEntry] = {}
_box: dict[str, IterationBox] = {}
_under_way: dict[str, UnderWay] = {}


def rail(label: str, href: str, *, order: int, count: Count | None = None, opens: str | None = None) -> None:
    """
    Add a room to the rail.

    Raises:
        Misconfigured: another room has this address.
    """
    entry = RailEntry(label, href, order, count, opens)
    known = _entries.setdefault(href, entry)
    if known != entry:
        raise Misconfigured(f"rail entry {href!r} is {known.label!r} already", remedy="choose another address")


def iteration_box(ask: IterationBox) -> IterationBox:
    """
    Let *ask* fill the box "This iteration"; None from it means that there is none. A decorator.

    Raises:
        Misconfigured: the box is taken.
    """
    if _box.setdefault("ask", ask) is not ask:
        raise Misconfigured(f"the iteration box belongs to {_box['ask'].__module__} already", remedy="keep one of them")
    return ask


def under_way(ask: UnderWay) -> UnderWay:
    """
    Let *ask* tell what runs at this moment, as steps with their share; the box shows them. A decorator.

    Asked on every page and on every refresh of the rail, so it must be quick.
    """
    _under_way[f"{ask.__module__}.{ask.__qualname__}"] = ask
    return ask


def entries() -> list[RailEntry]:
    """The rooms from top to bottom."""
    return sorted(_entries.values(), key=lambda e: (e.order, e.label))


def counts(request: Request) -> dict[str, int | str | None]:
    """Each room's count by its key."""
    return {e.key: e.count(request) if e.count else None for e in _entries.values()}


def iteration(request: Request) -> Iteration | None:
    """Where this iteration stands, and what runs now; None when nothing does and none is open."""
    found = _box["ask"](request) if "ask" in _box else None
    running = [step for ask in _under_way.values() for step in ask(request)]
    if not running:
        return found
    if found is None:
        return Iteration("No iteration is open", None, running)
    at = next((n + 1 for n, step in enumerate(found.steps) if step.state == "now"), len(found.steps))
    return replace(found, steps=[*found.steps[:at], *running, *found.steps[at:]])
