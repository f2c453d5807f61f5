"""
The composition root: the only place that reads the configuration, knows the size, and wires adapters to ports.

`with open_home(settings()) as home:` gives a `Home`: the ports, the executor for commands, and the runner.
"""

from __future__ import annotations

import logging
import os
import pkgutil
import sys
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from mlife.core.command import Executor
from mlife.core.errors import Corrupt, Misconfigured, Unavailable
from mlife.core.handler import HandlerBook, Ports
from mlife.core.ports import EventStore
from mlife.core.projection import Views
from mlife.core.runner import Runner
from mlife.core.sealing import Sealer

log = logging.getLogger("mlife.home")

ROOMS = ("events", "views", "commands")
"""Rooms of a feature that every process needs; `pages` are loaded by the server alone."""

SWITCH_INTERVAL = 0.0005
"""Seconds; Python's default lets one busy thread delay an append by 30 ms (docs/benchmarks.md)."""


SEE_SECONDS = 5.0
"""How long a command waits until its own write can be seen."""


@dataclass(frozen=True)
class Settings:
    """
    The configuration: `mlife.toml`, overridden by `MLIFE_*`, overridden by flags.

    Args:
        home: folder of the embedded size.
        store: `sqlite:///path`.
        bus: `inprocess`.
        files: `file:///path`.
        token: needed by every HTTP request if set; must be set to listen beyond loopback.
        personal: system → names of the personal fields that are sealed beside `reporter`.
    """

    home: Path
    store: str
    bus: str
    files: str
    token: str | None = None
    personal: Mapping[str, frozenset[str]] = field(default_factory=dict)


def settings(home: str | Path | None = None, *, config: Path | None = None, **flags: str | None) -> Settings:
    """
    Read the configuration.

    Raises:
        Misconfigured: a file that is no TOML, an unknown setting, or a value that this program can't serve.
    """
    told = _toml(config or Path(os.environ.get("MLIFE_CONFIG", "mlife.toml")))
    personal = told.pop("personal", {})
    chosen = {
        k: flags.get(k) or os.environ.get(f"MLIFE_{k.upper()}") or told.pop(k, None)
        for k in ("store", "bus", "files", "token")
    }
    folder = Path(home or os.environ.get("MLIFE_HOME") or told.pop("home", None) or ".mlife").absolute()
    told.pop("home", None)
    if told:
        raise Misconfigured(
            f"mlife.toml has unknown settings: {', '.join(sorted(told))}",
            remedy="home, store, bus, files, token, [personal]",
        )
    made = Settings(
        home=folder,
        store=chosen["store"] or f"sqlite:///{folder}/mlife.db",
        bus=chosen["bus"] or "inprocess",
        files=chosen["files"] or f"file:///{folder}/files",
        token=chosen["token"],
        personal={system: frozenset(names) for system, names in personal.items()},
    )
    for name, value, scheme in (
        ("store", made.store, "sqlite"),
        ("bus", made.bus, "inprocess"),
        ("files", made.files, "file"),
    ):
        if value.split(":", 1)[0] != scheme:
            raise Misconfigured(
                f"MLIFE_{name.upper()} is {value.split('://', 1)[0]}, which this version can't serve",
                remedy=f"use the embedded {scheme} for now; the cluster size is planned",
            )
    return made


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text()) if path.exists() else {}
    except tomllib.TOMLDecodeError as e:
        raise Misconfigured(f"{path} is no TOML: {e}", remedy="mend the line it names") from e


LAYERS = ("projections", "handlers")
"""What follows from facts; loaded after the rooms that declare them, and whole."""


def feature_modules(rooms: Sequence[str]) -> list[str]:
    """
    The modules called as in *rooms* of every installed feature, in a fixed order.

    Built-in features and those of other packages come through the same entry points: one of group `mlife.features`
    names a package. Of `mlife.projections`, `mlife.handlers` and packages that end so, every module counts.

    Raises:
        Misconfigured: a package can't be imported; the message names it.
    """
    found: list[str] = []
    points = {(e.value.rsplit(".", 1)[-1] in LAYERS, e.name, e.value) for e in entry_points(group="mlife.features")}
    for is_layer, name, package in sorted(points):
        module = _imported(name, package)
        inside = [m.name for m in pkgutil.iter_modules(getattr(module, "__path__", []))]
        if is_layer:
            found += [f"{package}.{m}" for m in inside] if "projections" in rooms else []
        else:
            found += [f"{package}.{m}" for m in rooms if m in inside]
    return found


def load_features(rooms: Sequence[str] = ROOMS) -> None:
    """
    Import every installed feature, so that its events, projections and handlers are registered.

    Raises:
        Misconfigured: a feature can't be imported; the message names it.
    """
    for module in feature_modules((*rooms, "projections", "handlers")):
        _imported(module, module)


def _imported(name: str, module: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as e:
        raise Misconfigured(
            f"the feature {name} ({module}) can't be imported: {e}", remedy="install what it needs, or remove it"
        ) from e


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
                if held:
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
        """The runner in a thread of its own, for the block."""
        stop = threading.Event()
        thread = threading.Thread(target=self.runner.run, args=(stop,), name="mlife-runner", daemon=True)
        thread.start()
        try:
            yield self.runner
        finally:
            stop.set()
            self.ports.store.wake()
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


def wire(chosen: Settings, *, rooms: Sequence[str] = ROOMS) -> Home:
    """As `open_home`, for a caller that closes it itself."""
    from mlife.adapters.blobs_folder import FolderBlobs
    from mlife.adapters.events_sqlite import SqliteEventStore
    from mlife.adapters.handlers_sqlite import SqliteHandlerBook
    from mlife.adapters.images_pillow import PillowImages
    from mlife.adapters.keys_sqlite import SqliteKeys
    from mlife.adapters.locks_flock import FlockLocks
    from mlife.adapters.models_onnx import OnnxModels
    from mlife.adapters.target_inprocess import InProcessTarget
    from mlife.adapters.views_sqlite import SqliteViews

    sys.setswitchinterval(SWITCH_INTERVAL)
    load_features(rooms)
    store = SqliteEventStore(_path(chosen.store))
    views = SqliteViews(chosen.home / "views.db")
    book = SqliteHandlerBook(chosen.home / "handlers.db")
    keys = SqliteKeys(chosen.home / "keys.db")
    sealer = Sealer(keys, chosen.personal)
    executor = Executor(store, sealer)
    models, images = OnnxModels(), PillowImages()
    ports = Ports(
        store=store,
        views=views,
        blobs=FolderBlobs(_path(chosen.files)),
        locks=FlockLocks(chosen.home),
        models=models,
        extra={"target": InProcessTarget(models), "images": images},
    )
    home = Home(
        chosen, ports, executor, Runner(ports, executor, book), sealer, book, [images, store, views, book, keys]
    )
    try:
        check_end_of_log(store, views, book)
    except BaseException:
        home.close()
        raise
    return home


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
            remedy="put mlife.db back together with its mlife.db-wal; to go on from the shorter log instead, end what "
            "runs here and delete views.db and handlers.db, which are made anew",
        )


def _path(url: str) -> Path:
    """The path of *url*, to the letter: a home may be called `a#1` or `50%`."""
    return Path("/" + url.partition(":")[2].lstrip("/"))
