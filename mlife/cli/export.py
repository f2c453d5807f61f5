"""`mlife export`: badcases and reports as files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

import click

from mlife.cli.terminal import query_argument, with_home

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlife.runtime import Home

PART = 10_000
"""Ids in one question: with more, the order is that of their list, part by part."""
FORMATS = click.Choice(["csv", "ndjson", "parquet"])


@click.group("export")
def command() -> None:
    """All that a query matches, or that is named, as CSV, NDJSON or Parquet; streamed, as it is at one moment."""


def _options(run: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--output", "-o", type=click.File("wb"), default="-", help="A file; default: standard output."),
        click.option(
            "--ids",
            type=click.File("r"),
            help="Only those named in a file, - for standard input: one a line, the first cell of a table counts.",
        ),
        click.option("--sort", help="Fields, - for descending; default: as the list shows them."),
        click.option("--format", "form", type=FORMATS, default="csv", show_default=True),
        query_argument,
    ):
        run = option(run)
    return run


@command.command("badcases")
@_options
@with_home
def badcases(home: Home, query: str, form: str, sort: str | None, ids: IO[str] | None, output: IO[bytes]) -> None:
    """
    Export badcases.

    \b
    mlife export badcases function:digit open:yes -o open.csv
    mlife badcase export --ids chosen.txt --format parquet -o chosen.parquet
    """
    _write(home, "badcases", query, form, sort, ids, output)


@command.command("reports")
@_options
@with_home
def reports(home: Home, query: str, form: str, sort: str | None, ids: IO[str] | None, output: IO[bytes]) -> None:
    """
    Export reports.

    \b
    mlife export reports 'observed>7d' --format ndjson -o week.ndjson
    """
    _write(home, "reports", query, form, sort, ids, output)


def _write(
    home: Home, of: str, query: str, form: str, sort: str | None, ids: IO[str] | None, output: IO[bytes]
) -> None:
    from mlife.badcases.exporting import check_format, written
    from mlife.badcases.views.export import columns_of, rows_of
    from mlife.badcases.views.fields import sought

    named = None if ids is None else _named(ids)
    counted: list[int] = []
    home.see(home.ports.store.head())
    parquet: Any = home.ports.extra.get("parquet")
    with home.ports.views.read() as read:
        declared, now = sought(read), home.do.clock.now()

        def parts() -> Iterator[Sequence[Sequence[Any]]]:
            slices = [None] if named is None else [named[at : at + PART] for at in range(0, len(named), PART) or [0]]
            for only in slices:
                for part in rows_of(read, of, query, now=now, sort=sort, only=only, declared=declared):
                    counted.append(len(part))
                    yield part

        for piece in written(check_format(form), columns_of(of, declared), parts(), home.sealer.open, parquet):
            output.write(piece)
    if named is not None and sum(counted) < len(named):
        matching = " and match" if query else ""
        click.echo(f"{sum(counted)} of the {len(named)} that are named are {of}{matching}", err=True)


def _named(lines: Iterable[str]) -> list[str]:
    """The ids in *lines*, each once: the first cell of each, without the heading of a table."""
    cells = (re.split(r"[,;\s]", line.strip().lstrip("\ufeff"), maxsplit=1)[0].strip("\"'") for line in lines)
    return list(dict.fromkeys(cell for cell in cells if cell and cell not in ("badcase_id", "position", "id")))
