"""`mlife link`: the bytes that reports link to."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlife.cli.terminal import json_option, print_json, show, with_home
from mlife.core.errors import there_is

if TYPE_CHECKING:
    from mlife.runtime import Home


@click.group("link")
def command() -> None:
    """Links of reports: read what they lead to, say what could not be read, send bytes that follow later."""


@command.command("fetch")
@click.argument("badcase_id")
@json_option
@with_home
def fetch(home: Home, badcase_id: str, as_json: bool) -> None:
    """
    Ask for what the newest reports of a badcase link to and is not in the store; what runs on the home reads it.

    \b
    mlife link fetch bc-3dc1050e9f4b
    """
    from mlife.badcases.commands.media import want_data
    from mlife.badcases.views import lists
    from mlife.badcases.wanting import links_to_want

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        there_is(lists.badcase(read, badcase_id), "badcase", badcase_id)
        links = links_to_want(home.ports.store, home.ports.blobs, read, badcase_id)
    done = home.do(want_data, badcase_id=badcase_id, links=links) if links else None
    if as_json:
        print_json({"badcase_id": badcase_id, "wanted": len(links), "position": done.position if done else 0})
    else:
        click.echo(f"{len(links)} links will be read" if links else "nothing is left to be read")


@command.command("list")
@click.argument("badcase_id")
@json_option
@with_home
def list_(home: Home, badcase_id: str, as_json: bool) -> None:
    """
    List the links of a badcase's reports that could not be read, and why.

    \b
    mlife link list bc-3dc1050e9f4b
    """
    from mlife.badcases.views import lists
    from mlife.badcases.views.media import unreadable

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        there_is(lists.badcase(read, badcase_id), "badcase", badcase_id)
        found, _ = unreadable(read, badcase_id, limit=1_000)
    rows = [{k: v for k, v in asdict(link).items() if k not in {"sha256", "media_type"}} for link in found]
    show(rows, as_json=as_json, empty="every link that was tried could be read")


@command.command("send")
@click.argument("position", type=click.IntRange(min=1))
@click.argument("number", type=click.IntRange(min=0))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@with_home
def send(home: Home, position: int, number: int, file: Path, as_json: bool) -> None:
    """
    Send the bytes of link NUMBER (from 0) of the report at POSITION: compared with the digest that was reported.

    \b
    mlife link send 1042 0 8841.png
    """
    from mlife.badcases.arriving import take_bytes

    home.see(home.ports.store.head())
    with file.open("rb") as body:
        sha256, done = take_bytes(home.ports, home.do, home.sealer.open, position, number, body)
    home.see(done.position)
    if as_json:
        print_json({"sha256": sha256, "new": bool(done.events), "position": done.position})
    else:
        click.echo("the bytes are in the store" if done.events else "these bytes were here already")
