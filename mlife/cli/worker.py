"""`mlife worker`: processes that work beside the server."""

from __future__ import annotations

import logging
import signal
import threading
from typing import TYPE_CHECKING

import click

from mlife.cli.terminal import with_home

if TYPE_CHECKING:
    from mlife.runtime import Home


@click.group("worker")
def command() -> None:
    """
    Run what works beside the server in processes of their own.

    `tasks` runs users' code, in both sizes. The others are the cluster size: any number of each, on any machine; they
    share the work, and the others take over what a killed one did.
    """


@command.command("tasks")
@click.option("--once", is_flag=True, help="Run what waits now, then end.")
@click.option("--parallel", default=1, show_default=True, type=click.IntRange(1, 64), help="Tasks at the same time.")
@click.option("--time-limit", default=86_400.0, show_default=True, help="Seconds for a task that names no limit.")
@with_home
def tasks(home: Home, once: bool, parallel: int, time_limit: float) -> None:
    """
    Run users' training and testing code, one child process per task.

    Any number of workers may run on a home: a task is leased by one. Killing a worker loses nothing; Ctrl-C gives its
    running tasks back.

    \b
    mlife worker tasks --parallel 2
    mlife worker tasks --once
    """
    from mlife.training.worker import TaskWorker

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    worker = TaskWorker(
        home.ports,
        home.do,
        home.settings.home / "runs",
        parallel=parallel,
        see=home.see,
        time_limit=time_limit,
    )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if once:
        count = worker.once(stop)
        click.echo(f"{count} task{'' if count == 1 else 's'} run" if count else "no task waits")
    else:
        click.echo(f"worker {worker.name} waits for tasks of {home.settings.home}; Ctrl-C ends it")
        worker.run(stop)


@command.command("projections")
@with_home
def projections(home: Home) -> None:
    """
    Fold the log into the query tables.

    Kafka deals the projections out among these workers. While it is away, each goes on with what it has, reading the
    log from its store.

    \b
    mlife worker projections
    """
    from mlife.runtime.working import work

    talk()
    work(home, "projections")


@command.command("handlers")
@with_home
def handlers(home: Home) -> None:
    """
    Do what follows from facts: handlers, and timers of moments that have come.

    Kafka deals them out among these workers, as it does with projections. What a handler can't handle is parked; see
    `mlife deadletter`.

    \b
    mlife worker handlers
    """
    from mlife.runtime.working import work

    talk()
    work(home, "handlers")


@command.command("intake")
@with_home
def intake(home: Home) -> None:
    """
    Take the reports that customers produce straight to the topic mlife.feedback.

    A message holds one report, as JSON or as a CloudEvent in structured mode. What can't be taken goes to
    mlife.feedback.dlq as it came, and its headers mlife_problem, mlife_field, mlife_value, mlife_expected say why;
    mlife_topic, mlife_partition and mlife_offset say where it stood, and tell doubles.

    \b
    mlife worker intake
    """
    from mlife.runtime.working import take_in

    talk()
    take_in(home)


def talk() -> None:
    """Say on standard error what goes on."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
