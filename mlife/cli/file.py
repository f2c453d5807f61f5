"""`mlife file`: the content-addressed store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlife.cli.terminal import json_option, print_json, progress, show, with_home
from mlife.core.errors import Invalid, NotFound

if TYPE_CHECKING:
    from mlife.runtime import Home


@click.group("file")
def command() -> None:
    """Files in the store: immutable, kept once under the SHA-256 of their bytes."""


@command.command("put")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@json_option
@with_home
def put(home: Home, paths: tuple[Path, ...], as_json: bool) -> None:
    """
    Store files, and whole folders with everything below them. The same bytes twice change nothing.

    \b
    mlife file put pictures/
    mlife file put a.png b.png --json
    """
    from mlife.data.intake import DataIntake

    with progress(shown=not as_json) as bar:
        task = bar.add_task("storing", total=sum(_count(p) for p in paths))
        told = DataIntake(home.ports, home.do, see=home.see).put_many(
            paths, progress=lambda more: bar.advance(task, more)
        )
    if told.position:
        home.see(told.position)
    if as_json:
        print_json(told.as_json())
    else:
        click.echo(f"{told.new} files stored, {told.known} were here already ({told.bytes:,} bytes)")
    if told.refused and not as_json:
        for refusal in told.refused[:20]:
            click.echo(f"  refused: {refusal}", err=True)
    if told.refused:
        count = len(told.refused) + told.refused_more
        raise Invalid(f"{count} of {told.new + told.known + count} files could not be taken", remedy="see above")


def _count(path: Path) -> int:
    return sum(1 for p in path.rglob("*") if p.is_file()) if path.is_dir() else 1


@command.command("show")
@click.argument("sha256")
@json_option
@with_home
def show_file(home: Home, sha256: str, as_json: bool) -> None:
    """
    Say what a file is, where its bytes are, and what uses it.

    \b
    mlife file show sha256:0f3a…
    """
    from mlife.data import views
    from mlife.data.intake import local_path

    digest = sha256.removeprefix("sha256:")
    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        found = views.file(read, digest)
        uses = views.uses_of_file(read, digest) if found else []
    if found is None:
        raise NotFound(f"no file {digest[:80]} is stored", remedy="mlife file put PATH stores one")
    told = {**asdict(found), "path": str(local_path(home.ports, digest) or ""), "uses": [asdict(u) for u in uses]}
    if as_json:
        print_json(told)
        return
    for name in ("sha256", "md5", "size", "media_type", "name", "stored_at", "path"):
        click.echo(f"{name:<12}{told[name]}")
    show([asdict(u) for u in uses], as_json=False, empty="nothing uses it")


@command.command("copy")
@click.argument("sha256")
@click.argument("conversion")
@click.argument("values", nargs=-1)
@json_option
@with_home
def copy(home: Home, sha256: str, conversion: str, values: tuple[str, ...], as_json: bool) -> None:
    """
    Make a copy of a file: crop, mask, trim_sound, resample, waveform, frame, trim_film, transcode, or a plug-in's.

    VALUES are its parameters. The original stays; the copy knows what it was made of, and how.

    \b
    mlife file copy sha256:0f3a… crop x=4 y=4 width=20 height=20
    mlife file copy sha256:0f3a… trim_sound start=0.5 end=2
    """
    from mlife.core.media.conversions import refuse_unfit
    from mlife.data import views
    from mlife.data.copying import make_copy

    digest = sha256.removeprefix("sha256:")
    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        found = views.file(read, digest)
    if found is None:
        raise NotFound(f"no file {digest[:80]} is stored", remedy="mlife file put PATH stores one")
    said = dict(value.partition("=")[::2] for value in values)
    checked = refuse_unfit(conversion, found.media_type).check(said)
    made, position = make_copy(home.ports, home.do, home.do, found, conversion, checked)
    home.see(position)
    if as_json:
        print_json({"sha256": made.sha256, "source": found.sha256, "position": position})
    else:
        click.echo(f"sha256:{made.sha256} ({made.media_type}, {made.size:,} bytes)")
