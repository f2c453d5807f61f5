"""`mlife request`: demands for data."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mlife.cli.terminal import json_option, list_options, print_json, show, with_home

if TYPE_CHECKING:
    from mlife.runtime import Home


@click.group("request")
def command() -> None:
    """Collection requests: what data is wanted, and how much of it came."""


@command.command("open")
@click.option("--system", required=True)
@click.option("--function", required=True)
@click.option("--what", required=True, help="In words, for the people who collect.")
@click.option("--wanted", required=True, multiple=True, metavar="CLASS=ROWS", help="Rows of a class; repeatable.")
@click.option("--cause", "cause_id", help="The cause that makes it.")
@click.option("--iteration", "iteration_id", help="The iteration that makes it.")
@json_option
@with_home
def open_request(
    home: Home,
    system: str,
    function: str,
    what: str,
    wanted: tuple[str, ...],
    cause_id: str | None,
    iteration_id: str | None,
    as_json: bool,
) -> None:
    """
    Ask for data.

    \b
    mlife request open --system dms --function emotion --what 'half-worn masks' --wanted happy=200 --wanted sad=80
    """
    from mlife.data.commands import request_collection
    from mlife.data.events import CollectionRequested

    done = home.do(
        request_collection,
        system=system,
        function=function,
        what=what,
        wanted=dict(class_and_rows(w) for w in wanted),
        cause_id=cause_id,
        iteration_id=iteration_id,
    )
    home.see(done.position)
    made = done.first(CollectionRequested)
    if as_json:
        print_json({"position": done.position, "request_id": made.request_id})
    else:
        click.echo(f"{made.request_id}: {sum(made.wanted.values()):,} rows are asked for")


def class_and_rows(said: str) -> tuple[str, int]:
    """`happy=200` as a class and how many rows of it."""
    label, mark, count = said.rpartition("=")
    if not mark or not count.isdecimal() or "=" in label:
        remedy = "write it like happy=200, and --wanted again for each class"
        raise click.BadParameter(f"{said!r}: {remedy}", param_hint="--wanted")
    return label, int(count)


@command.command("list")
@list_options("-requested", "newest first")
@with_home
def list_requests(home: Home, query: str, sort: str | None, limit: int, as_json: bool) -> None:
    """
    List requests with their progress.

    \b
    mlife request list state:open
    """
    from mlife.data import views

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        found = views.request_page(read, query, now=home.do.clock.now(), sort=sort, limit=limit)
    rows = [{**asdict(r), "useful": r.useful, "still_wanted": dict(r.still_wanted)} for r in found.items]
    show(
        rows,
        as_json=as_json,
        columns=["request_id", "what", "state", "wanted", "useful", "system", "function"],
        empty="nobody asked for data yet: mlife request open --help",
    )


@command.command("close")
@click.argument("request_id")
@click.option("--given-up", is_flag=True, help="It is not complete, and nothing more is wanted.")
@click.option("--note", default="", help="Why.")
@json_option
@with_home
def close(home: Home, request_id: str, given_up: bool, note: str, as_json: bool) -> None:
    """
    Say that nothing more is wanted.

    \b
    mlife request close req-3f9a2c41b7d0
    """
    from mlife.data.commands import close_request

    done = home.do(close_request, request_id=request_id, complete=not given_up, note=note)
    home.see(done.position)
    if as_json:
        print_json({"position": done.position, "request_id": request_id})
    else:
        state = ("given up" if given_up else "complete") if done.events else "was closed already"
        click.echo(f"{request_id}: {state}")
