"""`mlife group`: frozen sets of rows."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING

import click

from mlife.cli.terminal import json_option, list_options, print_json, show, with_home
from mlife.core.errors import there_is

if TYPE_CHECKING:
    from mlife.runtime import Home


@click.group("group")
def command() -> None:
    """Groups: rows frozen and sealed as a training, validation or testing set."""


@command.command("list")
@list_options("-rows,name", "newest first")
@with_home
def list_groups(home: Home, query: str, sort: str | None, limit: int, as_json: bool) -> None:
    """
    List groups.

    \b
    mlife group list purpose:testing
    """
    from mlife.data import views

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        found = views.group_page(read, query, now=home.do.clock.now(), sort=sort, limit=limit)
    show(
        [asdict(g) for g in found.items],
        as_json=as_json,
        columns=["group_id", "name", "purpose", "rows", "left_out", "task_id", "grouped_at"],
        empty="no group yet: mlife document group DOCUMENT --name … --purpose training",
    )


@command.command("show")
@click.argument("group_id")
@click.option("--rows", "count", default=10, type=click.IntRange(min=0), help="Rows shown.")
@json_option
@with_home
def show_group(home: Home, group_id: str, count: int, as_json: bool) -> None:
    """
    Show a group: its seal, its classes, its first rows.

    \b
    mlife group show grp-3f9a2c41b7d0
    """
    from mlife.data import views

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        found = there_is(views.group(read, group_id), "group", group_id)
        rows = list(islice(views.group_rows(read, group_id), count))
    if as_json:
        print_json({**asdict(found), "shown": [dict(r.body) for r in rows]})
        return
    click.echo(f"{found.group_id}  {found.name}  {found.rows:,} rows for {found.purpose}  task {found.task_id}")
    click.echo(f"seal {found.digest}; guard at position {found.checked_at}, {found.left_out:,} left out")
    show([{"class": k or "not labelled", "rows": v} for k, v in found.by_class.items()], as_json=False)
    show([{"number": r.number, "path": r.path, "class": r.label} for r in rows], as_json=False, empty="")
