"""Rebuild, verify, rollback: nothing is lost while events come in, and a tampered row is found."""

import itertools
import threading
import time
from collections.abc import Callable

import pytest
from sqlalchemy import func, inspect, select, text

from mlife.core import rebuild as rebuilding
from mlife.core.control import skip_in_projection
from mlife.core.errors import Refused
from mlife.core.folding import Unfoldable
from mlife.core.rebuild import rebuild, rollback, verify
from mlife.runtime import Home
from tests.conftest import drain
from tests.toys import POISON, ToyMade, broken, broken_rows, make, paint, report, toy_rows, toys, unfoldable


def filled(home: Home, count: int = 12) -> None:
    for n in range(count):
        toy = home.do(make, name=f"toy {n}").first(ToyMade).toy_id
        home.do(paint, toy_id=toy, colour="red")
    drain(home)


def states(home: Home, name: str = "toys") -> list[tuple[int, str, int]]:
    return [(s.generation, s.state, s.position) for s in home.ports.views.standings() if s.name == name]


def tables(home: Home) -> set[str]:
    """The tables of toys that are really there."""
    with home.ports.views._reading() as c:
        return {name for name in inspect(c).get_table_names() if name.startswith("toy_rows")}


def reporting(home: Home, stop: threading.Event) -> Callable[[], None]:
    """A writer that does not stop until it is told to."""

    def write() -> None:
        for n in itertools.count():
            if stop.is_set():
                return
            home.do(report, uid=f"r{n}", toy_id=f"toy-{n % 5}")

    return write


def test_a_rebuild_while_events_come_in_loses_none_and_doubles_none(
    toy_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "CLOSE_ENOUGH", 3)
    monkeypatch.setattr(rebuilding, "FILL_RUN", 20)
    stop = threading.Event()
    writers = [threading.Thread(target=reporting(toy_home, stop))]
    with toy_home.running():
        for w in writers:
            w.start()
        for generation in (2, 3, 4):
            standing = rebuild(toy_home.ports, broken)
            assert (standing.generation, standing.state) == (generation, "live")
            time.sleep(0.05)
        while toy_home.ports.store.head() <= 50:
            time.sleep(0.01)
        stop.set()
        for w in writers:
            w.join()
        head = toy_home.ports.store.head()
        with toy_home.ports.views.read(min_position=head) as read:  # the running runner follows the new generation
            assert read.value(select(func.sum(broken_rows.c.reports))) == head
    assert verify(toy_home.ports, broken) == []
    assert [s[:2] for s in states(toy_home, "broken")] == [(3, "old"), (4, "live")]


def test_readers_never_see_rows_go_away_while_a_generation_is_replaced(toy_home: Home) -> None:
    filled(toy_home, 30)
    stop = threading.Event()
    counts: list[int] = []

    def look() -> None:
        while not stop.is_set():
            with toy_home.ports.views.read() as read:
                counts.append(read.value(select(func.count()).select_from(toy_rows)))

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(3):
        rebuild(toy_home.ports, toys)
    stop.set()
    reader.join()
    assert set(counts) == {30}


def test_a_rebuilt_generation_has_its_indexes(toy_home: Home) -> None:
    filled(toy_home, 2)
    rebuild(toy_home.ports, toys)
    with toy_home.ports.views._reading() as c:
        names = {i["name"] for table in tables(toy_home) for i in inspect(c).get_indexes(table)}
    assert names == {"toy_rows_by_name__1_1", "toy_rows_by_name__1_2"}


def test_a_rollback_is_caught_up_and_can_be_taken_back(toy_home: Home) -> None:
    filled(toy_home, 3)
    rebuild(toy_home.ports, toys)
    toy_home.do(make, name="after")
    drain(toy_home)

    assert rollback(toy_home.ports, toys).generation == 1
    assert states(toy_home) == [(1, "live", 7), (2, "old", 7)]
    assert verify(toy_home.ports, toys) == []
    assert rollback(toy_home.ports, toys).generation == 2
    toy_home.do(make, name="later")
    drain(toy_home)
    assert states(toy_home) == [(1, "old", 7), (2, "live", 8)]


def test_without_an_earlier_generation_a_rollback_is_refused(toy_home: Home) -> None:
    filled(toy_home, 1)
    with pytest.raises(Refused, match="no earlier generation of toys v1 is kept"):
        rollback(toy_home.ports, toys)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE toy_rows__1_1 SET coats = 7 WHERE name = 'toy 1'", 2),
        ("DELETE FROM toy_rows__1_1 WHERE name = 'toy 1'", 1),
        ("INSERT INTO toy_rows__1_1 (toy_id, name) VALUES ('ghost', 'never made')", 1),
        ("UPDATE toy_text__1_1 SET text = 'forged' WHERE text = 'toy 1'", 2),
    ],
)
def test_verifying_finds_a_row_that_was_tampered_with(toy_home: Home, statement: str, found: int) -> None:
    filled(toy_home, 3)
    assert verify(toy_home.ports, toys) == []
    with toy_home.ports.views._writing() as c:
        c.execute(text(statement))

    differences = verify(toy_home.ports, toys)
    assert len(differences) == found
    assert all(d.startswith(("toy_rows: ", "toy_text: ")) for d in differences)
    rebuild(toy_home.ports, toys)
    assert verify(toy_home.ports, toys) == []


