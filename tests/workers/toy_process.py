"""
`python -m tests.workers.toy_process worker handlers`: MLife's command line in a process that knows toys only.

Files in the home tell the toys how to behave, so that a test can change it while processes run:
`unfoldable`: `toys` can't fold a toy called `poison`; `unpaintable`: nor can the handler paint one;
`slow`: painting takes a second.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

from mlife import cli, runtime
from mlife.core.events import Recorded
from mlife.core.handler import Do
from tests.toys import POISON, ToyMade, ToyReported, handles, only_toys, paint, toys, unfoldable


def handle_by_files(home: Path) -> None:
    """Handlers that look at the files of *home* first."""

    @handles("toys.paint")
    def paint_new(fact: Recorded[ToyMade], do: Do) -> None:
        if fact.event.name == POISON and (home / "unpaintable").exists():
            raise ValueError("this toy can't be painted")
        if (home / "slow").exists():
            time.sleep(1)
        do(paint, toy_id=fact.event.toy_id, colour="red")

    @handles("toys.mend", on=ToyReported)
    def mend(fact: Recorded[ToyReported], do: Do) -> None:
        if fact.event.toy_id == POISON and (home / "unpaintable").exists():
            raise ValueError("this toy can't be mended")
        if fact.event.fields.get("mend"):
            do(paint, toy_id=fact.event.toy_id, colour=fact.event.uid)


def fold_by_files(home: Path) -> None:
    """A fold that looks at them too."""
    folds = toys._folds["mlife.toy.made"]

    def fold(run: Any, tx: Any) -> None:
        unfoldable.clear()
        if (home / "unfoldable").exists():
            unfoldable.add(POISON)
        folds(run, tx)

    for name in toys._folds:
        toys._folds[name] = fold


if __name__ == "__main__":
    runtime.load_features = lambda rooms=(): None  # type: ignore[misc]
    with only_toys():
        at = Path(os.environ["MLIFE_HOME"])
        handle_by_files(at)
        fold_by_files(at)
        sys.argv[0] = "mlife"
        cli.main()
