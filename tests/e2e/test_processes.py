"""Real processes on one home, killed at any moment: nothing acknowledged is lost, nothing takes effect twice."""

import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from mlife.core.handler import handlers
from mlife.core.ports import iterate
from mlife.core.projection import projections
from mlife.core.rebuild import verify
from mlife.runtime import Home
from tests.conftest import drain
from tests.e2e.toy_process import declare_handlers
from tests.processes import hear, start
from tests.toys import ToyMade, ToyPainted, make, only_toys, toy_rows, wire_toys

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home of toys, opened in this process too; nobody runs it yet."""
    with only_toys():
        opened = wire_toys(tmp_path / "home")
        yield opened
        opened.close()


@pytest.fixture
def started(home: Home) -> Iterator[Start]:
    """Starts processes on the home, and ends them."""
    children: list[subprocess.Popen[str]] = []

    def start_one(*words: str) -> "subprocess.Popen[str]":
        child = start("e2e.toy_process", home.settings.home, *words)
        children.append(child)
        return child

    yield start_one
    for child in children:
        child.kill()
        child.communicate()


def killed(child: "subprocess.Popen[str]") -> list[str]:
    """Kill *child*; the whole lines that it had said."""
    child.kill()
    return child.communicate()[0].rpartition("\n")[0].splitlines()


def paintings(home: Home) -> Counter[tuple[str, str]]:
    return Counter(
        (r.event.toy_id, r.event.colour) for r in iterate(home.ports.store) if isinstance(r.event, ToyPainted)
    )


def waited_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.mark.slow
def test_killed_at_any_moment_everything_acknowledged_is_there_once_and_has_its_effects_once(
    home: Home, started: Start
) -> None:
    chance = random.Random(20)
    acknowledged: dict[str, int] = {}
    for turn in range(10):
        children = [
            started("run"),
            started("write", f"t{turn}"),
            started("rebuild") if turn % 3 == 0 else started("run"),
        ]
        for child in children[1:]:
            hear(child)
        time.sleep(chance.uniform(0.02, 0.4))
        chance.shuffle(children)
        for child in children:
            acknowledged.update((n, int(p)) for n, p in (line.split() for line in killed(child) if " " in line))
            time.sleep(chance.uniform(0, 0.02))
    declare_handlers()
    drain(home)

    events = list(iterate(home.ports.store))
    assert [r.position for r in events] == list(range(1, len(events) + 1))
    made = {r.event.name: r for r in events if isinstance(r.event, ToyMade)}
    assert len(made) == sum(isinstance(r.event, ToyMade) for r in events)
    assert len(acknowledged) > 30
    assert all(made[name].position == position for name, position in acknowledged.items())
    assert home.book.letters() == []
    assert paintings(home) == Counter((r.event.toy_id, c) for r in made.values() for c in ("red", "blue"))
    with home.ports.views.read(min_position=len(events)) as read:
        assert read.value(select(func.count()).select_from(toy_rows)) == len(made)
        assert read.value(select(func.sum(toy_rows.c.coats))) == 2 * len(made)
    for projection in projections.values():
        assert verify(home.ports, projection) == []


def test_a_fact_whose_handling_kills_the_process_is_parked_after_three_deaths_and_others_go_on(
    home: Home, started: Start
) -> None:
    toys = [home.do(make, name=name).first(ToyMade).toy_id for name in ("good", "cursed", "late")]
    deaths = 0
    for _ in range(5):
        child = started("run")
        hear(child)
        waited_for(lambda child=child: child.poll() is not None or bool(home.book.letters()))
        if child.poll() is None:
            break
        deaths += 1

    assert deaths == 3
    (letter,) = home.book.letters()
    assert (letter.handler, letter.key, letter.error) == (
        "toys.curse",
        toys[1],
        "the process died while it was handled",
    )
    waited_for(lambda: sum(paintings(home).values()) == 7)
    assert set(paintings(home).values()) == {1}
    assert paintings(home)[toys[1], "black"] == 1


def test_when_the_runner_is_killed_another_takes_over_within_a_second(home: Home, started: Start) -> None:
    first = started("run")
    hear(first)
    waited_for(lambda: home.ports.locks.is_held("runner"))
    second = started("run")
    hear(second)
    home.see(home.do(make, name="a").position)
    first.kill()
    died = time.monotonic()
    done = home.do(make, name="b")
    with home.ports.views.read(min_position=done.position):
        assert time.monotonic() - died < 2.0
    assert second.poll() is None


def test_what_one_process_commits_another_projects_and_this_one_reads(home: Home, started: Start) -> None:
    runner, writer = started("run"), started("write", "w")
    hear(runner)
    hear(writer)
    for _ in range(20):
        name, position = hear(writer).split()
        with home.ports.views.read(min_position=int(position)) as read:
            assert read.value(select(toy_rows.c.name).where(toy_rows.c.name == name)) == name


def test_six_processes_open_a_new_home_at_once(tmp_path: Path, started: Start) -> None:
    children = [start("e2e.toy_process", tmp_path / "new", "write", f"p{n}") for n in range(6)]
    try:
        for n, child in enumerate(children):
            assert hear(child) == "ready"
            assert hear(child).startswith(f"p{n}-0 ")
    finally:
        for child in children:
            killed(child)


def test_who_only_reads_does_not_wait_for_one_who_stands_still_with_the_writers_lock(home: Home) -> None:
    home.see(home.do(make, name="a").position)
    names: list[str] = []

    def look() -> None:
        other = wire_toys(home.settings.home)
        other.see(other.ports.store.head())
        with other.ports.views.read() as read:
            names.append(read.value(select(toy_rows.c.name)))
        other.close()

    with home.ports.store.barrier():
        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        looking.join(10)
        assert names == ["a"]


def test_a_stopped_test_leaves_no_handlers_behind() -> None:
    assert not any(name.startswith("toys.") for name in handlers)
