"""
The same writers and the same follower by position, over two logs: ours, and the `eventsourcing` library's with
`POSTGRES_ENABLE_DB_FUNCTIONS=y`, which takes no lock and therefore loses events for whoever tails it.

The oracle must see that loss: otherwise its "nothing is lost" would mean nothing.
"""

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit
from uuid import UUID

from mlife.core.errors import MLifeError
from mlife.core.events import Draft, Recorded, derived_id
from mlife.core.folding import is_outage
from mlife.core.ports import Append
from mlife.runtime import settings
from tests.oracle import verdict
from tests.oracle.journal import Attempt, Journal, Saw, print_of

THREADS = 8
"""Of each writer."""


class TailedLog(Protocol):
    """A log that is written event by event and read by position."""

    def write(self, draft: Draft) -> int:
        """Append it; its position."""

    def read(self, after: int) -> Sequence[Recorded[Any]]:
        """Some events after *after*, in order of position."""


class Ours:
    """MLife's log, through its port."""

    def __init__(self, part: Any) -> None:
        self._home = part._opened()

    def write(self, draft: Draft) -> int:
        return int(self._home.ports.store.append(Append([draft])).position)

    def read(self, after: int) -> Sequence[Recorded[Any]]:
        events: Sequence[Recorded[Any]] = self._home.ports.store.read(after, 500)
        return events


class TheLibrarys:
    """The library's recorder as its documentation has it, with the setting of which MLife says: never."""

    def __init__(self, part: Any) -> None:
        from eventsourcing.persistence import InfrastructureFactory, StoredEvent
        from eventsourcing.utils import Environment

        there = urlsplit(settings().store)
        told = {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": there.path.lstrip("/"),
            "POSTGRES_HOST": str(there.hostname),
            "POSTGRES_PORT": str(there.port),
            "POSTGRES_USER": str(there.username),
            "POSTGRES_PASSWORD": str(there.password),
            "POSTGRES_POOL_SIZE": str(THREADS),
            "POSTGRES_ENABLE_DB_FUNCTIONS": "y",
        }
        self._recorder = InfrastructureFactory.construct(Environment("tailed", told)).application_recorder()
        self._event = StoredEvent

    def write(self, draft: Draft) -> int:
        event = self._event(originator_id=UUID(bytes=draft.id), originator_version=1, topic="coin", state=draft.data)
        (place,) = self._recorder.insert_events([event]) or ()
        return place

    def read(self, after: int) -> Sequence[Recorded[Any]]:
        found = self._recorder.select_notifications(start=after + 1, limit=500)
        return [Recorded(n.id, 1, plain(n.originator_id.bytes, n.state)) for n in found]


LOGS = {"tailed": Ours, "library": TheLibrarys}
"""By the size of the run."""


def plain(event_id: bytes, data: bytes) -> Draft:
    """An event of which everything follows from its id and its bytes: the library keeps no more of it."""
    digest = hashlib.sha256(data).digest()
    return Draft(
        event_id, f"coin/{event_id.hex()}", 1, "mlife.coin.tossed.v1", "", 0, "/mlife", *[None] * 4, data, digest
    )


def write(log: TailedLog, journal: Journal, name: str, stop: threading.Event) -> None:
    """Threads that append single events, as fast as they are answered."""

    def toss(thread: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            key = f"{name}-{thread}-{number}"
            draft = plain(derived_id(key), key.encode())
            n = f"{thread}-{number}"
            journal.note("tried", n=n, whole=True, drafts=[[draft.id.hex(), print_of(draft)]])
            try:
                journal.note("told", n=n, positions=[log.write(draft)], known=[False])
            except MLifeError as e:
                if not is_outage(e):
                    raise
                stop.wait(0.1)

    def live(thread: int) -> None:
        try:
            toss(thread)
        except BaseException as e:
            journal.note("crashed", why=f"{type(e).__name__}: {e}")
            raise

    threads = [threading.Thread(target=live, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def follow(log: TailedLog, journal: Journal, stop: threading.Event) -> None:
    """Tail it by position."""
    after = 0
    while not stop.is_set():
        events = log.read(after)
        if events:
            journal.note("saw", entries=[(r.position, r.draft.id.hex(), print_of(r.draft)) for r in events])
            after = events[-1].position
        else:
            time.sleep(0.002)


def whole(log: TailedLog) -> Iterator[Recorded[Any]]:
    """Everything that the log holds, now that it rests."""
    after = 0
    while events := log.read(after):
        yield from events
        after = events[-1].position


def findings(log: Sequence[Recorded[Any]], tried: Sequence[Attempt], saw: Sequence[Saw], *, dense: bool) -> list[str]:
    """
    What was lost: for the log, and for who followed it.

    Args:
        dense: whether a gap in the positions is a fault; the library's has some where a transaction was undone.
    """
    followed = [sentence for one in saw for sentence in verdict.followed(log, one, dense=dense)]
    return [*verdict.kept(log, tried), *followed, *(verdict.order(log) if dense else [])]
