"""`mlife alarm`: what rules found, and that somebody saw it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mlife.cli.terminal import json_option, print_json, query_argument, show, with_home

if TYPE_CHECKING:
    from datetime import datetime

    from mlife.runtime import Home

COLUMNS = ("alarm_id", "sentence", "badcases", "reports", "rule_id", "raised_at", "ended_at", "acknowledged_by")
until_option = click.option(
    "--until", required=True, type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]), help="When it may speak again (UTC)."
)
reason_option = click.option("--reason", required=True, help="Why it may wait.")


@click.group("alarm")
def command() -> None:
    """Alarms: one for all badcases of a shift, a rise, a return or a sum; `mlife rule` says what raises them."""


@command.command("list")
@query_argument
@click.option("--waiting", is_flag=True, help="Only those that nobody acknowledged.")
@json_option
@with_home
def list_(home: Home, query: str, waiting: bool, as_json: bool) -> None:
    """
    List alarms that QUERY finds, the newest first.

    \b
    mlife alarm list --waiting
    mlife alarm list firing:yes kind:rate_change
    """
    from mlife.badcases.views import alarms

    home.see(home.ports.store.head())
    q = f"({query}) waiting:yes" if waiting and query else "waiting:yes" if waiting else query
    with home.ports.views.read() as read:
        rows = [asdict(a) for a in alarms.list_alarms(read, q, now=home.do.clock.now(), limit=200).items]
    empty = "no alarm; they come by themselves while `mlife up` runs"
    show(rows, as_json=as_json, columns=COLUMNS, empty=empty)


@command.command("show")
@click.argument("alarm_id")
@json_option
@with_home
def show_(home: Home, alarm_id: str, as_json: bool) -> None:
    """
    Show one alarm: the rule that raised it, its badcases, and whom it was told to.

    \b
    mlife alarm show alm-8e649bc67fd5
    """
    from mlife.badcases.views import alarms, lists, turns
    from mlife.core.errors import there_is

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        found = there_is(turns.alarm(read, alarm_id), "alarm", alarm_id)
        told = alarms.deliveries_of(read, alarm_id)
        badcases = lists.badcases_by_id(read, alarms.at_home(read, found).badcase_ids)
    if as_json:
        print_json({**asdict(found), "deliveries": [asdict(d) for d in told]})
        return
    click.echo(found.sentence)
    seen = f"seen by {found.acknowledged_by or 'somebody'}" if found.acknowledged_at else "nobody saw it yet"
    click.echo(f"{found.bundle}, raised by {found.rule_id} version {found.rule_version}; {seen}")
    if found.ended:
        click.echo(found.ended)
    shown: list[dict[str, Any]] = [
        {"badcase_id": b.badcase_id, "title": b.title, "reports": b.reports, "status": b.status} for b in badcases[:20]
    ]
    show(shown, as_json=False, empty="its badcases are gone")
    rows = [{"told": f"{d.channel} {d.target}", "of": d.occasion, "": d.word, "problem": d.problem} for d in told]
    show(rows, as_json=False, empty="told to nobody outside; `webhook` and `mail` are settings")


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


@command.command("mute")
@click.argument("alarm_id")
@until_option
@reason_option
@json_option
@with_home
def mute(home: Home, alarm_id: str, until: datetime, reason: str, as_json: bool) -> None:
    """
    Let its rule raise nothing about the same system, function, and version or cause, until a moment.

    \b
    mlife alarm mute alm-8e649bc67fd5 --until 2027-01-31 --reason "the new camera comes in January"
    """
    from mlife.badcases import commands
    from mlife.badcases.views import turns
    from mlife.core.errors import there_is

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        found = there_is(turns.alarm(read, alarm_id), "alarm", alarm_id)
    done = home.do(commands.mute_rule, rule_id=found.rule_id, bundle=found.bundle, until=until, reason=reason)
    if as_json:
        print_json({"position": done.position, "rule_id": found.rule_id, "bundle": found.bundle})
    else:
        click.echo(f"{found.rule_id} says nothing about {found.bundle} until {until:%Y-%m-%d %H:%M} UTC")
