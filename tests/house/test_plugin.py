"""A user's own package adds an event, a projection and a handler, and nothing of this repository is touched."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = Path(__file__).parent / "plugin"


def ran(*command: object, path: Path | None = None) -> str:
    environment = {**os.environ, "PYTHONPATH": str(path)} if path else dict(os.environ)
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the package, without an index."""
    folder = tmp_path_factory.mktemp("site")
    source = shutil.copytree(PLUGIN, tmp_path_factory.mktemp("plugin") / "nightlamp")
    ran(
        *("-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index", "--no-deps"),
        *("--no-build-isolation", "--target", folder, source),
    )
    return folder


def test_its_event_projection_and_handler_work_as_soon_as_it_is_installed(installed: Path, tmp_path: Path) -> None:
    told = json.loads(ran("-m", "tests.house.with_plugin", tmp_path / "home", path=installed))

    assert told == {
        "lamps": [["bc-1", "tunnel", 1]],
        "event": "mlife.lamp.lit.v1",
        "handler": True,
        "differences": [],
        "letters": [],
    }
    shown = ran(
        *("-c", "from mlife.cli import main; main()", "event", "tail", "--type", "mlife.lamp.lit"),
        *("--home", tmp_path / "home"),
        path=installed,
    )
    (lit,) = map(json.loads, shown.splitlines())
    assert (lit["subject"], lit["actor"]) == ("lamp/bc-1", "handler nightlamp.light")
    listed = ran(
        *("-c", "from mlife.cli import main; main()", "projection", "status", "--home", tmp_path / "home", "--json"),
        path=installed,
    )
    assert "lamps" in listed


def test_without_it_a_log_that_holds_its_events_is_still_shown_and_followed(installed: Path, tmp_path: Path) -> None:
    ran("-m", "tests.house.with_plugin", tmp_path / "home", path=installed)
    shown = ran("-c", "from mlife.cli import main; main()", "event", "tail", "--after", 0, "--home", tmp_path / "home")

    assert "mlife.lamp.lit.v1" in shown
    script = (
        "import sys; from mlife.runtime import open_home, settings\n"
        "with open_home(settings(sys.argv[1])) as home:\n"
        "    home.see(home.ports.store.head())\n"
        "    sys.stdout.write(str(home.ports.store.head()))"
    )
    assert int(ran("-c", script, tmp_path / "home")) >= 4
