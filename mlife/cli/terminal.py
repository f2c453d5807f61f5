"""What commands share: the home they work on, tables for people, JSON for machines, errors as sentences."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click
import orjson

from mlife.core.errors import Invalid, MLifeError, visible

if TYPE_CHECKING:
    from rich.progress import Progress

    from mlife.core.command import Done
    from mlife.runtime import Home

P = ParamSpec("P")
R = TypeVar("R")


def with_home(run: Callable[Concatenate[Home, P], R]) -> Callable[P, R]:
    """A decorator that opens the home named by `--home` and passes it first; commands act as the terminal's user."""

    @click.option(
        "--home", type=click.Path(file_okay=False), help="The home to work on (default: MLIFE_HOME or ./.mlife)."
    )
    @wraps(run)
    def opened(*args: P.args, **options: P.kwargs) -> R:
        from mlife.runtime import open_home, settings
        from mlife.runtime.moving import refuse_if_moved

        folder: Any = options.pop("home")
        chosen = settings(folder)
        refuse_if_moved(chosen)
        with open_home(chosen) as home:
            home.do = home.do.as_(actor=user())
            return run(home, *args, **options)

    return opened


query_argument = click.argument("query", nargs=-1, callback=lambda _ctx, _option, words: " ".join(words))
"""A query of the query language, quoted or as several words."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines; of a list, a line each.")


def list_options(sort: str, default: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """
    What every list command takes: a query, `--sort`, `--limit`, `--json`. A decorator.

    Args:
        sort: an example of fields to sort by. default: the order without it, in words.
    """
    options = (
        query_argument,
        click.option("--sort", help=f"Fields to sort by, - for descending: {sort} (default: {default})."),
        click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 500)),
        json_option,
    )

    def add(run: Callable[P, R]) -> Callable[P, R]:
        for option in reversed(options):
            run = option(run)
        return run

    return add


def user() -> str:
    """Who is at the terminal: `MLIFE_ACTOR`, else the login name."""
    try:
        return os.environ.get("MLIFE_ACTOR") or getpass.getuser()
    except (KeyError, OSError):
        return "terminal"


def print_json(value: Any) -> None:
    """One JSON value on one line."""
    text = orjson.dumps(value, default=plain, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)
    click.echo(text.decode())


def plain(value: Any) -> Any:
    """What orjson can't write by itself, as JSON."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def show(
    rows: Iterable[Mapping[str, Any]],
    *,
    as_json: bool,
    columns: Sequence[str] | None = None,
    empty: str = "nothing here yet",
) -> None:
    """*rows* as a table for people or as one JSON object a line; *empty* says how to make it non-empty."""
    listed = list(rows)
    if as_json:
        for row in listed:
            print_json(row)
        return
    if not listed:
        click.echo(empty)
        return
    from rich import box
    from rich.table import Table

    names = columns or list(listed[0])
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for place, name in enumerate(names):
        numeric = all(isinstance(r.get(name), int | float | None) for r in listed)
        # What the first column names is typed into the next command: a narrow terminal must not break it in two.
        least = max(len(str(r.get(name, ""))) for r in listed) if place == 0 else None
        table.add_column(
            name.replace("_", " "), justify="right" if numeric else "left", overflow="fold", min_width=least
        )
    for row in listed:
        table.add_row(*(_cell(row.get(name)) for name in names))
    console().print(table)


def _cell(value: Any) -> str:
    from rich.markup import escape

    if value is None:
        return "–"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}".replace(",", " ")
    return escape(visible(str(value)))


def console(*, err: bool = False) -> Any:
    """A rich console; wide when the output is no terminal, so that nothing is cut in a pipe."""
    from rich.console import Console

    return Console(
        stderr=err, width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS") or 200), highlight=False
    )


def progress(*, shown: bool = True, words: bool = False) -> Progress:
    """A progress bar on standard error, for long work; with *words* it shows the share and a sentence, else counts."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    counts = TextColumn("{task.completed:,.0f} of {task.total:,.0f}")
    said = TextColumn("{task.description}")
    columns = (
        (BarColumn(20), TaskProgressColumn(), said) if words else (said, BarColumn(), counts, TimeRemainingColumn())
    )
    return Progress(
        *columns,
        console=console(err=True),
        disable=not shown or not sys.stderr.isatty(),
    )


def explain(error: MLifeError) -> None:
    """Say on standard error what was refused, and what to do."""
    click.echo(f"mlife: {visible(error.message)}", err=True)
    if isinstance(error, Invalid):
        from mlife.core.query import QueryError  # brings SQLAlchemy, which a command that succeeds may not need

        for line in error.pointer().splitlines() if isinstance(error, QueryError) else ():
            click.echo(f"  {line}", err=True)
        for refusal in error.refusals[:20]:
            click.echo(f"  {visible(str(refusal))}", err=True)
        if len(error.refusals) > 20:
            click.echo(f"  … and {len(error.refusals) - 20} more", err=True)
    if error.remedy:
        click.echo(f"  → {visible(error.remedy)}", err=True)


def told_done(home: Home, done: Done, words: str, *, as_json: bool, **ids: Any) -> None:
    """Say what a command did, once tables that are read next show it: *words*, or position and *ids* for machines."""
    if done.position:
        home.see(done.position)
    if as_json:
        print_json({"position": done.position, "changed": bool(done.events), **ids})
    else:
        click.echo(words if done.events else "nothing was left to do")
