"""Wires the workers of the cluster: what Kafka assigns to a process, and the runner that does it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final, Literal, Protocol

from mlife.core.errors import Misconfigured
from mlife.core.events import registry
from mlife.core.handler import handlers
from mlife.core.projection import projections
from mlife.core.rebuild import sweep
from mlife.core.runner import TIMERS
from mlife.runtime import Home, Settings, needing
from mlife.runtime.relaying import open_relay_book

log = logging.getLogger("mlife.worker")

Role = Literal["projections", "handlers"]

LAST_RESORT_SECONDS: Final = 10.0
"""A process that was asked to end and has not by then is ended as by `kill -9`, which loses nothing."""


class Runs(Protocol):
    """What runs in the main thread until it is told to end."""

    async def run(self, stop: asyncio.Event) -> None:
        """Until *stop* is set."""


def names_of(role: Role) -> list[str]:
    """All that workers of *role* run; the timers go with the handlers."""
    return [*projections] if role == "projections" else [*handlers, TIMERS]


def check_bus(chosen: Settings) -> None:
    """Raises Misconfigured: there is no bus, so that a worker would have nothing to do."""
    if chosen.is_alone:
        raise Misconfigured(
            "MLIFE_BUS is inprocess: `mlife up` projects and handles by itself, and needs no such worker",
            remedy="set MLIFE_BUS to kafka://host:port, and MLIFE_STORE to postgresql://…",
        )


def work(home: Home, role: Role) -> None:
    """
    Run what is assigned to this process, until SIGTERM or SIGINT.

    Raises:
        Misconfigured: Kafka can't be used as things are set.
    """
    check_bus(home.settings)
    with needing("cluster", "MLIFE_BUS is kafka"):
        from mlife.adapters.kafka_connection import connection
        from mlife.adapters.worker_faust import FaustWorker
        from mlife.core.topics import topics

    there = connection(home.settings.bus)
    worker = FaustWorker(
        there,
        f"mlife-{role}",
        names_of(role),
        home.runner,
        home.ports.store,
        lambda: secret_of(home.settings),
        topics(registry, partitions=there.partitions),
        home.settings.home / "faust",
    )
    if role == "projections":
        sweep(home.ports)
    with following(home), home.looking() if role == "handlers" else nullcontext():
        until_told(worker)


def secret_of(chosen: Settings) -> bytes:
    """What the relay of this log seals records for its workers with. Raises Unavailable: the database is away."""
    with open_relay_book(chosen) as book:
        return book.secret()


def take_in(home: Home) -> None:
    """
    Take what customers produce to `mlife.feedback`, until SIGTERM or SIGINT.

    Raises:
        Misconfigured: Kafka can't be used as things are set.
    """
    check_bus(home.settings)
    with needing("cluster", "MLIFE_BUS is kafka"):
        from mlife.adapters.intake_faust import FaustIntake
        from mlife.adapters.kafka_connection import connection
        from mlife.core.topics import topics

    from mlife.badcases.intake.feedback import Feedback
    from mlife.badcases.intake.taking import Intake

    there = connection(home.settings.bus)
    until_told(
        FaustIntake(
            there,
            Feedback(Intake(home.ports.store, home.sealer, home.do.clock)),
            topics(registry, partitions=there.partitions),
            home.settings.home / "faust",
        )
    )


@contextmanager
def following(home: Home) -> Iterator[None]:
    """The runner in a thread of its own, for the block, with what `serve` says."""
    stop = threading.Event()
    thread = threading.Thread(target=home.runner.work, args=(stop,), name="mlife-runner", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        home.ports.store.wake()
        thread.join(timeout=5)


def until_told(worker: Runs) -> None:
    """Run *worker* until SIGTERM or SIGINT, and the process ends then, come what may."""
    from mlife.adapters.faust_application import Stuck

    try:
        asyncio.run(_until_told(worker))
    except Stuck as fault:  # its threads are not to be ended, and would be waited for
        log.critical("%s", fault)
        os._exit(1)


async def _until_told(worker: Runs) -> None:
    stop = asyncio.Event()

    def end() -> None:
        stop.set()
        last_resort = threading.Timer(LAST_RESORT_SECONDS, _give_up)
        last_resort.daemon = True
        last_resort.start()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end)
    await worker.run(stop)


def _give_up() -> None:
    log.critical("still not at its end after %g s: the process ends now", LAST_RESORT_SECONDS)
    os._exit(1)
