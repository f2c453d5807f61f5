"""`mlife badcase merge|unmerge|split|rejoin|why|rule`: which reports belong together."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mlife.cli.terminal import json_option, print_json, show, told_done, with_home

if TYPE_CHECKING:
    from mlife.badcases.fingerprint import Rule
    from mlife.badcases.ruling import Effect
    from mlife.runtime import Home


@click.command("merge")
@click.argument("badcase_ids", nargs=-1, required=True, metavar="BADCASE_ID…")
@click.option("--into", help="Count them there. Default: in the one with the most reports.")
@click.option("--reason", default="", help="Why they are one failure.")
@json_option
@with_home
def merge(home: Home, badcase_ids: tuple[str, ...], into: str | None, reason: str, as_json: bool) -> None:
    """
    Count badcases in another one: old reports and new, pins, verdicts, causes and iterations. `unmerge` undoes it.

    \b
    mlife badcase merge bc-3dc1050e9f4b --into bc-0c2ad84a51fd --reason "the same masks"
    """
    from mlife.badcases import commands
    from mlife.badcases.regrouping import to_merge

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        given = to_merge(read, badcase_ids, into)
    done = home.do(commands.merge, **given, reason=reason)
    merged = [getattr(e, "badcase_id", "") for e in done.events]
    words = f"{', '.join(merged)}: counted in {given['into']} now"
    told_done(home, done, words, as_json=as_json, into=given["into"], merged=merged)


@click.command("unmerge")
@click.argument("badcase_id")
@click.option("--reason", default="", help="What was wrong about the merge.")
@json_option
@with_home
def unmerge(home: Home, badcase_id: str, reason: str, as_json: bool) -> None:
    """
    Take a merge back: the badcase is counted by itself again, with all that came for it since.

    \b
    mlife badcase unmerge bc-3dc1050e9f4b
    """
    from mlife.badcases import commands

    done = home.do(commands.unmerge, badcase_id=badcase_id, reason=reason)
    was = getattr(done.events[0], "was_into", "")
    words = f"{badcase_id} is counted by itself again, apart from {was}"
    told_done(home, done, words, as_json=as_json, badcase_id=badcase_id, was_into=was)


@click.command("split")
@click.argument("badcase_id")
@click.option("--title", required=True, help="What these reports show.")
@click.option("--report", "reports", type=click.IntRange(1), multiple=True, help="Position of a report; repeat it.")
@click.option("--query", "q", help="All reports of it that a query finds now.")
@click.option("--reason", default="", help="Why they are another failure.")
@json_option
@with_home
def split(
    home: Home, badcase_id: str, title: str, reports: tuple[int, ...], q: str | None, reason: str, as_json: bool
) -> None:
    """
    Count some reports of a badcase in a badcase of their own. Reports that come later stay with the old one.

    \b
    mlife badcase split bc-3dc1050e9f4b --title "open tops, at night" --query "client:fleet-7"
    """
    from mlife.badcases import commands
    from mlife.badcases.regrouping import to_split

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        given = to_split(read, badcase_id, reports, q, now=home.do.clock.now())
    done = home.do(commands.split, **given, title=title, reason=reason)
    new_id = getattr(done.events[0], "badcase_id", "")
    words = f"{len(given['reports'])} reports of {badcase_id} are counted in {new_id} now"
    told_done(home, done, words, as_json=as_json, badcase_id=new_id, reports=len(given["reports"]))


@click.command("rejoin")
@click.argument("badcase_id")
@click.option("--again", is_flag=True, help="The other way: make a split again that was taken back.")
@click.option("--reason", default="", help="What was wrong about it.")
@json_option
@with_home
def rejoin(home: Home, badcase_id: str, again: bool, reason: str, as_json: bool) -> None:
    """
    Take a split back: its reports are counted where they came from.

    \b
    mlife badcase rejoin bc-3dc1050e9f4b
    """
    from mlife.badcases import commands

    done = home.do(commands.split_again if again else commands.rejoin, badcase_id=badcase_id, reason=reason)
    where = f"in {badcase_id} again" if again else "where they came from"
    words = f"the reports of {badcase_id} are counted {where}"
    told_done(home, done, words, as_json=as_json, badcase_id=badcase_id)


@click.command("why")
@click.argument("badcase_id")
@json_option
@with_home
def why(home: Home, badcase_id: str, as_json: bool) -> None:
    """
    Say why each report is in a badcase: by its fingerprint, or by which event.

    \b
    mlife badcase why bc-3dc1050e9f4b
    """
    from mlife.badcases.fingerprint import explain
    from mlife.badcases.views import grouping, lists
    from mlife.core.errors import there_is

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        elsewhere = grouping.home_of(read, badcase_id)
        where = elsewhere.badcase_id if elsewhere else badcase_id
        b = there_is(lists.badcase(read, where), "badcase", badcase_id)
        parts = grouping.parts_of(read, where)
    rows = [{**asdict(p), "because": explain(p.fingerprint, p.rule).sentence} for p in parts]
    counts = {"reports": b.reports, "pictures": b.pictures, "clients": b.clients}
    if as_json:
        print_json({"badcase_id": where, "asked": badcase_id, **counts, "parts": rows})
        return
    if elsewhere:
        click.echo(f"{badcase_id} is counted in {where} (event {elsewhere.number})")
    click.echo(f"{where}  {b.title}: {b.reports} reports, {b.pictures} distinct pictures, {b.clients} clients")
    columns = ("reports", "how", "badcase_id", "number", "by", "reason", "because")
    show(rows, as_json=False, columns=columns, empty="no reports")


@click.command("rule")
@click.argument("system")
@click.argument("function")
@click.option("--field", "fields", multiple=True, help="Compare this declared field too; repeat it.")
@click.option("--description", is_flag=True, help="Compare the description that the function's template makes.")
@click.option("--choose", is_flag=True, help="Make it the rule for new reports. Without it, see what it would do.")
@click.option("--apply", "applies", is_flag=True, help="Count old reports by the rule that was chosen.")
@click.option("--undo", metavar="APPLICATION_ID", help="Count old reports as before an application.")
@json_option
@with_home
def rule(
    home: Home,
    system: str,
    function: str,
    fields: tuple[str, ...],
    description: bool,
    choose: bool,
    applies: bool,
    undo: str | None,
    as_json: bool,
) -> None:
    """
    See by what reports of a function are told apart, and what another rule would do; choose it, apply it, undo that.

    What went wrong is always compared; --choose without a field compares nothing more.

    \b
    mlife badcase rule dms emotion --field place             what it would do
    mlife badcase rule dms emotion --field place --choose    for new reports
    mlife badcase rule dms emotion --apply                   for old ones, too
    """
    from mlife.badcases import commands
    from mlife.badcases.commands.ruling import checked_rule
    from mlife.badcases.intake.declared import schema_of
    from mlife.badcases.places import rule_of

    if sum((choose, applies, bool(undo))) > 1 or ((applies or undo) and (fields or description)):
        raise click.UsageError("one step at a time: --field … to look, --field … --choose, then --apply; or --undo")
    at = {"system": system, "function": function}
    if undo:
        done = home.do(commands.unapply_grouping, **at, application_id=undo)
        told_done(home, done, f"{undo} is taken back", as_json=as_json, application_id=undo)
        return
    if choose:
        done = home.do(commands.rule_grouping, **at, fields=list(fields), description=description)
        words = "new reports are told apart by it; old ones stay until --apply"
        told_done(home, done, words, as_json=as_json, fields=list(fields))
        return
    now = rule_of(home.ports.store, system, function)
    if applies:
        moved = list(_effect(home, system, function, now).as_moved())
        done = home.do(commands.apply_grouping, **at, revision=now.revision, moved=moved)
        ids = sorted({getattr(e, "application_id", "") for e in done.events})
        told_done(home, done, f"{', '.join(ids)}: old reports are counted by the rule", as_json=as_json, applied=ids)
        return
    schema = schema_of(home.ports.store, system, function)
    looked = checked_rule(schema, fields, description=description) if fields or description else now
    told = _effect(home, system, function, looked).told()
    if as_json:
        print_json({"revision": now.revision, "fields": now.fields, "template": now.template, "effect": told})
        return
    _tell_effect(now, looked, told)


def _tell_effect(now: Rule, looked: Rule, told: dict[str, Any]) -> None:
    """What a rule that was *looked* at would do, beside the one that holds now."""
    click.echo(f"the rule, revision {now.revision}, compares {', '.join(now.names) or 'what went wrong alone'}")
    by = "it" if looked is now else f"one that compares {', '.join(looked.names)}"
    click.echo(f"by {by}, {told['moved']} of {told['reports']} reports would be counted elsewhere")
    for one in told["splits"]:
        into = "; ".join(f"{n['title']} ({n['reports']})" for n in one["into"])
        click.echo(f"  {one['badcase_id']}: {into}")


def _effect(home: Home, system: str, function: str, compared: Rule) -> Effect:
    from mlife.badcases.ruling import effect_of
    from mlife.badcases.views import ruling
    from mlife.core.errors import there_is

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        there_is(next(iter(ruling.rules(read, system, function)), None), "function", function)
        return effect_of(home.ports.store, read, home.sealer.open, system, function, compared)


COMMANDS = (merge, unmerge, split, rejoin, why, rule)
