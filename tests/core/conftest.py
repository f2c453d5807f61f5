"""Homes that know toys only (`tests/toys.py`)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlife.runtime import Home
from tests.toys import only_toys, wire_toys


@pytest.fixture
def toy_home(tmp_path: Path) -> Iterator[Home]:
    """An opened home with the toys' projections and no handlers; its runner is not running."""
    with only_toys():
        home = wire_toys(tmp_path / "home")
        yield home
        home.close()
