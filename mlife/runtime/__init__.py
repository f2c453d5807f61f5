"""
The composition root: the only place that reads the configuration, knows the size, and wires adapters to ports.

`with open_home(settings()) as home:` gives a `Home`: the ports, the executor for commands, and the runner.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mlife.core.command import Executor
from mlife.core.errors import Corrupt, Misconfigured, Unavailable
from mlife.core.handler import HandlerBook, Ports
from mlife.core.media.links import Links
from mlife.core.ports import Blobs, EventStore, Keys, Locks, Shelf
from mlife.core.projection import Views
from mlife.core.runner import Runner
from mlife.core.sealing import Sealer
from mlife.runtime.configuration import Settings, settings
from mlife.runtime.features import ROOMS, feature_modules, load_features

__all__ = [
    "ROOMS",
    "Home",
    "Settings",
    "check_end_of_log",
    "feature_modules",
    "load_features",
    "needing",
    "open_home",
    "settings",
]

log = logging.getLogger("mlife.home")

SWITCH_INTERVAL = 0.0005
"""Seconds; Python's default lets one busy thread delay an append by 30 ms (docs/benchmarks.md)."""

LAST_LOOK_SECONDS = 1.0
"""How long what is being looked at is waited for at the end; whatever is cut off is looked at again."""

SEE_SECONDS = 5.0
"""How long a command waits until its own write can be seen."""


@dataclass
class Home:
    """
    One opened home.

    Args:
        do: carries out commands: `home.do(triage, badcase_id="bc-…")`.
        runner: projects and handles; `catch_up` is the part that a command line may do.
    """

    settings: Settings
    ports: Ports
    do: Executor
    runner: Runner
    sealer: Sealer
    keys: Keys
    book: HandlerBook
    closers: list[Any]

    def see(self, position: int) -> None:
        """
        Make what was written at *position* visible to this process's reads: project it if nobody else does.

        What was written is written: if the one who projects is far behind, that is said, and the reader goes on with
        what can be seen. Whoever must not reads with `min_position`.
        """
        deadline = time.monotonic() + SEE_SECONDS
        while True:
            with self.ports.locks.hold("runner") as held:
                if held and self.settings.is_alone:
                    self.runner.catch_up(position)
                    return
            # whoever holds it may be a command line that stops before our position: ask both in turn
            left = deadline - time.monotonic()
            try:
                with self.ports.views.read(min_position=position, timeout=min(0.1, max(0.0, left))):
                    return
            except Unavailable as e:
                if left <= 0:
                    log.warning("the newest events can't be seen yet: %s", e.message)
                    return

    @contextmanager
    def running(self) -> Iterator[Runner]:
        """The runner in a thread of its own, for the block; with a bus, workers are what runs, and not this process."""
        if not self.settings.is_alone:
            yield self.runner
            return
        stop = threading.Event()
        thread = threading.Thread(target=self.runner.run, args=(stop,), name="mlife-runner", daemon=True)
        thread.start()
        try:
            with self.looking():
                yield self.runner
        finally:
            stop.set()
            self.ports.store.wake()
            thread.join()

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Pictures and descriptions are looked at for the block, in a thread of its own: what is alike is suggested."""
        stop = threading.Event()
        thread = threading.Thread(
            target=self.ports.extra["looker"].run, args=(stop,), name="mlife-looking", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(timeout=LAST_LOOK_SECONDS)
            if thread.is_alive():
                self.ports.extra["looker"].hurry()
                thread.join()

    def restore(self) -> None:
        """Let the built-in target take up again what the log says is active."""
        from mlife.serving.answering import restore

        restore(self.ports)

    def close(self) -> None:
        """Finish what is queued and release the files."""
        for closer in self.closers:
            closer.close()
        self.closers = []


@contextmanager
def open_home(chosen: Settings, *, rooms: Sequence[str] = ROOMS) -> Iterator[Home]:
    """
    Open (and make, if it is not there) the home that *chosen* names.

    Raises:
        HomeUnusable: it can't be written.
        Corrupt: the log has lost its end.
        Misconfigured: a feature can't be loaded.
    """
    home = wire(chosen, rooms=rooms)
    try:
        yield home
    finally:
        home.close()


@dataclass(frozen=True)
class _Kept:
    """What follows the log's scheme."""

    store: EventStore
    views: Views
    book: HandlerBook
    keys: Keys
    locks: Locks
    shelf: Shelf
    closers: Sequence[Any]


