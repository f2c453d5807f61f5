"""
Moving house: log, files, sealing keys and handlers' book of one home into another, and the proof that both are equal.

Both sides are known by their ports alone, so every pair of sizes moves the same way, in both directions. The query
tables are not moved: they are made anew from the log. A move that was killed is begun again and goes on: what the
target has is proved to be the beginning of the source first.

At the end, with the source's writer lock held, the last events follow; then the source is closed to writers for good.
So no event that anybody was told is written stays behind, however many processes still have the source open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from mlife.core.errors import Refused
from mlife.core.events import Event, Recorded
from mlife.core.handler import HandlerBook
from mlife.core.moving.files import Files, Shelf, copy_files, not_there
from mlife.core.moving.log import Trail
from mlife.core.moving.small import KeyRing, copy_book, copy_keys
from mlife.core.ports import EventStore, Locks

__all__ = ["Equal", "House", "Sign", "Signpost", "compare", "move"]

CLOSE_ENOUGH = 500
"""Events that may be left to copy while writers wait."""

CHASES = 20
"""How often the source's head is chased before its writers are made to wait, should they be as fast as the copying."""

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, done, total)."""


def silent(what: str, done: int, total: int) -> None:
    """Show no progress."""


@dataclass(frozen=True, slots=True)
class Sign:
    """
    What stands on a home's door.

    Args:
        state: `moved`: its log takes no events any more; `arriving`: another home is being copied into it.
        place: the other home, without secrets.
    """

    state: Literal["moved", "arriving"]
    place: str


class Signpost(Protocol):
    """Where a home's sign is kept: beside its log, so that it goes wherever the log goes."""

    def read(self) -> Sign | None:
        """The sign, or None."""

    def put(self, sign: Sign) -> None:
        """
        Put *sign* in place of any other, durably.

        From `moved` on the store itself refuses new events, whatever process brings them, also one that had opened the
        log before.
        """

    def take_down(self) -> None:
        """Be an ordinary home again."""


@dataclass(frozen=True)
class House:
    """
    What a home keeps.

    Args:
        name: the log's URL without secrets.
        names_files: the SHA-256 of each file whose bytes an event says are stored.
        busy: who publishes or follows its log now, in words; empty if nobody is known to.
    """

    name: str
    store: EventStore
    files: Shelf
    keys: KeyRing
    book: HandlerBook
    locks: Locks
    sign: Signpost
    names_files: Callable[[Recorded[Event]], Iterable[str]] = lambda _: ()
    busy: Callable[[], str] = lambda: ""


@dataclass(frozen=True)
class Equal:
    """
    What was found to be equal.

    Args:
        events: positions 1 to this. digest: SHA-256 over all of them, the same on both sides; see `Trail`.
        copied: events that were not there before. seconds: that it took to copy and read back these.
        missing: files that the log names and the source does not have.
        keys, handlers, letters: how many were copied.
        more: events that the target has beyond the source (after it went on living there).
    """

    events: int
    digest: str
    files: Files
    copied: int = 0
    seconds: float = 0.0
    missing: tuple[str, ...] = ()
    keys: int = 0
    handlers: int = 0
    letters: int = 0
    more: int = 0
    different: tuple[str, ...] = field(default=())


def move(source: House, target: House, *, tell: Progress = silent, move_files: bool = True) -> Equal:
    """
    Copy what *source* keeps into *target*, prove both equal, and close the source.

    Args:
        move_files: False where both have the same store of files.

    Raises:
        Refused: one of them is in use, the target has other events, or the source was moved elsewhere before.
        Corrupt: the source is damaged.
        Unavailable, HomeUnusable: one of them can't be used now; the same call goes on where this one stopped.
    """
    with _alone(source, "the home that is moved"), _alone(target, "the home that it is moved into"):
        _admit(source, target)
        trail = Trail(source, target)
        trail.compare(target.store.head(), tell)
        target.sign.put(Sign("arriving", source.name))
        known = trail.position
        for _ in range(CHASES):
            head = source.store.head()
            if head - trail.position <= CLOSE_ENOUGH:
                break
            trail.copy(head, tell)
        files = copy_files(source.files, target.files, tell) if move_files else Files()
        with source.store.barrier() as head:
            trail.copy(head, tell)
            digest = trail.proved()
            keys = copy_keys(source.keys, target.keys)
            handlers, letters = copy_book(source.book, target.book)
            source.sign.put(Sign("moved", target.name))
        if move_files:  # those that came meanwhile; no event can name another one now
            files = files.and_then(copy_files(source.files, target.files, tell))
        missing = not_there(trail.names, target.files)
        target.sign.take_down()
    return Equal(trail.position, digest, files, trail.position - known, trail.seconds, missing, keys, handlers, letters)


def compare(source: House, target: House, *, tell: Progress = silent) -> Equal:
    """
    See how far *target* equals *source*, and write nothing; either may be in use.

    The files of the target are read and held against their names.

    Raises:
        Refused: an event differs; both are named.
        Corrupt: one of them is damaged.
    """
    mine, theirs = source.store.head(), target.store.head()
    trail = Trail(source, target)
    trail.compare(min(mine, theirs), tell)
    digest = trail.proved()
    files = copy_files(source.files, target.files, tell, only_look=True)
    different = [f"{mine - theirs} of {mine} events are not there yet"] if theirs < mine else []
    different += [f"{files.absent} of {files.count} files are not there"] if files.absent else []
    different += [f"file {name} is damaged" for name in files.damaged]
    missing = not_there(trail.names, source.files)
    return Equal(trail.position, digest, files, missing=missing, more=max(0, theirs - mine), different=tuple(different))


def _admit(source: House, target: House) -> None:
    if source.name == target.name:
        raise Refused(f"{source.name} is both homes", remedy="name another store in the configuration of the target")
    there, here = target.sign.read(), source.sign.read()
    if here is not None and here.state == "moved" and (here.place != target.name or there is None):
        raise Refused(
            f"{source.name} was moved to {here.place} before",
            remedy="work there (`mlife migrate --check` compares both); or `mlife migrate --undo` here, if this one is "
            "to be used again",
        )
    if here is not None and here.state == "arriving":
        raise Refused(
            f"{here.place} is being moved into {source.name}, which is not whole yet", remedy="finish that move first"
        )


@contextmanager
def _alone(house: House, role: str) -> Iterator[None]:
    """Nobody projects, handles or publishes here. What still writes is met by the barrier, at the end."""
    with house.locks.hold("runner") as held:
        busy = house.busy() if held else "a process projects and handles"
        if busy:
            raise Refused(
                f"{house.name}, {role}, is in use: {busy}",
                remedy="end `mlife up`, `mlife relay` and `mlife worker` on it, then try again",
            )
        yield


def check_not_moved(sign: Sign | None, name: str) -> None:
    """
    Refuse to work on the home called *name*, if its *sign* says that it is not to be worked on.

    Raises:
        Refused: it was moved, or it is not whole yet.
    """
    if sign is None:
        return
    if sign.state == "moved":
        raise Refused(
            f"{name} was moved to {sign.place}; its log takes no events any more",
            remedy="work there; or `mlife migrate --undo` if this one is to be used again",
        )
    raise Refused(
        f"{sign.place} is being moved into {name}, which is not whole yet",
        remedy="run the same `mlife migrate` again: it goes on where it stopped",
    )
