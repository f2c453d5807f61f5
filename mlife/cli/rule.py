"""`mlife rule`: what raises alarms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mlife.cli.alarm import reason_option, until_option
from mlife.cli.terminal import json_option, print_json, query_argument, show, with_home

if TYPE_CHECKING:
    from datetime import datetime

    from mlife.badcases.views.alarms import RuleView
    from mlife.core.command import Done
    from mlife.runtime import Home

COLUMNS = ("rule_id", "state", "muted", "kind", "title", "q", "line", "lower", "least", "version")
KINDS = ("new_badcase", "rate_change", "pinned_again", "open_cost")


def numbers(run: Callable[..., None]) -> Callable[..., None]:
    """The options that a rule's text is made of; what is left out stays as it is."""
    options = (
        click.option("--title", help="What it is called; a new rule needs one."),
        click.option("--query", "q", help="Which badcases it looks at."),
        click.option("--least", type=int, help="Reports that are needed."),
        click.option("--line", type=float, help="Upper line: times the usual rate, or the sum of open cost."),
        click.option("--lower", type=float, help="Lower line, where the alarm ends."),
        click.option("--significance", type=float, help="p below which a rate is believed."),
        click.option("--window-days", type=int, help="Days that are compared."),
        click.option("--past-days", type=int, help="Days before, that they are compared with."),
        click.option("--measure", type=click.Choice(["badcases", "reports", "priority"]), help="What cost adds up."),
        click.option("--deliver", help="webhook,mail or one of them, or nobody."),
    )
    for option in reversed(options):
        run = option(run)
    return run


