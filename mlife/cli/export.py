"""`mlife export`: badcases and reports as files."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import click

from mlife.cli.terminal import query_argument, with_home

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlife.runtime import Home

FORMATS = click.Choice(["csv", "ndjson", "parquet"])


@click.group("export")
def command() -> None:
    """Everything that a query matches, as CSV, NDJSON or Parquet; streamed, as it is at one moment."""


def _options(run: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--output", "-o", type=click.File("wb"), default="-", help="A file; default: standard output."),
        click.option("--sort", help="Fields, - for descending; default: as the list shows them."),
        click.option("--format", "form", type=FORMATS, default="csv", show_default=True),
        query_argument,
    ):
        run = option(run)
    return run


@command.command("badcases")
@_options
@with_home
def badcases(home: Home, query: str, form: str, sort: str | None, output: IO[bytes]) -> None:
    """
    Export badcases.

    \b
    mlife export badcases function:digit open:yes -o open.csv
    """
    _write(home, "badcases", query, form, sort, output)


@command.command("reports")
@_options
@with_home
def reports(home: Home, query: str, form: str, sort: str | None, output: IO[bytes]) -> None:
    """
    Export reports.

    \b
    mlife export reports 'observed>7d' --format ndjson -o week.ndjson
    """
    _write(home, "reports", query, form, sort, output)


def _write(home: Home, of: str, query: str, form: str, sort: str | None, output: IO[bytes]) -> None:
    from mlife.badcases.exporting import check_format, written
    from mlife.badcases.views.export import columns_of, rows_of
    from mlife.badcases.views.fields import sought

    home.see(home.ports.store.head())
    parquet: Any = home.ports.extra.get("parquet")
    with home.ports.views.read() as read:
        declared = sought(read)
        parts = rows_of(read, of, query, now=home.do.clock.now(), sort=sort, declared=declared)
        for piece in written(check_format(form), columns_of(of, declared), parts, home.sealer.open, parquet):
            output.write(piece)
