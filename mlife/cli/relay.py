"""`mlife relay`: publishes the log on Kafka."""

from __future__ import annotations

import logging
import signal
import threading

import click


@click.command("relay")
@click.option("--home", type=click.Path(file_okay=False), help="The home to work on (default: MLIFE_HOME or ./.mlife).")
@click.option("--once", is_flag=True, help="Publish what the log holds now, then end.")
@click.option(
    "--again-after",
    type=click.IntRange(min=0),
    metavar="POSITION",
    help="Publish again what comes after POSITION: for topics that were lost, or a log that is an old copy.",
)
def command(home: str | None, once: bool, again_after: int | None) -> None:
    """
    Publish every event of the log on Kafka, in order.

    One relay publishes; others on the same log wait, and one of them takes over when it ends. What was published when
    a relay was killed may come again (subscribers see it by ce_sequence), and nothing is ever left out. While Kafka is
    away, events wait in the log.

    \b
    mlife relay
    mlife relay --once
    """
    from mlife.runtime import settings
    from mlife.runtime.relaying import open_relay, run_relay

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    chosen = settings(home)
    if again_after is not None or once:
        with open_relay(chosen) as relay:
            if again_after is not None:
                relay.book.set_back(again_after)
            if once:
                click.echo(f"published up to {relay.once(stop)}")
                return
    run_relay(chosen, stop)
    click.echo("the relay has ended; what is not published yet is in the log")
