"""`mlife demo`: the whole loop on real data."""

from __future__ import annotations

import os
import shutil
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlife.cli.terminal import console, print_json, progress, with_home
from mlife.core.errors import Refused

if TYPE_CHECKING:
    from mlife.demo.loop import Tell
    from mlife.demo.weeks import Calendar
    from mlife.runtime import Home


@click.command("demo")
@click.option(
    "--scenario",
    type=click.Choice(["digits", "masks"]),
    default="digits",
    show_default=True,
    help="digits: two shifts of real digits; masks: the paper's own story, of drivers who wear masks.",
)
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, 2**31), help="Another seed gives other figures."
)
@click.option("--json", "as_json", is_flag=True, help="The last line is one JSON object.")
@with_home
def command(home: Home, scenario: str, seed: int, as_json: bool) -> None:
    """
    Run the whole loop on real data, and keep it in the home to look at.

    Four models and two shifts: scikit-learn's digits at home, MNIST's in the field, then with their lower part covered.
    A demo that was killed goes on where it was.

    \b
    mlife demo --home /tmp/mlife-demo --seed 7
    mlife demo --scenario masks --home /tmp/mlife-masks
    """
    from mlife.cli.up import working
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
        name = str(seed) if scenario == "digits" else f"{scenario}-{seed}"
        refuse_another_demo(home.settings.home, name)
        calendar = Calendar.of(home.ports.store)
        running.enter_context(home.running())
        running.enter_context(working(home, tries=1_000))  # however often the demo is killed
        bar = running.enter_context(progress(shown=not as_json, words=True))
        line = bar.add_task("", total=1.0)

        def tell(share: float, sentence: str) -> None:
            bar.update(line, completed=share, description=sentence)
            if not as_json and not sys.stderr.isatty():
                click.echo(f"{time.monotonic() - started:5.1f} s  {sentence}", err=True)

        tell_story = tell_masks if scenario == "masks" else tell_digits
        result, table = tell_story(home, seed, calendar, name, tell, started)
    if as_json:
        print_json(result)
        return
    console().print(table)
    program = "mlife" if shutil.which("mlife") == sys.argv[0] else os.path.relpath(sys.argv[0])
    click.echo(f"\nLook at it:  {program} up --home {home.settings.home}")
    if not home.settings.store.startswith("sqlite"):  # the folder alone is not the home
        click.echo("             with the same store, bus and files, while those servers run")
    click.echo("             then open http://127.0.0.1:8000/")


def tell_digits(
    home: Home, seed: int, calendar: Calendar, name: str, tell: Tell, started: float
) -> tuple[dict[str, Any], Any]:
    """The digits' story: its result, and the table for people."""
    from mlife.demo.hands import Hands
    from mlife.demo.loop import Loop
    from mlife.demo.result import result_of, table_of

    hands = Hands(home, seed, calendar, name=name)
    told = Loop(hands, tell).run()
    home.runner.settle(60)
    result = result_of(hands, told, time.monotonic() - started)
    return result, table_of(result, told)


def tell_masks(
    home: Home, seed: int, calendar: Calendar, name: str, tell: Tell, started: float
) -> tuple[dict[str, Any], Any]:
    """The masks' story: its result, and the table for people."""
    from mlife.demo.drivers import EXPRESSION, SYSTEM
    from mlife.demo.hands import Hands
    from mlife.demo.masks import TRAINING, Masks
    from mlife.demo.masks_result import result_of, table_of

    story = Masks(
        Hands(home, seed, calendar, name=name, system=SYSTEM, function=EXPRESSION, training=TRAINING), tell
    )  # fmt: skip
    story.run()
    home.runner.settle(60)
    result = result_of(story, time.monotonic() - started)
    return result, table_of(result)


def refuse_another_demo(home: Path, name: str) -> None:
    """A second demo would find the first one's field items in the training sets, and stop at the leakage guard."""
    for folder in (home / "demo").glob("*"):
        if folder.name != name:
            scenario, _, seed = folder.name.rpartition("-")
            told = f"the scenario {scenario}, seed {seed}" if scenario else f"the demo of seed {seed}"
            again = f"--scenario {scenario} --seed {seed}" if scenario else f"--seed {seed}"
            raise Refused(f"{home} holds {told}", remedy=f"go on with it by {again}, or choose another --home")
