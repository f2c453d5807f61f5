"""`mlife alarm`: what came together, and that somebody saw it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mlife.cli.terminal import json_option, print_json, show, with_home

if TYPE_CHECKING:
    from mlife.runtime import Home


@click.group("alarm")
def command() -> None:
    """Alarms: one for all new badcases of a version of a function."""


@command.command("list")
@click.option("--waiting", is_flag=True, help="Only those that nobody acknowledged.")
@json_option
@with_home
def list_(home: Home, waiting: bool, as_json: bool) -> None:
    """
    List alarms, the newest first.

    \b
    mlife alarm list --waiting
    """
    from mlife.badcases.views import turns

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        rows = [asdict(a) for a in turns.alarms(read, waiting=waiting)]
    columns = ("alarm_id", "sentence", "badcases", "reports", "rate", "usual", "acknowledged_by")
    show(rows, as_json=as_json, columns=columns, empty="no alarm; they come by themselves while `mlife up` runs")


@command.command("acknowledge")
@click.argument("alarm_id")
@click.option("--note", default="", help="What you make of it.")
@json_option
@with_home
def acknowledge(home: Home, alarm_id: str, note: str, as_json: bool) -> None:
    """
    Say that you saw it; from then on a clear rise raises the next one.

    \b
    mlife alarm acknowledge alm-8e649bc67fd5 --note "the new camera"
    """
    from mlife.badcases import commands

    done = home.do(commands.acknowledge_alarm, alarm_id=alarm_id, note=note)
    if done.position:
        home.see(done.position)
    if as_json:
        print_json({"position": done.position, "alarm_id": alarm_id, "changed": bool(done.events)})
    else:
        click.echo(f"{alarm_id} is acknowledged" if done.events else f"{alarm_id} was acknowledged before")
