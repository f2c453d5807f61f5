"""
A process that lives on a home of toys: `python -m tests.e2e.toy_process HOME WHAT`.

`run` follows the log and handles; `write PREFIX` makes toys and says each that was acknowledged; both until killed.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from mlife.core.events import Recorded
from mlife.core.handler import Do
from mlife.core.projection import projections
from mlife.core.rebuild import rebuild
from mlife.runtime import Home
from tests.toys import ToyMade, ToyPainted, handles, make, only_toys, paint, wire_toys


def declare_handlers() -> None:
    """Every toy gets two colours; a painted one, if it is cursed, kills the process."""

    @handles("toys.paint")
    def paint_new(fact: Recorded[ToyMade], do: Do) -> None:
        do(paint, toy_id=fact.event.toy_id, colour="red")
        do(paint, toy_id=fact.event.toy_id, colour="blue")

    @handles("toys.curse")
    def curse(fact: Recorded[ToyMade], do: Do) -> None:
        if fact.event.name.startswith("cursed"):
            do(paint, toy_id=fact.event.toy_id, colour="black")
            os.kill(os.getpid(), signal.SIGKILL)

    @handles("toys.watch", on=ToyPainted)
    def watch(fact: Recorded[ToyPainted], do: Do) -> None:
        with do.read() as read:
            assert read.position >= fact.position


def run(home: Home) -> None:
    """Be the runner."""
    declare_handlers()
    home.runner.lock_wait = 0.02
    os.write(1, b"ready\n")
    home.runner.run(threading.Event())


def write(home: Home, prefix: str) -> None:
    """Make toys for ever."""
    os.write(1, b"ready\n")
    number = 0
    while True:
        done = home.do.under(f"{prefix}-{number}", make, name=f"{prefix}-{number}")
        os.write(1, f"{prefix}-{number} {done.position}\n".encode())
        number += 1


def rebuild_for_ever(home: Home) -> None:
    """Rebuild one projection after the other."""
    os.write(1, b"ready\n")
    while True:
        for projection in projections.values():
            rebuild(home.ports, projection)


WHAT: dict[str, Callable[..., None]] = {"run": run, "write": write, "rebuild": rebuild_for_ever}

if __name__ == "__main__":
    logging.disable()
    with only_toys():
        WHAT[sys.argv[2]](wire_toys(Path(sys.argv[1])), *sys.argv[3:])
