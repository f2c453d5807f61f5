"""`mlife migrate`: this home's log, files, keys and handlers' book into another home, proved equal."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlife.cli.terminal import json_option, print_json, progress
from mlife.core.errors import Refused
from mlife.core.folding import Unfoldable
from mlife.core.moving import Equal, compare, move
from mlife.core.projection import projections
from mlife.core.rebuild import rebuild

if TYPE_CHECKING:
    from rich.progress import Progress

    from mlife.runtime import Home


@click.command("migrate")
@click.option("--to", "file", type=click.Path(dir_okay=False, path_type=Path), help="mlife.toml of the target.")
@click.option("--check", is_flag=True, help="Only compare both homes; nothing is written.")
@click.option("--undo", is_flag=True, help="Let this home, which was moved, take events again.")
@click.option("--no-tables", is_flag=True, help="Leave the target's query tables to its workers.")
@click.option("--home", type=click.Path(file_okay=False), help="The home to move (default: MLIFE_HOME or ./.mlife).")
@json_option
def command(file: Path | None, check: bool, undo: bool, no_tables: bool, home: str | None, as_json: bool) -> None:
    """
    Move this home into another one, of the same or the other size, and prove that both are equal.

    Log (positions, ids and stored bytes kept), files, sealing keys and handlers' book are copied; query tables are made
    anew from the log. End `mlife up`, relay and workers on both sides before. A move that was interrupted goes on when
    it is called again. At the end this home takes no more events: the other one is the home now.

    \b
    mlife migrate --to cluster.toml            into what cluster.toml names
    mlife migrate --to cluster.toml --check    how far are both equal?
    mlife migrate --undo                       this home is to be used again
    """
    from mlife.runtime import open_home, settings
    from mlife.runtime.moving import hand_over, settings_in

    if undo:
        _undo(settings(home), as_json=as_json)
        return
    if file is None:
        raise click.UsageError("--to is missing: the mlife.toml of the target")
    chosen = settings(home)
    wanted = settings_in(file)
    if chosen.store == wanted.store:
        raise Refused(f"{file} names the store of this home", remedy="name another one")
    added = [] if check else hand_over(chosen, file)
    with open_home(chosen) as source, open_home(wanted) as target:
        if check:
            _check(source, target, as_json=as_json)
        else:
            _move(source, target, added, tables=not no_tables, as_json=as_json)


def _undo(chosen: Any, *, as_json: bool) -> None:
    from mlife.runtime.moving import signpost_of

    with signpost_of(chosen) as post:
        sign = post.read()
        if sign is None:
            raise Refused(f"{chosen.shown('store')} was not moved", remedy="there is nothing to undo")
        if sign.state == "arriving":
            raise Refused(
                f"{sign.place} is being moved into {chosen.shown('store')}, which is not whole",
                remedy="run the same `mlife migrate` again to finish it, or delete it",
            )
        post.take_down()
    if as_json:
        print_json({"undone": True, "place": sign.place})
        return
    click.echo(f"This home takes events again. What was written at {sign.place} since the move is not here.")


def _check(source: Home, target: Home, *, as_json: bool) -> None:
    from mlife.runtime.moving import house_of

    with ExitStack() as both, _bar(as_json) as told:
        equal = compare(both.enter_context(house_of(source)), both.enter_context(house_of(target)), tell=told.tell)
    if as_json:
        print_json({**asdict(equal), "equal": not equal.different})
    if equal.different:
        raise Refused(
            f"events 1 to {equal.events} are equal (SHA-256 {equal.digest}), and {'; '.join(equal.different)}",
            remedy="`mlife migrate --to …` copies what is not there",
        )
    if not as_json:
        more = f"; the target has gone on to {equal.events + equal.more}" if equal.more else ""
        click.echo(f"{equal.events} events are equal on both sides: SHA-256 {equal.digest}{more}")
        click.echo(f"{equal.files.count} files are there, and are what their names say")
        _say_missing(equal)


def _move(source: Home, target: Home, added: list[str], *, tables: bool, as_json: bool) -> None:
    from mlife.runtime.moving import house_of

    began = time.monotonic()
    same_files = source.settings.files == target.settings.files
    with ExitStack() as both, _bar(as_json) as told:
        here, there = both.enter_context(house_of(source)), both.enter_context(house_of(target))
        equal = move(here, there, tell=told.tell, move_files=not same_files)
        seconds = time.monotonic() - began
        stopped = _fill(target, told) if tables else []
    answer = {**asdict(equal), "seconds": round(seconds, 3), "settings_added": added, "stopped": stopped,
              "events_per_second": round(equal.copied / max(equal.seconds, 1e-3)), "target": there.name}  # fmt: skip
    if as_json:
        print_json(answer)
    else:
        _say(equal, answer, tables=tables)


def _fill(target: Home, told: _Told) -> list[str]:
    """Make the query tables of *target* from its log; names of the projections that met an event they can't fold."""
    stopped = []
    for name, projection in sorted(projections.items()):
        try:
            rebuild(target.ports, projection, partial(told.tell, f"filling {name}"))
        except Unfoldable:
            stopped.append(name)
    return stopped


def _say(equal: Equal, answer: dict[str, Any], *, tables: bool) -> None:
    click.echo(
        f"{equal.events} events, {equal.copied} of them copied now ({answer['events_per_second']} a second); "
        f"{answer['seconds']:.1f} s in all"
    )
    click.echo(f"SHA-256 over all rows, the same on both sides: {equal.digest}")
    click.echo(
        f"{equal.files.count} files ({equal.files.copied} copied now, {equal.files.bytes} bytes), "
        f"{equal.keys} keys, {equal.handlers} handlers' places, {equal.letters} dead letters"
    )
    if answer["settings_added"]:
        click.echo(f"added to the target's configuration: {', '.join(answer['settings_added'])}")
    _say_missing(equal)
    for name in answer["stopped"]:
        click.echo(
            f"projection {name} stops at an event it can't fold, there as here: `mlife projection status`", err=True
        )
    if not tables:
        click.echo("The query tables fill when workers start there, or by `mlife projection rebuild NAME`.")
    click.echo(f"The home is {answer['target']} now; this one takes no more events (`mlife migrate --undo`).")


def _say_missing(equal: Equal) -> None:
    for digest in equal.missing[:5]:
        click.echo(f"file {digest} is named by the log and was not here: it is not there either", err=True)
    if len(equal.missing) > 5:
        click.echo(f"… and {len(equal.missing) - 5} more files", err=True)


class _Told:
    """A progress bar that shows one thing at a time."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._tasks: dict[str, Any] = {}

    def tell(self, what: str, done: int, total: int) -> None:
        """Show how far *what* is."""
        if what not in self._tasks:
            for task in self._tasks.values():
                self._bar.update(task, visible=False)
            self._tasks[what] = self._bar.add_task(what, total=total)
        self._bar.update(self._tasks[what], completed=done, total=total)


class _bar:  # noqa: N801 - reads as a sentence where it is used
    """A progress bar on standard error for the block; none for machines."""

    def __init__(self, as_json: bool) -> None:
        self._progress = progress(shown=not as_json)

    def __enter__(self) -> _Told:
        return _Told(self._progress.__enter__())

    def __exit__(self, *fault: Any) -> None:
        self._progress.__exit__(*fault)
