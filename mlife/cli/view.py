"""`mlife view`: queries that the team keeps under a name."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, cast

import click

from mlife.cli.terminal import json_option, print_json, query_argument, show, with_home

if TYPE_CHECKING:
    from mlife.badcases.commands.saved import Of
    from mlife.runtime import Home

COLUMNS = ("view_id", "name", "of", "query", "sort", "saved_by", "saved_at")


@click.group("view")
def command() -> None:
    """Saved views: a query under a name, shared by everybody."""


@command.command("save")
@click.argument("name")
@query_argument
@click.option("--of", type=click.Choice(["badcases", "reports"]), default="badcases", show_default=True)
@click.option("--sort", default="", help="Fields, - for descending.")
@json_option
@with_home
def save(home: Home, name: str, query: str, of: str, sort: str, as_json: bool) -> None:
    """
    Keep QUERY under NAME; the same name again means the new query.

    \b
    mlife view save 'Open digits' function:digit open:yes
    """
    from mlife.badcases import commands
    from mlife.badcases.commands.saved import view_id_of
    from mlife.badcases.views import saved

    saved.check(of, query, sort, now=home.do.clock.now())
    done = home.do(commands.save_view, name=name, query=query, of=cast("Of", of), sort=sort)
    _told(home, done.position, view_id_of(name), "is saved" if done.events else "was saved so before", as_json=as_json)


@command.command("list")
@json_option
@with_home
def list_(home: Home, as_json: bool) -> None:
    """
    List saved views.

    \b
    mlife view list
    """
    from mlife.badcases.views import saved

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        rows = [asdict(v) for v in saved.saved_views(read)]
    show(rows, as_json=as_json, columns=COLUMNS, empty="no view is saved: `mlife view save NAME QUERY`")


@command.command("remove")
@click.argument("view_id")
@json_option
@with_home
def remove(home: Home, view_id: str, as_json: bool) -> None:
    """
    Forget a saved view.

    \b
    mlife view remove open-digits
    """
    from mlife.badcases import commands

    done = home.do(commands.remove_view, view_id=view_id)
    _told(home, done.position, view_id, "is removed" if done.events else "was removed before", as_json=as_json)


@command.command("undo")
@click.argument("view_id")
@json_option
@with_home
def undo(home: Home, view_id: str, as_json: bool) -> None:
    """
    Take the last saving or removing of a view back; twice is as it was.

    \b
    mlife view undo open-digits
    """
    from mlife.badcases.commands.saved import undo_view

    done = home.do(undo_view, view_id=view_id)
    _told(home, done.position, view_id, "means what it meant before", as_json=as_json)


def _told(home: Home, position: int, view_id: str, words: str, *, as_json: bool) -> None:
    if position:
        home.see(position)
    if as_json:
        print_json({"position": position, "view_id": view_id})
    else:
        click.echo(f"{view_id} {words}")