def _said(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


@click.group("rule")
def command() -> None:
    """Rules: what raises alarms, over the same queries as lists."""


@command.command("list")
@click.option("--deleted", is_flag=True, help="Deleted ones, too.")
@json_option
@with_home
def list_(home: Home, deleted: bool, as_json: bool) -> None:
    """
    List the rules with their numbers.

    \b
    mlife rule list
    """
    from mlife.badcases.views import alarms

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        rows = [_row(r) for r in alarms.rules(read, deleted=deleted)]
    show(rows, as_json=as_json, columns=COLUMNS)


def _row(view: RuleView) -> dict[str, Any]:
    mutes = [asdict(m) for m in view.mutes]
    text = view.rule.model_dump(mode="json")
    muted = ", ".join(f"{m.bundle} until {m.until:%Y-%m-%d %H:%M}".strip() for m in view.mutes) or None
    about = {"rule_id": view.rule_id, "version": view.version, "state": view.state}
    return {**about, **text, "muted": muted, "mutes": mutes}


@command.command("add")
@click.argument("kind", type=click.Choice(KINDS))
@numbers
@json_option
@with_home
def add(home: Home, /, kind: str, as_json: bool, **options: Any) -> None:
    """
    Watch for something.

    \b
    mlife rule add rate_change --title "night drives" --query "system:dms severity:>=major" --line 3
    mlife rule add open_cost --title "too much is open" --measure priority --line 2000 --lower 1500
    """
    from mlife.badcases import commands
    from mlife.badcases.alarms_rules import rule_of
    from mlife.badcases.events import RuleCreated

    rule = rule_of({"kind": kind, **_said(options)}, now=home.do.clock.now())
    done = home.do(commands.create_rule, rule=rule)
    rule_id = done.first(RuleCreated).rule_id
    _tell(home, done, rule_id, "watches from now on", as_json)


@command.command("change")
@click.argument("rule_id")
@numbers
@json_option
@with_home
def change(home: Home, /, rule_id: str, as_json: bool, **options: Any) -> None:
    """
    Change a rule; what is not said stays.

    \b
    mlife rule change rul-rate --line 3 --window-days 3
    """
    from mlife.badcases import commands
    from mlife.badcases.alarms_rules import rule_of

    before = _the_rule(home, rule_id)
    rule = rule_of(_said(options), now=home.do.clock.now(), before=before.rule)
    _tell(home, home.do(commands.change_rule, rule_id=rule_id, rule=rule), rule_id, "is changed", as_json)


@command.command("pause")
@click.argument("rule_id")
@click.option("--reason", default="", help="Why.")
@json_option
@with_home
def pause(home: Home, rule_id: str, reason: str, as_json: bool) -> None:
    """
    Let a rule raise nothing until it is resumed.

    \b
    mlife rule pause rul-new-badcases --reason "the fleet is in the workshop"
    """
    from mlife.badcases import commands

    _tell(home, home.do(commands.pause_rule, rule_id=rule_id, reason=reason), rule_id, "is paused", as_json)


@command.command("resume")
@click.argument("rule_id")
@json_option
@with_home
def resume(home: Home, rule_id: str, as_json: bool) -> None:
    """
    Take a pause or a deletion back.

    \b
    mlife rule resume rul-rate
    """
    from mlife.badcases import commands

    _tell(home, home.do(commands.resume_rule, rule_id=rule_id), rule_id, "watches", as_json)


@command.command("delete")
@click.argument("rule_id")
@json_option
@with_home
def delete(home: Home, rule_id: str, as_json: bool) -> None:
    """
    Take a rule off the list; its alarms stay, and `mlife rule resume` brings it back.

    \b
    mlife rule delete rul-open
    """
    from mlife.badcases import commands

    _tell(home, home.do(commands.delete_rule, rule_id=rule_id), rule_id, "is deleted", as_json)


@command.command("mute")
@click.argument("rule_id")
@until_option
@reason_option
@json_option
@with_home
def mute(home: Home, rule_id: str, until: datetime, reason: str, as_json: bool) -> None:
    """
    Let a rule raise nothing until a moment; `unmute` ends it sooner.

    \b
    mlife rule mute rul-rate --until 2027-01-31 --reason "winter tests"
    """
    from mlife.badcases import commands

    done = home.do(commands.mute_rule, rule_id=rule_id, until=until, reason=reason)
    _tell(home, done, rule_id, f"is muted until {until:%Y-%m-%d %H:%M} UTC", as_json)


@command.command("unmute")
@click.argument("rule_id")
@click.option("--bundle", default="", help="What `mlife alarm mute` silenced, as `mlife rule list` names it.")
@json_option
@with_home
def unmute(home: Home, rule_id: str, bundle: str, as_json: bool) -> None:
    """
    Let a muted rule speak again now.

    \b
    mlife rule unmute rul-rate
    mlife rule unmute rul-rate --bundle digits/digit/1.0
    """
    from mlife.badcases import commands

    done = home.do(commands.unmute_rule, rule_id=rule_id, bundle=bundle)
    _tell(home, done, rule_id, "is no longer muted", as_json)


@command.command("undo")
@click.argument("rule_id")
@json_option
@with_home
def undo(home: Home, rule_id: str, as_json: bool) -> None:
    """
    Take the last thing back that was done to a rule: a change, a pause, a mute, a deletion; twice is as it was.

    \b
    mlife rule undo rul-rate
    """
    from mlife.badcases import commands

    _tell(home, home.do(commands.undo_rule, rule_id=rule_id), rule_id, "is as before the last change", as_json)


@command.command("preview")
@click.argument("rule_id_or_kind")
@query_argument
@click.option("--line", type=float, help="Instead of the rule's own upper line.")
@click.option("--lower", type=float, help="Instead of the rule's own lower line.")
@click.option("--least", type=int, help="Instead of the reports that the rule needs.")
@json_option
@with_home
def preview(home: Home, /, rule_id_or_kind: str, query: str, as_json: bool, **options: Any) -> None:
    """
    What would a rule have raised in the last 12 weeks? By its id, or by its kind with the default numbers.

    \b
    mlife rule preview rul-rate
    mlife rule preview rate_change function:digit --line 3
    """
    from mlife.badcases.alarms_rules import rule_of
    from mlife.badcases.views import alarms_preview

    now = home.do.clock.now()
    said = {**_said(options), **({"q": query} if query else {})}
    if rule_id_or_kind in KINDS:
        rule = rule_of({"kind": rule_id_or_kind, "title": "preview", **said}, now=now)
    else:
        rule = rule_of(said, now=now, before=_the_rule(home, rule_id_or_kind).rule)
    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        rows = [asdict(w) for w in alarms_preview.preview(read, rule, now=now)]
    show(rows, as_json=as_json, columns=("at", "until", "sentence", "reports"), empty="it would have raised none")


def _the_rule(home: Home, rule_id: str) -> RuleView:
    from mlife.badcases.views import alarms
    from mlife.core.errors import there_is

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        return there_is(alarms.rule(read, rule_id), "rule", rule_id)


def _tell(home: Home, done: Done, rule_id: str, words: str, as_json: bool) -> None:
    if done.position:
        home.see(done.position)
    if as_json:
        print_json({"position": done.position, "rule_id": rule_id, "changed": bool(done.events)})
    else:
        click.echo(f"{rule_id} {words}" if done.events else f"{rule_id} is as it was")
