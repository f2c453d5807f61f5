"""A home whose files were damaged, deleted or put back: a sentence that says what to do, and nothing silently wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from mlife.core.errors import Corrupt, HomeUnusable
from mlife.core.events import derived_id
from mlife.core.ports import Append
from mlife.core.projection import projections
from mlife.core.rebuild import rebuild, verify
from mlife.runtime import Home
from tests.conftest import drain
from tests.e2e.conftest import mlife
from tests.processes import hear, start
from tests.toys import ToyMade, make, only_toys, toy_rows, toys, wire_toys

TOYS = 3_000


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of toys that was closed in order."""
    folder = tmp_path_factory.mktemp("original") / "home"
    with only_toys():
        home = wire_toys(folder)
        now = home.do.clock.now()
        made = [ToyMade(toy_id=f"toy-{n}", name=f"a toy called {n}") for n in range(TOYS)]
        home.ports.store.append(Append([home.do.draft(e, derived_id(e.toy_id), now) for e in made]))
        drain(home)
        home.close()
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it, to be damaged."""
    shutil.copytree(original, tmp_path / "home")
    with only_toys():
        yield tmp_path / "home"


def garble(path: Path) -> None:
    """Overwrite the pages behind the first ten: rows, indexes, texts."""
    pages = path.stat().st_size // 4096
    with path.open("r+b") as file:
        for page in range(10, pages):
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)


def count(home: Home) -> int:
    with home.ports.views.read() as read:
        return int(read.value(select(func.count()).select_from(toy_rows)))


def test_a_damaged_page_of_the_query_tables_is_told_with_what_to_do_and_a_rebuild_mends_it(folder: Path) -> None:
    garble(folder / "views.db")
    home = wire_toys(folder)
    try:
        with pytest.raises(HomeUnusable, match=r"damaged.*made anew from the log"), home.ports.views.read() as read:
            read.all(select(toy_rows))
    finally:
        home.close()

    for file in folder.glob("views.db*"):
        file.unlink()
    home = wire_toys(folder)
    drain(home)
    assert count(home) == TOYS
    assert verify(home.ports, toys) == []
    home.close()


def test_a_damaged_page_of_the_log_is_told_and_never_read_as_a_shorter_log(folder: Path) -> None:
    garble(folder / "mlife.db")
    with pytest.raises(HomeUnusable, match=r"mlife\.db is damaged.*backup"):
        rebuild(wire_toys(folder).ports, toys)


def test_a_log_that_lost_its_end_is_refused_and_goes_on_when_a_person_accepts_the_loss(folder: Path) -> None:
    kept = folder / "kept.db"
    shutil.copy(folder / "mlife.db", kept)
    home = wire_toys(folder)
    for number in range(5):
        home.do(make, name=f"lost {number}")
    drain(home)
    home.close()
    kept.replace(folder / "mlife.db")  # an old copy is put back

    with pytest.raises(
        Corrupt, match=f"stops at position {TOYS}, and events up to {TOYS + 5}.*views.db and handlers.db"
    ):
        wire_toys(folder)

    for name in ("views.db", "handlers.db"):
        (folder / name).unlink()
    home = wire_toys(folder)
    home.do(make, name="after")
    drain(home)
    assert count(home) == TOYS + 1
    assert verify(home.ports, toys) == []
    home.close()


def test_the_log_of_a_killed_process_without_its_wal_is_refused(folder: Path) -> None:
    child = start("e2e.toy_process", folder, "run")
    writer = start("e2e.toy_process", folder, "write", "w")
    try:
        hear(child)
        for _ in range(20):
            hear(writer)
        _, position = hear(writer).split()
        home = wire_toys(folder)
        with home.ports.views.read(min_position=int(position)):
            pass  # it was folded
        home.close()
    finally:
        for process in (child, writer):
            process.kill()
            process.communicate()
    (folder / "mlife.db-wal").unlink()

    with pytest.raises(Corrupt, match="the log has lost its end"):
        wire_toys(folder)


def test_a_rebuild_that_was_killed_leaves_nothing_once_a_runner_runs(folder: Path) -> None:
    home = wire_toys(folder)
    home.ports.views.new_generation(projections["toys"])
    assert [s.state for s in home.ports.views.standings() if s.name == "toys"] == ["live", "filling"]
    with home.running():
        home.do(make, name="one more")
        home.runner.settle()
    assert [s.state for s in home.ports.views.standings() if s.name == "toys"] == ["live"]
    home.close()


def test_a_rebuild_that_lives_is_not_swept_away(folder: Path) -> None:
    home = wire_toys(folder)
    with home.ports.locks.hold("rebuild-toys"):
        home.ports.views.new_generation(projections["toys"])
        with home.running():
            home.runner.settle()
    assert [s.state for s in home.ports.views.standings() if s.name == "toys"] == ["live", "filling"]
    home.close()


def test_a_projection_that_has_not_stopped_skips_nothing(tmp_path: Path) -> None:
    said = mlife("projection", "skip", "badcases", "99999999", "--reason", "a typo", "--home", str(tmp_path / "home"))
    assert (said.returncode, "badcases is not stopped" in said.stderr) == (1, True)
    assert mlife("event", "tail", "--after", "0", "--home", str(tmp_path / "home")).stdout == ""
