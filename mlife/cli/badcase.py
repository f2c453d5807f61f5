"""`mlife badcase`: failures in, what became of them, and what people decide."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mlife.cli import export, regrouping, reporting, suggesting
from mlife.cli.terminal import json_option, print_json, show, told_done, with_home
from mlife.core.errors import there_is

if TYPE_CHECKING:
    from mlife.runtime import Home

COLUMNS = (
    *("badcase_id", "title", "status", "reports", "pictures", "clients", "rate"),
    *("first_version", "last_version", "priority", "owner"),
)


@click.group("badcase")
def command() -> None:
    """Badcases: report failures, list and show them, triage, mute, reject, pin, merge, split."""


for one in (*reporting.COMMANDS, *regrouping.COMMANDS, *suggesting.COMMANDS):
    command.add_command(one)


command.add_command(export.badcases, "export")


@command.command("list")
@click.argument("query", nargs=-1)
@click.option("--sort", help="Fields, - for descending: -reports,first. Default: -priority.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--after", help="Cursor of the next page: the last line of this one names it.")
@json_option
@with_home
def list_(home: Home, query: tuple[str, ...], sort: str | None, limit: int, after: str | None, as_json: bool) -> None:
    """
    List badcases that a query matches, the most urgent first.

    \b
    mlife badcase list open:yes function:digit 'reports>=10'
    """
    from mlife.badcases.views import lists

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        found = lists.badcases(read, " ".join(query), now=home.do.clock.now(), sort=sort, after=after, limit=limit)
    rows = [asdict(b) for b in found.items]
    show(
        rows,
        as_json=as_json,
        columns=COLUMNS,
        empty="no badcase matches: ask for less, or take reports in with `mlife badcase report FILE`",
    )
    if not as_json and found.total > len(rows):
        click.echo(f"{len(rows)} of {found.total} badcases; more with --limit, or --after {found.after}")


@command.command("show")
@click.argument("badcase_id")
@json_option
@with_home
def show_(home: Home, badcase_id: str, as_json: bool) -> None:
    """
    Show one badcase: counts, why grouped, versions, verdicts.

    \b
    mlife badcase show bc-3dc1050e9f4b
    """
    from mlife.badcases.fingerprint import explain
    from mlife.badcases.views import details
    from mlife.badcases.views import priority as priorities

    b = _existing(home, badcase_id)
    why = explain(b.fingerprint, b.fingerprint_version)
    with home.ports.views.read() as read:
        verdicts = details.verdicts(read, badcase_id)
        versions = details.version_counts(read, badcase_id)
        because = there_is(priorities.why(read, badcase_id), "badcase", badcase_id)
    if as_json:
        print_json(
            {
                **asdict(b),
                "why": asdict(why),
                "why_priority": asdict(because),
                "verdicts": [asdict(v) for v in verdicts],
                "versions": [{**asdict(v), "word": v.word} for v in versions],
            }
        )
        return
    click.echo(f"{badcase_id}  {b.title}  {b.status}, priority {b.priority:.0f}")
    rate = f", {b.rate:.1f} per 1,000 requests" if b.rate is not None else ""
    click.echo(f"{b.reports} reports of {b.pictures} pictures from {b.clients} clients{rate}")
    click.echo(why.sentence)
    if b.said:
        click.echo(b.said)
    terms = "; ".join(f"{t.term} {t.points:.1f} of {t.most} ({t.sentence})" for t in because.terms)
    click.echo(f"priority {because.computed:.1f} by the formula: {terms}")
    show(
        [
            {"version": v.version, "models": ", ".join(v.model_ids), "against": v.word, "reports": v.reports}
            | {"pictures": v.files, "requests": v.requests}
            for v in versions
        ],
        as_json=False,
        empty="no reports",
    )
    for v in verdicts:
        click.echo(f"{v.model_id}{' (active)' if v.active else ''}: {v.sentence}")


def _existing(home: Home, badcase_id: str) -> Any:
    from mlife.badcases.views import grouping, lists

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        found = there_is(lists.badcase(read, badcase_id), "badcase", badcase_id)
        grouping.must_be_counted_here(read, badcase_id)
        return found


@command.command("triage")
@click.argument("badcase_id")
@click.option("--note", default="", help="What you found.")
@json_option
@with_home
def triage(home: Home, badcase_id: str, note: str, as_json: bool) -> None:
    """
    Say that you looked at it and take it seriously.

    \b
    mlife badcase triage bc-3dc1050e9f4b --note "masks that slip"
    """
    from mlife.badcases import commands

    _existing(home, badcase_id)
    done = home.do(commands.triage, badcase_id=badcase_id, note=note)
    told_done(home, done, f"{badcase_id} is triaged", as_json=as_json, badcase_id=badcase_id)


@command.command("assign")
@click.argument("badcase_id")
@click.argument("owner", default="")
@json_option
@with_home
def assign(home: Home, badcase_id: str, owner: str, as_json: bool) -> None:
    """
    Give it an OWNER; without one, nobody owns it.

    \b
    mlife badcase assign bc-3dc1050e9f4b ana
    """
    from mlife.badcases import commands

    _existing(home, badcase_id)
    done = home.do(commands.assign, badcase_id=badcase_id, owner=owner)
    told_done(home, done, f"{owner or 'nobody'} looks after {badcase_id}", as_json=as_json, badcase_id=badcase_id)


@command.command("prioritise")
@click.argument("badcase_id")
@click.argument("priority", type=click.FloatRange(0, 100), required=False)
@click.option("--reason", default="", help="Why the computed priority is wrong.")
@json_option
@with_home
def prioritise(home: Home, badcase_id: str, priority: float | None, reason: str, as_json: bool) -> None:
    """
    Set its PRIORITY (0 to 100) by hand; without one, it is computed again.

    \b
    mlife badcase prioritise bc-3dc1050e9f4b 90 --reason "shown at the fair"
    """
    from mlife.badcases import commands

    _existing(home, badcase_id)
    done = home.do(commands.prioritise, badcase_id=badcase_id, priority=priority, reason=reason)
    told_done(home, done, f"the priority of {badcase_id} is set", as_json=as_json, badcase_id=badcase_id)


@command.command("mute")
@click.argument("badcase_id")
@click.option("--until", required=True, type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]), help="UTC.")
@click.option("--reason", required=True, help="Why it may wait.")
@json_option
@with_home
def mute(home: Home, badcase_id: str, until: Any, reason: str, as_json: bool) -> None:
    """
    Let it ask for no attention until a moment; then it comes back by itself.

    \b
    mlife badcase mute bc-3dc1050e9f4b --until 2026-12-01 --reason "fixed with the next camera"
    """
    from mlife.badcases import commands

    _existing(home, badcase_id)
    done = home.do(commands.mute, badcase_id=badcase_id, until=until, reason=reason)
    told_done(
        home, done, f"{badcase_id} is muted until {until:%Y-%m-%d %H:%M} UTC", as_json=as_json, badcase_id=badcase_id
    )


@command.command("unmute")
@click.argument("badcase_id")
@json_option
@with_home
def unmute(home: Home, badcase_id: str, as_json: bool) -> None:
    """
    End its mute now.

    \b
    mlife badcase unmute bc-3dc1050e9f4b
    """
    from mlife.badcases import commands

    _existing(home, badcase_id)
    done = home.do(commands.unmute, badcase_id=badcase_id)
    told_done(home, done, f"{badcase_id} is no longer muted", as_json=as_json, badcase_id=badcase_id)


@command.command("reject")
@click.argument("badcase_id")
@click.option("--reason", required=True, type=click.Choice(["not_a_failure", "truth_was_wrong", "wont_fix"]))
@click.option("--note", default="", help="In words.")
@json_option
@with_home
def reject(home: Home, badcase_id: str, reason: Any, note: str, as_json: bool) -> None:
    """
    Decide that it is no target; its reports stay.

    \b
    mlife badcase reject bc-3dc1050e9f4b --reason truth_was_wrong --note "a 4 with a tail"
    """
    from mlife.badcases import commands

    _existing(home, badcase_id)
    done = home.do(commands.reject, badcase_id=badcase_id, reason=reason, note=note)
    told_done(home, done, f"{badcase_id} is rejected", as_json=as_json, badcase_id=badcase_id)


@command.command("reopen")
@click.argument("badcase_id")
@click.option("--reason", required=True, help="What was wrong about the rejection or closing.")
@json_option
@with_home
def reopen(home: Home, badcase_id: str, reason: str, as_json: bool) -> None:
    """
    Take a rejection or a closing back.

    \b
    mlife badcase reopen bc-3dc1050e9f4b --reason "seen again in the lab"
    """
    from mlife.badcases import commands

    _existing(home, badcase_id)
    done = home.do(commands.reopen, badcase_id=badcase_id, reason=reason)
    told_done(home, done, f"{badcase_id} is reopened", as_json=as_json, badcase_id=badcase_id)


@command.command("pin")
@click.argument("badcase_id")
@click.option("--must-pass", is_flag=True, help="These files have to pass, whatever the share is.")
@click.option("--most", type=click.IntRange(1, 1_000), default=1_000, show_default=True, help="Files at most.")
@json_option
@with_home
def pin(home: Home, badcase_id: str, must_pass: bool, most: int, as_json: bool) -> None:
    """
    Add to Test Data: make its files testing rows of its function's test document. Twice changes nothing.

    \b
    mlife badcase pin bc-3dc1050e9f4b --must-pass
    """
    from mlife.badcases import commands
    from mlife.badcases.testdata import pinnable_rows
    from mlife.core.names import test_document_id

    b = _existing(home, badcase_id)
    with home.ports.views.read() as read:
        rows = pinnable_rows(home.ports.store, read, badcase_id)[:most]
    done = home.do(
        commands.pin,
        badcase_id=badcase_id,
        system=b.system,
        function=b.function,
        rows=rows,
        must_pass=must_pass,
        iteration_id=b.iterations[-1][0] if b.iterations else None,
    )
    document_id = test_document_id(b.system, b.function)
    pinned = len(getattr(done.events[0], "rows", ())) if done.events else 0
    words = f"{pinned} files of {badcase_id} are testing rows of {document_id}"
    told_done(home, done, words, as_json=as_json, badcase_id=badcase_id, pinned=pinned, document_id=document_id)


@command.command("undo")
@click.argument("badcase_id")
@click.option("--version", type=click.IntRange(1), help="Of the event in the badcase's stream. Default: the last.")
@json_option
@with_home
def undo(home: Home, badcase_id: str, version: int | None, as_json: bool) -> None:
    """
    Take back what somebody did: triage, assign, prioritise, mute, unmute, reject or reopen.

    Refused if what it set has changed since.

    \b
    mlife badcase undo bc-3dc1050e9f4b
    """
    from mlife.badcases import commands

    _existing(home, badcase_id)
    done = home.do(commands.take_back, badcase_id=badcase_id, version=version)
    what = getattr(done.events[0], "what", "")
    told_done(home, done, f"{badcase_id}: {what} is taken back", as_json=as_json, badcase_id=badcase_id, what=what)


@command.command("comment")
@click.argument("badcase_id")
@click.argument("text", default="")
@click.option("--edit", metavar="COMMENT_ID", help="Change this comment to TEXT.")
@click.option("--delete", metavar="COMMENT_ID", help="Delete this comment.")
@json_option
@with_home
def comment(home: Home, badcase_id: str, text: str, edit: str | None, delete: str | None, as_json: bool) -> None:
    """
    Say something about a badcase; without TEXT, show what was said. The log keeps what a comment said before.

    \b
    mlife badcase comment bc-3dc1050e9f4b "seen with wet lenses only"
    """
    from mlife.badcases import commands
    from mlife.badcases.views.comments import comments_on

    b = _existing(home, badcase_id)
    if edit is None and delete is None and not text:
        with home.ports.views.read() as read:
            rows = [home.sealer.open(asdict(c)) for c in comments_on(read, badcase_id)]
        show(rows, as_json=as_json, columns=("comment_id", "text", "by", "at"), empty="nobody has said anything")
        return
    if delete is not None:
        done = home.do(commands.delete_comment, badcase_id=badcase_id, comment_id=delete)
    elif edit is not None:
        done = home.do(commands.edit_comment, badcase_id=badcase_id, system=b.system, comment_id=edit, text=text)
    else:
        done = home.do(commands.write_comment, badcase_id=badcase_id, system=b.system, text=text)
    comment_id = delete or edit or getattr(done.events[0], "comment_id", None)
    told_done(home, done, f"{comment_id} stands", as_json=as_json, badcase_id=badcase_id, comment_id=comment_id)
