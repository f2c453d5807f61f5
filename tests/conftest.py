"""What all tests share: homes, the server's client, and which tests need a browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlife.runtime import Home, open_home, settings
from tests.browsing import axe, chromium, visit
from tests.components import *  # noqa: F403 - fixtures of real servers

__all__ = ["axe", "chromium", "visit"]  # one browser for a whole session, whoever asks for it

if TYPE_CHECKING:
    from starlette.testclient import TestClient


ON_POSTGRES = os.environ.get("MLIFE_TEST_STORE") == "postgres"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked ``browser`` where Debian's Chromium is missing; in CI they run, and fail, instead."""
    if shutil.which("chromium") or os.environ.get("CI"):
        return
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason="chromium is not installed: as root, apt-get install chromium"))


def drain(home: Home, rounds: int = 1_000) -> int:
    """
    Let projections, handlers and timers of *home* do all they have to do, in this thread; the head that was reached.

    Only for a home whose runner is not running. Moments that have come are looked at once more at the end.
    """
    for _ in range(rounds):
        if home.runner.step():
            continue
        home.runner._timekeeper.look_at = 0.0  # look at the timers now
        if not home.runner.step():
            return home.ports.store.head()
    raise AssertionError(f"still busy after {rounds} rounds, at position {home.ports.store.head()}")


@pytest.fixture
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """
    An opened home in a folder of its own, with every installed feature; its runner is not running (see `drain`).

    With ``MLIFE_TEST_STORE=postgres`` its log and tables are in a schema of PostgreSQL, also for the terminal: any test
    of a feature is one of both sizes.
    """
    if ON_POSTGRES:
        monkeypatch.setenv("MLIFE_STORE", request.getfixturevalue("postgres_url"))
    with open_home(settings(tmp_path / "home", config=tmp_path / "no.toml")) as opened:
        yield opened


@pytest.fixture
def running_home(home: Home) -> Iterator[Home]:
    """The same home with its runner in a thread; `running_home.runner.settle()` waits for it."""
    with home.running():
        yield home


@pytest.fixture
def client(home: Home) -> "Iterator[TestClient]":
    """A client of the whole server on `home`; ask for `running_home` too if projections are to follow."""
    from starlette.testclient import TestClient

    from mlife.server import make_app

    with TestClient(make_app(home)) as opened:
        yield opened
