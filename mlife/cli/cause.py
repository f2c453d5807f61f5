"""`mlife cause`: why badcases happen, and what is done about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mlife.cli.terminal import json_option, print_json, show, with_home
from mlife.core.errors import Refused

if TYPE_CHECKING:
    from mlife.runtime import Home

REMEDIES = ("collect", "exclude", "relabel", "fix_code", "wont_fix")


@click.group("cause")
def command() -> None:
    """Causes: name why badcases happen, and choose one remedy."""


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
        Refused: there is none, or they are of several functions.
    """
    from mlife.badcases.views import lists

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        ids = list(badcases) or lists.matching_ids(read, query, now=home.do.clock.now(), limit=20_000)
        found = lists.badcases_by_id(read, ids)
    about = sorted({(b.system, b.function) for b in found})
    if not about:
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

    _, _, ids = chosen(home, query, badcases)
    done = home.do(commands.extend_cause, cause_id=cause_id, badcase_ids=ids)
    added = len(getattr(done.events[0], "badcase_ids", ())) if done.events else 0
    home.see(done.position)
    if as_json:
        print_json({"position": done.position, "cause_id": cause_id, "added": added})
    else:
        click.echo(f"{added} badcases were added to {cause_id}")


@command.command("remedy")
@click.argument("cause_id")
@click.argument("remedy", type=click.Choice(REMEDIES))
@click.option("--note", default="", help="Details.")
@json_option
@with_home
def remedy(home: Home, cause_id: str, remedy: Any, note: str, as_json: bool) -> None:
    """
    Choose what is done about a cause.

    \b
    mlife cause remedy cau-4188d52386b4 collect
    """
    from mlife.badcases import commands

    done = home.do(commands.choose_remedy, cause_id=cause_id, remedy=remedy, note=note)
    home.see(done.position)
    if as_json:
        print_json({"position": done.position, "cause_id": cause_id, "remedy": remedy})
    else:
        click.echo(f"{cause_id}: {remedy.replace('_', ' ')}")
