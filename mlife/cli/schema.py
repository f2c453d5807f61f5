"""`mlife schema`: the published schemas of events and of HTTP."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mlife.core.events import EventKind
    from mlife.core.schema_files import Http

root_option = click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="The checkout that holds schemas/ and docs/ (default: here).",
)
package_option = click.option(
    "--package", default="mlife", help="Whose events: a package of yours that is installed keeps its own schemas."
)


@click.group("schema")
def command() -> None:
    """Published schemas: what subscribers and clients rely on."""


@command.command("check")
@root_option
@package_option
def check(root: Path, package: str) -> None:
    """
    Tell whether every published schema is still honoured; exit status 1 if not.

    \b
    mlife schema check
    """
    from mlife.core import schema_files

    with _said(package) as (kinds, http):
        faults = schema_files.check(root, kinds, http)
    for fault in faults:
        click.echo(str(fault), err=True)
    if faults:
        raise click.exceptions.Exit(1)
    click.echo(f"{len(kinds)} event versions and their examples are honoured")


@command.command("write")
@root_option
@package_option
def write(root: Path, package: str) -> None:
    """
    Write schemas, examples, AsyncAPI, OpenAPI and the event catalogue from the installed features.

    A version that an earlier release published is never changed: that is refused, and the field is named.

    \b
    mlife schema write
    """
    from mlife.core import schema_files

    with _said(package) as (kinds, http):
        changed = schema_files.write(root, kinds, http)
    for name in changed:
        click.echo(name)
    click.echo(f"{len(changed)} files changed", err=True)


@contextmanager
def _said(package: str) -> Iterator[tuple[list[EventKind], Http | None]]:
    """The package's events, and MLife's HTTP on a home of no account."""
    from mlife.core.schema_files import own_kinds
    from mlife.runtime import open_home, settings

    with tempfile.TemporaryDirectory() as folder, open_home(settings(folder)) as home:
        if package == "mlife":
            from mlife.server import make_app

            yield own_kinds(package), make_app(home)
        else:
            yield own_kinds(package), None
