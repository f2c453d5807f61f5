"""The commands of `mlife badcase` by which reports, traffic and truth come in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from mlife.cli.terminal import json_option, print_json, with_home

if TYPE_CHECKING:
    from mlife.badcases.intake.taking import Answer, ItemReader
    from mlife.runtime import Home

PIECE = 1 << 18
SOURCE = click.File("rb")
SHOWN = 50
TABLES = (".csv", ".tsv")


@click.command("report")
@click.argument("file", type=SOURCE)
@click.option("--ids", is_flag=True, help="Name the ids of each report taken.")
@click.option("--preview", is_flag=True, help="Judge everything and take nothing.")
@click.option("--csv", "is_csv", is_flag=True, help="A table, whatever the file's name ends in.")
@click.option("--column", "columns", multiple=True, metavar="NAME=FIELD", help="What a column of a table is.")
@click.option("--set", "constants", multiple=True, metavar="FIELD=VALUE", help="What no row of a table says.")
@json_option
@with_home
def report(
    home: Home,
    file: IO[bytes],
    ids: bool,
    preview: bool,
    is_csv: bool,
    columns: tuple[str, ...],
    constants: tuple[str, ...],
    as_json: bool,
) -> None:
    """
    Take reports in: NDJSON, a JSON array, CloudEvents, or CSV; `-` is standard input.

    Each is judged by itself, and sending twice changes nothing. Exit status 1 if any was refused. A line needs at
    least system, function, version, observed_at, data and prediction; docs/reports.md has all fields, docs/intake.md
    the columns of a table.

    \b
    mlife badcase report failures.ndjson
    mlife badcase report failures.csv --preview --column Ort=fields.place --set system=dms

    \b
    A line, broken here to be read:
    {"system": "dms", "function": "emotion", "version": "2.3.0", "observed_at": "2026-11-24T03:00:00Z",
     "data": [{"uri": "s3://cam/8841.jpg"}], "prediction": {"type": "class", "label": "happy"},
     "truth": {"type": "class", "label": "sad"}}
    """
    from mlife.badcases.intake.declared import Schemas
    from mlife.badcases.intake.spreadsheet import report_table

    reader: ItemReader | None = None
    if is_csv or str(getattr(file, "name", "")).lower().endswith(TABLES):
        reader = report_table(Schemas(home.ports.store).of, columns=_pairs(columns), constants=_pairs(constants))
    elif columns or constants:
        raise click.UsageError("--column and --set are for tables: name a .csv file, or add --csv")
    _receive(home, file, traffic=False, ids=ids, as_json=as_json, preview=preview, reader=reader)


@click.command("traffic")
@click.argument("file", type=SOURCE)
@json_option
@with_home
def traffic(home: Home, file: IO[bytes], as_json: bool) -> None:
    """
    Take traffic counts in: how many requests were answered, right or wrong. Rates and bakes need them.

    \b
    echo '{"system": "dms", "function": "emotion", "version": "2.3.0", "from": "2026-11-24T03:00:00Z",
           "to": "2026-11-24T04:00:00Z", "count": 5000}' | mlife badcase traffic -
    """
    _receive(home, file, traffic=True, ids=False, as_json=as_json)


def _pairs(given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for one in given:
        name, mark, value = one.partition("=")
        if not mark:
            raise click.UsageError(f"{one!r} has no =: write NAME=VALUE")
        found[name] = value
    return found


def _receive(
    home: Home,
    file: IO[bytes],
    *,
    traffic: bool,
    ids: bool,
    as_json: bool,
    preview: bool = False,
    reader: ItemReader | None = None,
) -> None:
    from mlife.badcases.intake.taking import Intake

    intake = Intake(home.ports.store, home.sealer, home.do.clock)
    sending = intake.sending(ids=ids, traffic=traffic, preview=preview, reader=reader)
    while some := file.read(PIECE):
        sending.feed(some)
    answer = sending.finish()
    if reader is not None and answer.refused and not (answer.accepted or answer.known or as_json):
        click.echo("is the table read rightly? --column 'Seen at=observed_at' says what a column is, and")
        click.echo("--set system=dms what no row says; docs/intake.md names all columns")
    answered(home, answer, as_json=as_json, preview=preview)


def answered(home: Home, answer: Answer, *, as_json: bool, preview: bool = False) -> None:
    """Tell what became of a batch; exit status 1 if any was refused."""
    home.see(answer.position)
    if as_json:
        print_json(answer.as_json())
    else:
        _tell(answer)
        if preview and answer.accepted:
            click.echo("nothing was taken: leave out --preview to take it")
    if answer.refused:
        sys.exit(1)


def _tell(answer: Answer) -> None:
    refused = len(answer.refused) + answer.refused_more
    click.echo(f"{answer.accepted} new, {answer.known} known, {refused} refused")
    for one in answer.ids or ():
        click.echo("  " + "  ".join(f"{k} {v}" for k, v in one.items()))
    for refusal in sorted(answer.refused, key=lambda r: r.line)[:SHOWN]:
        click.echo(f"  {refusal}", err=True)
    if refused > SHOWN:
        click.echo(f"  … and {refused - SHOWN} more", err=True)


@click.command("truth")
@click.argument("file", type=SOURCE)
@click.option("--reason", default="", help="How the truth is known, for rows that do not say it.")
@click.option("--csv", "is_csv", is_flag=True, help="A table, whatever the file's name ends in.")
@json_option
@with_home
def truth(home: Home, file: IO[bytes], reason: str, is_csv: bool, as_json: bool) -> None:
    """
    Say what is right of many reports: a table or NDJSON with uid (or report_id and client), truth, reason.

    Each row is judged by itself, and its report moves to where it belongs. A `?` disputes the truth: unknown again.
    Exit status 1 if any was refused.

    \b
    mlife badcase truth labels.csv --reason "looked at by two people"
    """
    from mlife.badcases.correcting import Correcting
    from mlife.badcases.intake.reading import Reader
    from mlife.badcases.intake.spreadsheet import Spreadsheet

    is_table = is_csv or str(getattr(file, "name", "")).lower().endswith(TABLES)
    reader: ItemReader = Spreadsheet(dict) if is_table else Reader()
    correcting = Correcting(home.do, home.ports.store, home.sealer.open, reason=reason)
    while some := file.read(PIECE):
        correcting.take(reader.feed(some))
    correcting.take(reader.finish())
    answer = correcting.answer
    home.see(answer.position)
    if as_json:
        print_json(answer.as_json())
    else:
        click.echo(f"{answer.corrected} corrected, {answer.unchanged} as they were, {len(answer.refused)} refused")
        for refusal in answer.refused[:SHOWN]:
            click.echo(f"  {refusal}", err=True)
    if answer.refused:
        sys.exit(1)


@click.command("spool")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--url", help="Of the server; without it, only what lies there is told.")
@click.option("--token", envvar="MLIFE_TOKEN", help="Where the server wants one.")
@click.option("--timeout", type=float, default=600.0, show_default=True, help="Seconds to try.")
@json_option
def spool(folder: Path, url: str | None, token: str | None, timeout: float, as_json: bool) -> None:
    """
    Send what lies in a device's spool, or tell what lies there. Exit status 1 if it could not all be sent.

    \b
    mlife badcase spool /var/lib/cam/mlife --url https://mlife.example:8000
    """
    from dataclasses import asdict

    from mlife.core.errors import Unavailable
    from mlife.sdk import SdkError, Spool

    try:
        with Spool(folder, url, token=token) as opened:
            fault = ""
            if url is not None:
                try:
                    opened.flush(timeout)
                except SdkError as e:
                    fault = str(e)
            standing = opened.standing
    except SdkError as e:
        raise Unavailable(str(e)) from e
    if as_json:
        print_json(asdict(standing))
    else:
        click.echo(f"{standing.accepted} new, {standing.known} known, {standing.refused} refused")
        click.echo(
            f"{standing.waiting} wait in {folder}" + (f", {standing.dropped} were dropped" * bool(standing.dropped))
        )
        if standing.refused:
            click.echo(f"  why they are refused: {folder / 'rejects.ndjson'}", err=True)
    if fault:
        raise Unavailable(fault)


COMMANDS = (report, traffic, truth, spool)
"""Of the group `badcase`."""
