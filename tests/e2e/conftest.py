"""A home in which the demo was told once, for all end-to-end tests of a session; and a server on it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Told:
    """A demo that was told: its home, and the object it ended with."""

    home: Path
    result: dict[str, Any]


def mlife(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person would, with no settings of this machine."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MLIFE_")}
    return subprocess.run(
        [sys.executable, "-m", "mlife", *words],
        cwd=ROOT / "tests",
        env=clean,
        capture_output=True,
        text=True,
        check=False,
        **more,
    )


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The demo at its default seed."""
    home = tmp_path_factory.mktemp("demo") / "home"
    ran = mlife("demo", "--home", str(home), "--json", timeout=300)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return Told(home, json.loads(ran.stdout.splitlines()[-1]))


@pytest.fixture(scope="session")
def address(told: Told) -> Iterator[str]:
    """Where `mlife up` serves the demo's home."""
    with served(told.home) as found:
        yield found


@contextmanager
def served(home: Path) -> Iterator[str]:
    """`mlife up` on *home* for the block; where it answers."""
    command = [sys.executable, "-m", "mlife", "up", "--home", str(home), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT / "tests", stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        found = re.search(r"http://[\d.]+:\d+", line)
        assert found, line
        yield found[0]
        server.terminate()
