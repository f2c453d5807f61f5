"""A log of the test's own on shared servers, and the processes that work on it: real ones, that can be killed."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlife.badcases.intake.taking import Answer, Intake
from mlife.core.events import Event, Recorded
from mlife.core.ports import iterate
from mlife.core.projection import projections
from mlife.core.rebuild import verify
from mlife.runtime import Home, Settings, open_home, settings

ROOT = Path(__file__).parents[2]
JOINED = re.compile(r"runs (.+)$", re.MULTILINE)
"""What a worker says when it is assigned something."""


def until(what: str, is_so: Callable[[], Any], seconds: float = 30.0) -> float:
    """Wait until *is_so*; how many seconds that took."""
    begun = time.monotonic()
    while not is_so():
        if time.monotonic() - begun > seconds:
            raise AssertionError(f"after {seconds:g} s it is still not so: {what}")
        time.sleep(0.02)
    return time.monotonic() - begun


@dataclass
class Process:
    """A child process that says what it does into a file."""

    child: "subprocess.Popen[bytes]"
    log: Path

    def said(self) -> str:
        """All of it."""
        return self.log.read_text()

    def runs(self) -> list[str]:
        """What it was assigned last."""
        found = JOINED.findall(self.said())
        return [] if not found or found[-1].startswith("nothing") else found[-1].split(", ")

    def kill(self) -> None:
        """As by `kill -9`."""
        self.child.kill()
        self.child.wait()

    def end(self, seconds: float = 15.0) -> float:
        """Ask it to end; how many seconds that took. One that has just begun ends at once."""
        begun = time.monotonic()
        self.child.terminate()
        code = self.child.wait(seconds)
        assert code in (0, -signal.SIGTERM), f"exit code {code}: {self.said()}"
        return time.monotonic() - begun


@dataclass
class Cluster:
    """
    Where the parts meet, and all that run.

    Args:
        module: whose command line the processes are.
    """

    folder: Path
    store: str
    bus: str
    module: str = "mlife"
    running: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)

    @property
    def settings(self) -> Settings:
        return settings(self.folder / "home", config=self.folder / "no.toml", store=self.store, bus=self.bus)

    @contextmanager
    def home(self) -> Iterator[Home]:
        """The same log, opened in this process."""
        with open_home(self.settings) as home:
            yield home

    def start(self, *words: str, **environment: str) -> Process:
        """`mlife *words*` in a process of its own."""
        log = self.folder / f"{next(self._numbers)}-{'-'.join(words)}.log"
        with log.open("wb") as said:
            child = subprocess.Popen(
                [sys.executable, "-m", self.module, *words],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**self._environment(), **environment},
            )
        process = Process(child, log)
        self.running.append(process)
        return process

    def worker(self, role: str, **environment: str) -> Process:
        """A worker that has been assigned something, or nothing."""
        process = self.start("worker", role, **environment)
        until(f"{role} has joined", lambda: JOINED.search(process.said()) or process.child.poll() is not None)
        assert process.child.poll() is None, process.said()
        return process

    def mlife(self, *words: str) -> str:
        """What a command says."""
        done = subprocess.run(
            [sys.executable, "-m", self.module, *words],
            cwd=ROOT,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _environment(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MLIFE_")}
        home = str(self.folder / "home")
        return {**clean, "MLIFE_HOME": home, "MLIFE_STORE": self.store, "MLIFE_BUS": self.bus}

    def close(self) -> None:
        """Kill whatever still runs."""
        for process in self.running:
            if process.child.poll() is None:
                process.kill()


def report(number: int, **more: Any) -> dict[str, Any]:
    """A report; every seventh of a kind falls into the same badcase."""
    return {
        "system": "dms",
        "function": "emotion",
        "version": "2.3.0",
        "data": [{"uri": f"s3://cam/{number}.jpg"}],
        "prediction": {"type": "class", "label": f"sad-{number % 7}"},
        "truth": {"type": "class", "label": "happy"},
        "observed_at": "2025-11-24T03:00:00Z",
        "client": f"fleet-{number % 3}",
        "report_id": f"r{number}",
        **more,
    }


def take(home: Home, numbers: Sequence[int]) -> Answer:
    """Reports into the log, as HTTP takes them."""
    return Intake(home.ports.store, home.sealer).reports([report(n) for n in numbers])


def differences(home: Home) -> list[str]:
    """Where a projection differs from a fresh replay of the log."""
    return [d for p in list(projections.values()) for d in verify(home.ports, p)]


def facts(home: Home, kind: type[Event]) -> list[Recorded[Any]]:
    """The events of *kind*, in order."""
    return [r for r in iterate(home.ports.store) if isinstance(r.event, kind)]
