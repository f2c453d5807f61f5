"""`mlife cause`: why badcases happen, and what is done about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mlife.cli.terminal import json_option, print_json, show, told_done, with_home
from mlife.core.errors import Refused, no_such, there_is

if TYPE_CHECKING:
    from mlife.runtime import Home

REMEDIES = ("collect", "exclude", "relabel", "fix_code", "wont_fix")


@click.group("cause")
def command() -> None:
    """Causes: name why badcases happen, and choose one remedy; all of it can be taken back."""


@command.command("list")
@json_option
@with_home
def list_(home: Home, as_json: bool) -> None:
    """
    List causes, the newest first.

    \b
    mlife cause list --json
    """
    from mlife.badcases.views import turns

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        rows = [asdict(c) for c in turns.causes(read)]
    columns = ("cause_id", "title", "system", "function", "badcases", "open_badcases", "reports", "remedy")
    show(rows, as_json=as_json, columns=columns, empty="no cause is named; name one with `mlife cause name`")


@command.command("name")
@click.argument("title")
@click.option("--query", "-q", default="", help="The badcases, e.g. 'open:yes function:digit'.")
@click.option("--badcase", "badcases", multiple=True, help="A badcase; may be given again.")
@click.option("--explanation", default="", help="Why it happens, in words.")
@json_option
@with_home
def name(home: Home, title: str, query: str, badcases: tuple[str, ...], explanation: str, as_json: bool) -> None:
    """
    Name a cause of badcases of one function.

    \b
    mlife cause name "half-worn mask" --query 'function:emotion "mask"'
    """
    from mlife.badcases import commands
    from mlife.badcases.events import CauseNamed

    system, function, ids = chosen(home, query, badcases)
    done = home.do(
        commands.name_cause, system=system, function=function, title=title, explanation=explanation, badcase_ids=ids
    )
    home.see(done.position)
    cause_id = done.first(CauseNamed).cause_id
    if as_json:
        print_json({"position": done.position, "cause_id": cause_id, "badcases": len(ids)})
    else:
        click.echo(f"{cause_id} holds {len(ids)} badcases")


def chosen(home: Home, query: str, badcases: tuple[str, ...]) -> tuple[str, str, list[str]]:
    """
    System, function and ids of the badcases that a query or a list of ids names.

    Raises:
        NotFound: one that is named is not there. Refused: there is none, or they are of several functions.
    """
    from mlife.badcases.views import lists

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        ids = list(badcases) or lists.ids_to_freeze(read, query, now=home.do.clock.now())
        found = lists.badcases_by_id(read, ids)
    known = {b.badcase_id for b in found}
    for badcase_id in badcases:
        if badcase_id not in known:
            raise no_such("badcase", badcase_id)
    about = sorted({(b.system, b.function) for b in found})
    if not about:
        if query:
            raise Refused(f"no badcase matches {query!r}", remedy="see what does: mlife badcase list QUERY")
        raise Refused("no badcase is chosen", remedy="name them with --query or --badcase")
    if len(about) > 1:
        names = ", ".join(f"{system}/{function}" for system, function in about[:5])
        raise Refused(f"the badcases are of several functions: {names}", remedy="narrow the query with function:…")
    return *about[0], [b.badcase_id for b in found]


@command.command("extend")
@click.argument("cause_id")
@click.option("--query", "-q", default="", help="The badcases.")
@click.option("--badcase", "badcases", multiple=True, help="A badcase; may be given again.")
@json_option
@with_home
def extend(home: Home, cause_id: str, query: str, badcases: tuple[str, ...], as_json: bool) -> None:
    """
    Add badcases to a cause.

    \b
    mlife cause extend cau-4188d52386b4 --query 'truth:9 status:new'
    """
    from mlife.badcases import commands
    from mlife.badcases.regrouping import must_be_of
    from mlife.badcases.views import causes

    _, _, ids = chosen(home, query, badcases)
    with home.ports.views.read() as read:
        cause = there_is(causes.cause(read, cause_id), "cause", cause_id)
        must_be_of(read, ids, cause.system, cause.function)
    done = home.do(commands.extend_cause, cause_id=cause_id, badcase_ids=ids)
    added = len(getattr(done.events[0], "badcase_ids", ())) if done.events else 0
    told_done(home, done, f"{added} badcases were added to {cause_id}", as_json=as_json, cause_id=cause_id, added=added)


@command.command("reduce")
@click.argument("cause_id")
@click.argument("badcases", nargs=-1, required=True)
@json_option
@with_home
def reduce(home: Home, cause_id: str, badcases: tuple[str, ...], as_json: bool) -> None:
    """
    Take BADCASES out of a cause.

    \b
    mlife cause reduce cau-4188d52386b4 bc-3dc1050e9f4b
    """
    from mlife.badcases import commands

    done = home.do(commands.reduce_cause, cause_id=cause_id, badcase_ids=list(badcases))
    gone = len(getattr(done.events[0], "badcase_ids", ())) if done.events else 0
    told_done(
        home, done, f"{gone} badcases were taken out of {cause_id}", as_json=as_json, cause_id=cause_id, removed=gone
    )


@command.command("rename")
@click.argument("cause_id")
@click.argument("title")
@click.option("--explanation", help="Why it happens, in words. Default: as it is.")
@json_option
@with_home
def rename(home: Home, cause_id: str, title: str, explanation: str | None, as_json: bool) -> None:
    """
    Say a cause in other words.

    \b
    mlife cause rename cau-4188d52386b4 "masks under the nose"
    """
    from mlife.badcases import commands

    done = home.do(commands.rename_cause, cause_id=cause_id, title=title, explanation=explanation)
    told_done(home, done, f"{cause_id} is called {title}", as_json=as_json, cause_id=cause_id)


@command.command("remedy")
@click.argument("cause_id")
@click.argument("remedy", type=click.Choice(REMEDIES))
@click.option("--note", default="", help="Details.")
@click.option("--collect", default="", help="What to collect, in words.")
@click.option("--wanted", multiple=True, metavar="CLASS=ROWS", help="How much to collect; repeatable. Requests it.")
@click.option("--query", "-q", default="", help="Training rows to exclude, e.g. 'class:happy place:tunnel'.")
@json_option
@with_home
def remedy(
    home: Home,
    cause_id: str,
    remedy: Any,
    note: str,
    collect: str,
    wanted: tuple[str, ...],
    query: str,
    as_json: bool,
) -> None:
    """
    Choose what is done about a cause.

    \b
    mlife cause remedy cau-4188d52386b4 collect --collect "half-worn masks" --wanted happy=200
    """
    from mlife.badcases import commands
    from mlife.cli.request import class_and_rows

    done = home.do(
        commands.choose_remedy,
        cause_id=cause_id,
        remedy=remedy,
        note=note,
        collect=collect,
        wanted=dict(class_and_rows(w) for w in wanted),
        query=query,
    )
    words = f"{remedy.replace('_', ' ')} is the remedy of {cause_id}"
    if wanted:
        words += "; `mlife request list` follows what comes"
    told_done(home, done, words, as_json=as_json, cause_id=cause_id, remedy=remedy)


@command.command("merge")
@click.argument("cause_id")
@click.argument("into_cause_id")
@json_option
@with_home
def merge(home: Home, cause_id: str, into_cause_id: str, as_json: bool) -> None:
    """
    Say that a cause is the same as INTO_CAUSE_ID, which gets its badcases.

    \b
    mlife cause merge cau-4188d52386b4 cau-90ffe1c2aa03
    """
    from mlife.badcases import commands

    done = home.do(commands.merge_causes, cause_id=cause_id, into_cause_id=into_cause_id)
    told_done(home, done, f"{cause_id} is {into_cause_id} now", as_json=as_json, cause_id=into_cause_id)


@command.command("delete")
@click.argument("cause_id")
@click.option("--reason", required=True, help="Why it is no cause.")
@json_option
@with_home
def delete(home: Home, cause_id: str, reason: str, as_json: bool) -> None:
    """
    Say that it is no cause; its badcases are without it.

    \b
    mlife cause delete cau-4188d52386b4 --reason "two things in one"
    """
    from mlife.badcases import commands

    done = home.do(commands.delete_cause, cause_id=cause_id, reason=reason)
    told_done(home, done, f"{cause_id} is deleted", as_json=as_json, cause_id=cause_id)


@command.command("reopen")
@click.argument("cause_id")
@json_option
@with_home
def reopen(home: Home, cause_id: str, as_json: bool) -> None:
    """
    Make a deleted cause one again.

    \b
    mlife cause reopen cau-4188d52386b4
    """
    from mlife.badcases import commands

    done = home.do(commands.reopen_cause, cause_id=cause_id)
    told_done(home, done, f"{cause_id} is a cause again", as_json=as_json, cause_id=cause_id)


@command.command("undo")
@click.argument("cause_id")
@click.option("--version", type=click.IntRange(1), help="Of the event in the cause's stream. Default: the last.")
@json_option
@with_home
def undo(home: Home, cause_id: str, version: int | None, as_json: bool) -> None:
    """
    Take back what somebody did to a cause. Refused if what it set has changed since.

    \b
    mlife cause undo cau-4188d52386b4
    """
    from mlife.badcases import commands

    done = home.do(commands.take_back_of_cause, cause_id=cause_id, version=version)
    what = getattr(done.events[0], "what", "")
    words = f"{cause_id}: {what.replace('_', ' ')} is taken back"
    told_done(home, done, words, as_json=as_json, cause_id=cause_id, what=what)


@command.command("propose")
@json_option
@with_home
def propose(home: Home, as_json: bool) -> None:
    """
    Show what open badcases without a cause share, and others don't: name it, or dismiss it.

    \b
    mlife cause propose
    """
    from mlife.badcases.suggested import alike_of
    from mlife.badcases.views import proposals

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        rows = [{**asdict(p), "sentence": p.sentence} for p in proposals.propose(read, alike_of(home.ports))]
    columns = ("proposal_id", "sentence", "system", "function", "attribute", "value", "score")
    show(
        rows, as_json=as_json, columns=columns, empty="nothing is proposed: open badcases without a cause share nothing"
    )


@command.command("dismiss")
@click.argument("attribute")
@click.argument("value")
@click.option("--system", required=True)
@click.option("--function", required=True)
@json_option
@with_home
def dismiss(home: Home, attribute: str, value: str, system: str, function: str, as_json: bool) -> None:
    """
    Say that what badcases share is no cause; it is not proposed again.

    \b
    mlife cause dismiss client fleet-7 --system dms --function emotion
    """
    from mlife.badcases import commands
    from mlife.badcases.proposing import proposal_id_of

    done = home.do(commands.dismiss_proposal, system=system, function=function, attribute=attribute, value=value)
    proposal_id = proposal_id_of(system, function, attribute, value)
    told_done(home, done, f"{attribute}={value} is dismissed", as_json=as_json, proposal_id=proposal_id)


@command.command("restore")
@click.argument("proposal_id")
@json_option
@with_home
def restore(home: Home, proposal_id: str, as_json: bool) -> None:
    """
    Take the dismissal of a proposal back.

    \b
    mlife cause restore prp-55aa10b2c3d4
    """
    from mlife.badcases import commands

    done = home.do(commands.restore_proposal, proposal_id=proposal_id)
    told_done(home, done, f"{proposal_id} may be proposed again", as_json=as_json, proposal_id=proposal_id)
