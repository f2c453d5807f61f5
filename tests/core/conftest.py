"""Homes that know toys only (`tests/toys.py`)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlife.core import runner as running
from mlife.runtime import Home
from tests.toys import only_toys, wire_toys


@pytest.fixture
def toy_home(tmp_path: Path) -> Iterator[Home]:
    """An opened home with the toys' projections and no handlers; its runner is not running."""
    with only_toys():
        home = wire_toys(tmp_path / "home")
        yield home
        home.close()


@pytest.fixture
def second(toy_home: Home) -> Iterator[Home]:
    """The same home, as another process has it open."""
    other = wire_toys(toy_home.settings.home)
    yield other
    other.close()


@pytest.fixture(autouse=True)
def quick_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failing handlers are tried again at once."""
    monkeypatch.setattr(running, "BACKOFF", (0.0, 0.0))
    monkeypatch.setattr(running, "HOLD_SECONDS", 0.0)