def wire(chosen: Settings, *, rooms: Sequence[str] = ROOMS) -> Home:
    """As `open_home`, for a caller that closes it itself."""
    from mlife.adapters.images_pillow import PillowImages
    from mlife.adapters.likeness_process import ProcessLikeness
    from mlife.adapters.models_onnx import OnnxModels
    from mlife.adapters.target_inprocess import InProcessTarget
    from mlife.adapters.workshop_process import ProcessWorkshop
    from mlife.badcases.looking import Looker
    from mlife.runtime.notifying import notifier_of

    sys.setswitchinterval(SWITCH_INTERVAL)
    load_features(rooms)
    blobs = _blobs(chosen)
    kept = _on_sqlite(chosen) if chosen.store.startswith("sqlite:") else _on_postgres(chosen)
    sealer = Sealer(kept.keys, chosen.personal)
    executor = Executor(kept.store, sealer)
    models, images, notifier, likeness = OnnxModels(), PillowImages(), notifier_of(chosen), ProcessLikeness()
    ports = Ports(
        store=kept.store,
        views=kept.views,
        blobs=blobs,
        locks=kept.locks,
        models=models,
        extra={
            "target": InProcessTarget(models),
            "images": images,
            "shelf": kept.shelf,
            "looker": Looker(kept.views, blobs, kept.locks, kept.shelf, likeness, images),
            "parquet": _parquet(),
            "notifier": notifier,
            "links": Links(chosen.links),
            "workshop": ProcessWorkshop(),
        },
    )
    runner = Runner(ports, executor, kept.book)
    home = Home(chosen, ports, executor, runner, sealer, kept.keys, kept.book, [])
    home.closers = [notifier, likeness, images, *kept.closers]
    try:
        check_end_of_log(kept.store, kept.views, kept.book)
    except BaseException:
        home.close()
        raise
    return home


def _parquet() -> Any:
    """What writes Parquet; None where pyarrow is not installed. It is imported when a file is asked for."""
    if find_spec("pyarrow") is None:
        return None
    from mlife.adapters.parquet_arrow import parquet as writer

    return writer


def _on_sqlite(chosen: Settings) -> _Kept:
    from mlife.adapters.events_sqlite import SqliteEventStore
    from mlife.adapters.handlers_sqlite import SqliteHandlerBook
    from mlife.adapters.keys_sqlite import SqliteKeys
    from mlife.adapters.locks_flock import FlockLocks
    from mlife.adapters.shelf_sqlite import SqliteShelf
    from mlife.adapters.views_sqlite import SqliteViews

    store = SqliteEventStore(_path(chosen.store))
    views = SqliteViews(chosen.home / "views.db")
    book = SqliteHandlerBook(chosen.home / "handlers.db")
    keys, shelf = SqliteKeys(chosen.home / "keys.db"), SqliteShelf(chosen.home / "shelf.db")
    return _Kept(store, views, book, keys, FlockLocks(chosen.home), shelf, [store, views, book, keys, shelf])


def _on_postgres(chosen: Settings) -> _Kept:
    with needing("cluster", "MLIFE_STORE is PostgreSQL"):
        from mlife.adapters.events_postgres import PostgresEventStore
        from mlife.adapters.handlers_postgres import PostgresHandlerBook
        from mlife.adapters.keys_postgres import PostgresKeys
        from mlife.adapters.locks_postgres import PostgresLocks
        from mlife.adapters.postgres import Postgres
        from mlife.adapters.shelf_postgres import PostgresShelf
        from mlife.adapters.views_postgres import PostgresViews

    with ExitStack() as opened:
        database = opened.enter_context(closing(Postgres(chosen.store)))
        store = opened.enter_context(closing(PostgresEventStore(database)))
        views = opened.enter_context(closing(PostgresViews(database)))
        book, keys, locks = PostgresHandlerBook(database), PostgresKeys(database), PostgresLocks(database)
        return _Kept(store, views, book, keys, locks, PostgresShelf(database), [opened.pop_all()])


def _blobs(chosen: Settings) -> Blobs:
    if chosen.files.startswith("file:"):
        from mlife.adapters.blobs_folder import FolderBlobs

        return FolderBlobs(_path(chosen.files))
    with needing("cluster", "MLIFE_FILES is an S3 server"):
        from mlife.adapters.blobs_minio import MinioBlobs
    return MinioBlobs(chosen.files, cache=chosen.home / "cache")


@contextmanager
def needing(extra: str, because: str) -> Iterator[None]:
    """Around an import of what *extra* installs. Raises Misconfigured: it is not installed."""
    try:
        yield
    except ModuleNotFoundError as e:
        raise Misconfigured(
            f"{because}, and the package {e.name} is not installed", remedy=f"pip install 'mlife[{extra}]'"
        ) from e


def check_end_of_log(store: EventStore, views: Views, book: HandlerBook) -> None:
    """
    See that the log still has what was made of it.

    SQLite does not notice that a `-wal` was removed or that an old copy was put back. New events would take the
    positions of lost ones, and query tables and handlers would pass over them.

    Raises:
        Corrupt: events are gone from the end of the log.
    """
    known = max([0, *(s.position for s in views.standings()), *book.positions().values()])
    head = store.head()  # asked last: others may append meanwhile
    if known > head:
        raise Corrupt(
            f"the log has lost its end: it stops at position {head}, and events up to {known} were dealt with before",
            remedy="put back what belongs to it (mlife.db with its mlife.db-wal, or the newest backup of a database). "
            "To go on from the shorter log, end what runs on it and delete query tables and handlers' book "
            "(views.db and handlers.db), which are made anew",
        )


def _path(url: str) -> Path:
    """The path of *url*, to the letter: a home may be called `a#1` or `50%`."""
    return Path("/" + url.partition(":")[2].lstrip("/"))
