"""
A process that writes reports into a home, one after the other, until it is refused: `… writer HOME FIRST [PAUSE]`.

It says each position that it was told, and at the end what it was refused with.
"""

from __future__ import annotations

import sys
import time
from itertools import count
from pathlib import Path

from mlife.core.errors import MLifeError
from mlife.runtime import open_home, settings
from tests.ops.conftest import take


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def main(home: str, first: str, pause: str = "0") -> None:
    with open_home(settings(home, config=Path("/none"))) as opened:
        say("open")
        for n in count(int(first)):
            try:
                say(take(opened, n))
            except MLifeError as refused:
                say(f"refused: {refused}")
                return
            time.sleep(float(pause))


if __name__ == "__main__":
    main(*sys.argv[1:])
