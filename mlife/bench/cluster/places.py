"""Where cluster figures are measured: schemas, topics and programs of their own, on the servers that are configured."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import psycopg

from mlife.bench.figures import Bench
from mlife.core.errors import Misconfigured
from mlife.core.projection import projections
from mlife.runtime import Home, Settings, open_home, settings

READY_SECONDS = 60.0
"""Until a program that was started must be at work."""


@dataclass(frozen=True)
class Place:
    """An empty home of the cluster size: a schema, topics with a prefix, and a folder."""

    chosen: Settings

    @contextmanager
    def opened(self) -> Iterator[Home]:
        """The home, as one process has it open."""
        with open_home(self.chosen) as home:
            yield home

    @property
    def environment(self) -> dict[str, str]:
        """What a program is told."""
        told = {name: str(getattr(self.chosen, name)) for name in ("home", "store", "bus", "files")}
        return {**os.environ, **{f"MLIFE_{name.upper()}": value for name, value in told.items()}}

    @contextmanager
    def program(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """`mlife WORDS` beside us for the block; what it says is in the folder."""
        with (self.chosen.home / f"{'-'.join(words[:2])}.log").open("ab") as said:
            process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "mlife", *words], env=self.environment, stdout=said, stderr=said
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


@contextmanager
def place(bench: Bench, name: str, *, bus: bool = False) -> Iterator[Place]:
    """
    An empty home called *name*, which is gone after the block.

    Args:
        bus: with topics; without, one process projects and handles.

    Raises:
        Misconfigured: the settings do not name the cluster size.
    """
    given = settings()
    if not given.store.startswith("postgresql:") or given.is_alone:
        raise Misconfigured(
            "these figures are measured on the cluster size, and it is not configured",
            remedy="`make bench-cluster` starts PostgreSQL, Kafka and S3 here; or set MLIFE_STORE and MLIFE_BUS",
        )
    own = f"bench_{name.replace('-', '_')}_{os.getpid()}"
    folder = bench.folder / name
    folder.mkdir(parents=True)
    chosen = replace(
        given,
        home=folder,
        store=_with(given.store, f"options=-csearch_path%3D{quote(own)}"),
        bus=_with(given.bus, f"prefix={own}.") if bus else "inprocess",
        files=f"file://{folder}/files",
    )
    with psycopg.connect(given.store, autocommit=True) as db:
        db.execute(f'CREATE SCHEMA "{own}"'.encode())
        try:
            made = Place(chosen)
            if bus:
                subprocess.run(
                    [sys.executable, "-m", "mlife", "doctor", "--fix"],
                    env=made.environment, check=False, capture_output=True,
                )  # fmt: skip
            yield made
        finally:
            db.execute(f'DROP SCHEMA "{own}" CASCADE'.encode())


def _with(url: str, parameter: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{parameter}"


def folded(home: Home) -> int:
    """How far every projection has come; 0 while one has no tables yet."""
    live = [s.position for s in home.ports.views.standings() if s.state == "live"]
    return min(live) if len(live) == len(projections) else 0


def wait_until(is_so: object, what: str, seconds: float = READY_SECONDS) -> float:
    """The moment (`perf_counter`) at which *is_so* became true."""
    assert callable(is_so)
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds:g} s still not: {what}")
        time.sleep(0.005)
    return time.perf_counter()


def tail(path: Path, characters: int = 2_000) -> str:
    """The end of a log, for a message."""
    return path.read_text(errors="replace")[-characters:] if path.exists() else ""
