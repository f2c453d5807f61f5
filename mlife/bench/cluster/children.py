"""
Work for processes of their own: `python -m mlife.bench.cluster.children ROLE …`, and how it is started and ended.

A child prints `ready`, does its work from the moment its standard input is closed (or until then), and prints what it
found as one line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from mlife.bench.cluster.places import Place
from mlife.bench.homes import intake
from mlife.bench.intake import at_once
from mlife.bench.reports import reports
from mlife.runtime import open_home, settings

CALLERS = 32
NOW = datetime(2026, 4, 1, tzinfo=UTC)
"""What pages take for now: after the last report."""


class Child:
    """A child in *role* on *here*, ready to work."""

    def __init__(self, here: Place, role: str, *more: object) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "mlife.bench.cluster.children", role, *map(str, more)],
            env=here.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise AssertionError(f"the child {role} did not start")

    def tell(self) -> None:
        """Let it begin (`single`), or end (the others)."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def found(self) -> Any:
        """What it found, once it has ended."""
        assert self._process.stdout is not None
        said = self._process.stdout.read()
        if self._process.wait(timeout=300):
            raise AssertionError(f"a child of the benchmark ended with {self._process.returncode}")
        return json.loads(said)

    def kill(self) -> None:
        """Whatever happened, it does not outlive us."""
        self._process.kill()
        self._process.wait()


def single(start: int, count: int) -> tuple[float, float]:
    """32 callers send *count* single reports; the moments (`perf_counter`, the machine's) of beginning and end."""
    some = list(reports(count, start=start, seed=2))
    with open_home(settings()) as home:
        door = intake(home)
        print("ready", flush=True)
        sys.stdin.read()
        begun = time.perf_counter()
        at_once(some, lambda r: door.reports([r]), CALLERS)
        return begun, time.perf_counter()


def steady(start: int, rate: int) -> int:
    """Send *rate* reports a second, ten at a time, until told to end; how many that were."""
    with open_home(settings()) as home:
        door = intake(home)
        until_told = _until_told()
        begun, sent = time.perf_counter(), 0
        while not until_told.is_set():
            door.reports(list(reports(10, start=start + sent)))
            sent += 10
            time.sleep(max(0.0, begun + sent / rate - time.perf_counter()))
    return sent


def read(rate: int) -> list[float]:
    """Look at the first page of badcases *rate* times a second until told to end; seconds that each took."""
    from mlife.badcases.views import lists

    delays: list[float] = []
    with open_home(settings()) as home:
        for _ in range(5):
            with home.ports.views.read() as look:
                lists.badcases(look, now=NOW)
        until_told = _until_told()
        while not until_told.is_set():
            begun = time.perf_counter()
            with home.ports.views.read() as look:
                lists.badcases(look, now=NOW)
            delays.append(time.perf_counter() - begun)
            time.sleep(max(0.0, 1 / rate - delays[-1]))
    return delays


def _until_told() -> threading.Event:
    told = threading.Event()

    def wait() -> None:
        with suppress(KeyboardInterrupt):
            sys.stdin.read()
        told.set()

    threading.Thread(target=wait, daemon=True).start()
    print("ready", flush=True)
    return told


ROLES: dict[str, Callable[..., Any]] = {"single": single, "steady": steady, "read": read}


def main() -> None:
    """Do what the arguments say."""
    role, *numbers = sys.argv[1:]
    print(json.dumps(ROLES[role](*map(int, numbers))), flush=True)


if __name__ == "__main__":
    main()