def test_verifying_while_events_come_in_finds_nothing_and_leaves_nothing(toy_home: Home) -> None:
    stop = threading.Event()
    writer = threading.Thread(target=reporting(toy_home, stop))
    with toy_home.running():
        writer.start()
        for _ in range(4):
            assert verify(toy_home.ports, broken) == []
        stop.set()
        writer.join()
    assert [s[:2] for s in states(toy_home, "broken")] == [(1, "live")]


def test_writers_do_not_wait_while_generations_are_compared(toy_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(toy_home, 1)
    comparing = toy_home.ports.views.comparing
    waited: list[float] = []

    def slow(*generations: object) -> object:
        class Slow:
            def __enter__(self) -> Callable[[], list[str]]:
                self.inner = comparing(*generations)  # type: ignore[arg-type]
                differences = self.inner.__enter__()

                def look() -> list[str]:
                    started = time.monotonic()
                    toy_home.do(make, name="meanwhile")
                    waited.append(time.monotonic() - started)
                    return differences()

                return look

            def __exit__(self, *fault: object) -> None:
                self.inner.__exit__(None, None, None)

        return Slow()

    monkeypatch.setattr(toy_home.ports.views, "comparing", slow)
    assert verify(toy_home.ports, toys) == []
    assert waited
    assert waited[0] < 1.0


def test_a_rebuild_that_meets_poison_names_it_keeps_the_live_rows_and_leaves_nothing(toy_home: Home) -> None:
    filled(toy_home, 3)
    toy_home.do(make, name=POISON)
    drain(toy_home)
    unfoldable.add(POISON)
    with pytest.raises(Unfoldable, match=r"projection toys can't fold mlife\.toy\.made\.v1 at position 7") as said:
        rebuild(toy_home.ports, toys)

    assert "mlife projection skip toys 7" in said.value.remedy
    assert states(toy_home) == [(1, "live", 7)]
    assert tables(toy_home) == {"toy_rows__1_1"}
    toy_home.do(skip_in_projection, projection="toys", position=7, reason="it is poison")
    rebuild(toy_home.ports, toys)
    with toy_home.ports.views.read() as read:
        assert read.value(select(func.count()).select_from(toy_rows)) == 3


def test_what_a_killed_rebuild_left_is_cleared_by_the_next(toy_home: Home) -> None:
    filled(toy_home, 2)
    toy_home.ports.views.new_generation(toys)
    toy_home.ports.views.new_generation(toys)
    assert len(tables(toy_home)) == 3

    rebuild(toy_home.ports, toys)
    assert [s[1] for s in states(toy_home)] == ["old", "live"]
    assert len(tables(toy_home)) == 2


def test_one_rebuild_of_a_projection_runs_at_a_time(toy_home: Home) -> None:
    filled(toy_home, 1)
    with toy_home.ports.locks.hold("rebuild-toys"):
        for work in (rebuild, verify):
            with pytest.raises(Refused, match="is being rebuilt or verified already"):
                work(toy_home.ports, toys)
    with toy_home.ports.locks.hold("rebuild-broken"):
        rebuild(toy_home.ports, toys)


def test_a_stopped_projection_is_live_again_after_a_rebuild_with_the_mended_fold(toy_home: Home) -> None:
    unfoldable.add(POISON)
    toy_home.do(make, name=POISON)
    drain(toy_home)
    unfoldable.clear()
    rebuild(toy_home.ports, toys)
    toy_home.do(make, name="later")
    drain(toy_home)

    assert states(toy_home) == [(1, "old", 0), (2, "live", 2)]


def test_progress_is_told_up_to_the_head(toy_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilding, "FILL_RUN", 10)
    filled(toy_home, 12)
    told: list[tuple[int, int]] = []
    rebuild(toy_home.ports, toys, lambda position, head: told.append((position, head)))
    assert told == [(10, 24), (20, 24), (24, 24)]


def test_a_raised_version_is_built_beside_the_old_one_which_keeps_serving(toy_home: Home) -> None:
    filled(toy_home, 2)
    toys.version = 2
    try:
        with toy_home.ports.views.read() as read:
            assert read.position == 0
        toy_home.runner._forget()  # the newer program is another process
        drain(toy_home)
        with toy_home.ports.views.read() as read:
            assert read.value(select(func.count()).select_from(toy_rows)) == 2
    finally:
        toys.version = 1
    with toy_home.ports.views.read() as read:
        assert read.value(select(func.count()).select_from(toy_rows)) == 2
    assert tables(toy_home) == {"toy_rows__1_1", "toy_rows__2_1"}
