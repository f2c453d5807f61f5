"""`mlife demo`: the whole loop on real data."""

from __future__ import annotations

import os
import shutil
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlife.cli.terminal import console, print_json, progress, with_home
from mlife.core.errors import Refused

if TYPE_CHECKING:
    from mlife.runtime import Home


@click.command("demo")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, 2**31), help="Another seed gives other figures."
)
@click.option("--json", "as_json", is_flag=True, help="The last line is one JSON object.")
@with_home
def command(home: Home, seed: int, as_json: bool) -> None:
    """
    Run the whole loop on real data, and keep it in the home to look at.

    Four models and two shifts: scikit-learn's digits at home, MNIST's in the field, then with their lower part covered.
    A demo that was killed goes on where it was.

    \b
    mlife demo --home /tmp/mlife-demo --seed 7
    """
    from mlife.cli.up import working
    from mlife.demo.hands import Hands
    from mlife.demo.loop import Loop
    from mlife.demo.result import result_of, table_of
    from mlife.demo.weeks import SOURCE, Calendar

    started = time.monotonic()
    first = home.ports.store.read(0, 1)
    if first and first[0].draft.source != SOURCE:
        raise Refused(
            f"{home.settings.home} holds a log of its own, of {home.ports.store.head()} events",
            remedy="choose another --home; the demo keeps to its own",
        )
    with home.ports.locks.hold("demo") as held, ExitStack() as running:
        if not held:
            raise Refused("a demo is running in this home", remedy="wait for it, or choose another --home")
        refuse_another_seed(home.settings.home, seed)
        hands = Hands(home, seed, Calendar.of(home.ports.store))
        running.enter_context(home.running())
        running.enter_context(working(home, tries=1_000))  # however often the demo is killed
        bar = running.enter_context(progress(shown=not as_json, words=True))
        line = bar.add_task("", total=1.0)

        def tell(share: float, sentence: str) -> None:
            bar.update(line, completed=share, description=sentence)
            if not as_json and not sys.stderr.isatty():
                click.echo(f"{time.monotonic() - started:5.1f} s  {sentence}", err=True)

        told = Loop(hands, tell).run()
        home.runner.settle(60)
        result = result_of(hands, told, time.monotonic() - started)
    if as_json:
        print_json(result)
        return
    console().print(table_of(result, told))
    program = "mlife" if shutil.which("mlife") == sys.argv[0] else os.path.relpath(sys.argv[0])
    click.echo(f"\nLook at it:  {program} up --home {home.settings.home}")
    if not home.settings.store.startswith("sqlite"):  # the folder alone is not the home
        click.echo("             with the same store, bus and files, while those servers run")
    click.echo("             then open http://127.0.0.1:8000/")


def refuse_another_seed(home: Path, seed: int) -> None:
    """A second demo would find the first one's field items in the training sets, and stop at the leakage guard."""
    for folder in (home / "demo").glob("*"):
        if folder.name != str(seed):
            raise Refused(
                f"{home} holds the demo of seed {folder.name}",
                remedy=f"go on with it by --seed {folder.name}, or choose another --home",
            )
