"""`mlife deadletter`: facts that a handler could not handle."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mlife.cli.terminal import json_option, print_json, show, with_home
from mlife.core import control
from mlife.core.errors import NotFound

if TYPE_CHECKING:
    from mlife.core.handler import DeadLetter
    from mlife.runtime import Home


@click.group("deadletter")
def command() -> None:
    """Parked keys: see why, try again, or let them be."""


@command.command("list")
@click.argument("handler", default="")
@json_option
@with_home
def list_(home: Home, handler: str, as_json: bool) -> None:
    """
    List parked facts in the order they happened.

    \b
    mlife deadletter list
    """
    rows = [asdict(letter) for letter in home.book.letters(handler)]
    show(rows, as_json=as_json, empty="nothing is parked: every handler has dealt with every fact")


@command.command("show")
@click.argument("handler")
@click.argument("position", type=click.IntRange(min=1))
@with_home
def show_(home: Home, handler: str, position: int) -> None:
    """
    Show a parked fact as a CloudEvent, and why it is parked.

    \b
    mlife deadletter show serving.judge 6279
    """
    letter = _letter(home, handler, position)
    (recorded,) = home.ports.store.read(position - 1, 1)
    print_json({**asdict(letter), "event": recorded.as_cloud_event()})


@command.command("retry")
@click.argument("handler")
@click.argument("key")
@with_home
def retry(home: Home, handler: str, key: str) -> None:
    """
    Try the parked facts of a key again, in order; at once if `mlife up` is running, else when it starts.

    \b
    mlife deadletter retry serving.judge mdl-3f9a2c41b7d0
    """
    asked = home.book.ask_retry(handler, key)
    if not asked:
        raise NotFound(f"handler {handler!r} has parked nothing of key {key!r}", remedy="see `mlife deadletter list`")
    click.echo(f"{asked} parked facts of {key} are tried again")


@command.command("skip")
@click.argument("handler")
@click.argument("position", type=click.IntRange(min=1))
@click.option("--reason", required=True, help="Why the fact may stay unhandled; it is recorded.")
@with_home
def skip(home: Home, handler: str, position: int, reason: str) -> None:
    """
    Let a fact stay unhandled, and the later ones of its key go on; recorded as an event.

    \b
    mlife deadletter skip serving.judge 6279 --reason "that model was withdrawn"
    """
    letter = _letter(home, handler, position)
    # the same words again, after a kill before the letter was unparked, are recorded once
    once = f"deadletter skip:{handler}:{position}:{reason}"
    home.do.under(once, control.skip_dead_letter, handler=handler, key=letter.key, position=position, reason=reason)
    home.book.unpark(handler, position)
    home.book.ask_retry(handler, letter.key)
    click.echo(f"{handler} leaves position {position} unhandled")


def _letter(home: Home, handler: str, position: int) -> DeadLetter:
    for letter in home.book.letters(handler):
        if letter.position == position:
            return letter
    raise NotFound(f"handler {handler!r} has parked nothing at {position}", remedy="see `mlife deadletter list`")
