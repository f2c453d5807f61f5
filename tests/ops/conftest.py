"""What tests of running and moving homes share: homes with something in them, and the operators' command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mlife.badcases.intake.taking import Intake
from mlife.cli.doctor import command as doctor
from mlife.core.moving import House
from mlife.runtime import Home, open_home, settings
from mlife.runtime.moving import house_of

ROOT = Path(__file__).parents[2]


def report(number: int, **more: Any) -> dict[str, Any]:
    """A report of its own."""
    return {
        "system": "dms",
        "function": "emotion",
        "version": "1.0",
        "client": f"car-{number % 7}",
        "report_id": f"r{number}",
        "prediction": {"type": "class", "label": "sad"},
        "truth": {"type": "class", "label": "happy"},
        "data": [{"uri": f"s3://cam/{number}.jpg"}],
        "observed_at": "2026-01-02T03:04:05Z",
        **more,
    }


def take(home: Home, *numbers: int, **more: Any) -> int:
    """Reports into *home*; the position they reached."""
    answer = Intake(home.ports.store, home.sealer).reports([report(n, **more) for n in numbers])
    assert not answer.refused
    return answer.position


def environment(**variables: str) -> dict[str, str]:
    """This process's environment with no other setting of MLife's than *variables*."""
    return {**{k: v for k, v in os.environ.items() if not k.startswith("MLIFE_")}, **variables}


def command(*words: object) -> list[str]:
    """The command line of `mlife *words*`."""
    return [sys.executable, "-m", "mlife", *map(str, words)]


def mlife(*words: object, timeout: float = 120, **variables: str) -> subprocess.CompletedProcess[str]:
    """What `mlife *words*` says, with *variables* as its only settings."""
    return subprocess.run(
        command(*words),
        cwd=ROOT / "tests",
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


def findings(*words: object, **variables: str) -> dict[str, dict[str, str]]:
    """What `mlife doctor` finds, by part; in this process, which saves a second each time."""
    none: dict[str, str | None] = {name: None for name in os.environ if name.startswith("MLIFE_")}
    told = CliRunner(env={**none, **variables}).invoke(doctor, ["--json", *map(str, words)])
    found = {f["what"]: f for f in map(json.loads, told.stdout.splitlines())}
    assert found, (told.output, told.exception)
    assert told.exit_code == int(any(f["state"] == "wrong" for f in found.values()))
    return found


def config(folder: Path, **told: str) -> Path:
    """An `mlife.toml` that says *told*."""
    file = folder / f"{'-'.join(told)}-{len(list(folder.iterdir()))}.toml"
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in told.items()))
    return file


@contextmanager
def opened(file: Path) -> Iterator[Home]:
    """The home that the configuration *file* names."""
    from mlife.runtime.moving import settings_in

    with open_home(settings_in(file)) as home:
        yield home


@contextmanager
def houses(source: Home, target: Home) -> Iterator[tuple[House, House]]:
    """Both as what moves."""
    with house_of(source) as here, house_of(target) as there:
        yield here, there


@pytest.fixture
def no_toml(tmp_path: Path) -> Path:
    """A configuration that says nothing."""
    return tmp_path / "no.toml"


@pytest.fixture
def embedded(tmp_path: Path, no_toml: Path) -> Iterator[Home]:
    """An opened home of the embedded size; its runner is not running."""
    with open_home(settings(tmp_path / "embedded", config=no_toml)) as home:
        yield home
