"""
Work for processes of their own: `python -m mlife.bench.children ROLE HOME …`, and how it is started and ended.

A child prints `ready` once it works, and ends when its standard input is closed, so that it never outlives the run.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlife.bench.homes import opened
from mlife.core.projection import projections
from mlife.core.rebuild import rebuild


@contextmanager
def child(role: str, home: Path, *more: str) -> Iterator[None]:
    """A child in *role* on *home*, at work for the block."""
    command = [sys.executable, "-m", "mlife.bench.children", role, str(home), *more]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdin is not None
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise AssertionError(f"the child {role} did not start")
        try:
            yield
        finally:
            process.stdin.close()
            process.wait(timeout=60)
    if process.returncode:
        raise AssertionError(f"the child {role} ended with {process.returncode}")


def follow(home: Path) -> None:
    """Run projections and handlers, as `mlife up` does."""
    with opened(home) as own, own.running():
        print("ready", flush=True)
        sys.stdin.read()


def rebuild_again_and_again(home: Path, name: str) -> None:
    """Rebuild a projection, and again, until told to end."""
    stop = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        stop.set()

    with opened(home) as own:
        threading.Thread(target=wait, daemon=True).start()
        print("ready", flush=True)
        while not stop.is_set():
            rebuild(own.ports, projections[name])


def main() -> None:
    """Do what the arguments say."""
    role, home, *more = sys.argv[1:]
    if role == "follow":
        follow(Path(home))
    else:
        rebuild_again_and_again(Path(home), *more)


if __name__ == "__main__":
    main()
