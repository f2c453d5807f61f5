"""The runner: each event folded once, whatever dies or fails in between, and life with other processes."""

import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from mlife.core import runner as running
from mlife.core.control import skip_in_projection
from mlife.core.errors import HomeUnusable, Unavailable
from mlife.core.projection import projections
from mlife.core.rebuild import verify
from mlife.runtime import Home
from tests.conftest import drain
from tests.toys import (
    POISON,
    ToyMade,
    broken,
    broken_rows,
    colours,
    handles,
    made,
    make,
    names,
    only_toys,
    paint,
    report,
    state,
    toy_rows,
    toys,
    unfoldable,
    wire_toys,
)

# --- projections ---


def test_what_was_committed_is_seen_in_order_and_once(toy_home: Home) -> None:
    (bear, _) = made(toy_home, "bear", "duck")
    toy_home.do(paint, toy_id=bear, colour="red")
    drain(toy_home)
    drain(toy_home)

    with toy_home.ports.views.read() as read:
        rows = read.all(select(toy_rows.c.name, toy_rows.c.coats, toy_rows.c.last_position))
    assert sorted(map(tuple, rows)) == [("bear", 1, 3), ("duck", 0, 2)]


def test_two_runners_that_ignore_the_lock_still_fold_every_event_once(toy_home: Home, second: Home) -> None:
    toy = made(toy_home, "bear")[0]
    for n in range(40):
        toy_home.do(report, uid=f"r{n}", toy_id=toy)
    stop = threading.Event()

    def zombie(home: Home) -> None:
        while not stop.is_set():
            home.runner.project(limit=3)

    threads = [threading.Thread(target=zombie, args=(h,)) for h in (toy_home, second)]
    for t in threads:
        t.start()
    for n in range(40, 80):
        toy_home.do(report, uid=f"r{n}", toy_id=toy)
    head = toy_home.ports.store.head()
    with toy_home.ports.views.read(min_position=head, timeout=20) as read:
        assert read.value(select(broken_rows.c.reports)) == 80
    stop.set()
    for t in threads:
        t.join()
    assert verify(toy_home.ports, broken) == []


def test_catching_up_folds_and_runs_no_handler(toy_home: Home) -> None:
    handled: list[str] = []
    handles("toys.note")(lambda fact, do: handled.append(fact.event.name))
    made(toy_home, "bear")
    toy_home.see(1)

    assert names(toy_home) == ["bear"]
    assert handled == []
    drain(toy_home)
    assert handled == ["bear"]


def test_an_event_that_can_not_be_folded_stops_its_projection_behind_the_good_ones(toy_home: Home) -> None:
    unfoldable.add(POISON)
    toy = made(toy_home, "a", "b", "c", POISON, "d")[0]
    toy_home.do(report, uid="r", toy_id=toy)
    drain(toy_home)

    assert names(toy_home) == ["a", "b", "c"]
    assert state(toy_home) == ("stopped", 3)
    assert state(toy_home, "broken") == ("live", 6)
    (standing,) = (s for s in toy_home.ports.views.standings() if s.state == "stopped")
    assert "mlife.toy.made.v1 at position 4: ZeroDivisionError: poison" in standing.error


def test_reads_with_a_position_name_the_stopped_projection_and_the_others_answer(toy_home: Home) -> None:
    unfoldable.add(POISON)
    toy = made(toy_home, POISON)[0]
    toy_home.do(report, uid="r", toy_id=toy)
    drain(toy_home)

    with toy_home.ports.views.read(min_position=2) as read:
        assert read.value(select(broken_rows.c.reports)) == 1
        with pytest.raises(Unavailable, match="projection toys is stopped at position 0, before 2") as said:
            read.all(select(toy_rows))
        assert "mlife projection skip" in said.value.remedy


def test_a_skip_is_an_event_that_the_running_runner_and_every_replay_honour(toy_home: Home, second: Home) -> None:
    unfoldable.add(POISON)
    made(toy_home, "a", POISON, "b")
    with toy_home.running():
        while state(toy_home)[0] != "stopped":
            time.sleep(0.01)
        # another process, e.g. the command line, decides
        skipped = second.do(skip_in_projection, projection="toys", position=2, reason="it is poison")
        second.ports.views.clear(toys)
        with toy_home.ports.views.read(min_position=skipped.position) as read:
            assert [r[0] for r in read.all(select(toy_rows.c.name))] == ["a", "b"]
    assert verify(toy_home.ports, toys) == []


def test_clearing_without_a_reason_stops_at_the_same_event_again(toy_home: Home) -> None:
    unfoldable.add(POISON)
    made(toy_home, POISON)
    drain(toy_home)
    toy_home.ports.views.clear(toys)
    drain(toy_home)

    assert state(toy_home) == ("stopped", 0)
    unfoldable.clear()
    toy_home.ports.views.clear(toys)
    drain(toy_home)
    assert names(toy_home) == [POISON]


def test_a_row_that_the_database_refuses_is_poison_and_not_a_full_disk(toy_home: Home) -> None:
    toy_home.do(lambda given: [ToyMade(toy_id="toy-1", name="first")])
    toy_home.do(lambda given: [ToyMade(toy_id="toy-1", name="twice")])
    drain(toy_home)

    assert state(toy_home) == ("stopped", 1)
    assert state(toy_home, "broken") == ("live", 2)


def test_a_full_disk_stops_nothing_for_good(toy_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    made(toy_home, "a")
    apply = toy_home.ports.views.apply

    def full(*_: Any) -> Any:
        raise HomeUnusable("the disk is full")

    monkeypatch.setattr(toy_home.ports.views, "apply", full)
    with pytest.raises(HomeUnusable):
        toy_home.runner.step()
    monkeypatch.setattr(toy_home.ports.views, "apply", apply)
    drain(toy_home)
    assert names(toy_home) == ["a"]


def lose_query_tables(home: Home) -> None:
    """As the remedies say it is done."""
    if home.settings.store.startswith("postgresql"):
        with psycopg.connect(home.settings.store) as db:
            db.execute("DELETE FROM checkpoints")
    home.close()
    for path in home.settings.home.glob("views.db*"):
        path.unlink()


def test_query_tables_that_were_deleted_are_made_anew_and_no_handler_acts_again(toy_home: Home) -> None:
    calls: list[str] = []
    handles("toys.note")(lambda fact, do: calls.append(fact.event.name))
    made(toy_home, "a", "b")
    drain(toy_home)
    lose_query_tables(toy_home)
    again = wire_toys(toy_home.settings.home, store=toy_home.settings.store)
    drain(again)

    assert names(again) == ["a", "b"]
    assert calls == ["a", "b"]
    again.close()


# --- living ---


def test_the_runner_follows_commits_of_its_own_and_of_another_process(toy_home: Home, second: Home) -> None:
    with toy_home.running() as runner:
        mine = toy_home.do(make, name="mine")
        with toy_home.ports.views.read(min_position=mine.position):
            pass
        theirs = second.do(make, name="theirs")
        second.see(theirs.position)
        assert names(second) == ["mine", "theirs"]
        runner.settle()


def test_a_command_line_sees_its_write_while_another_catches_up(toy_home: Home, second: Home) -> None:
    first = toy_home.do(make, name="a")
    later = second.do(make, name="b")
    with toy_home.ports.locks.hold("runner"):
        waiter = threading.Thread(target=second.see, args=(later.position,))
        waiter.start()
        toy_home.runner._forget()
        toy_home.runner.project(limit=first.position)  # it stops at its own position and lets go
        time.sleep(0.1)
    waiter.join(5)
    assert names(second) == ["a", "b"]


def test_what_was_written_counts_as_done_though_the_one_who_projects_is_far_behind(
    toy_home: Home, second: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mlife.runtime.SEE_SECONDS", 0.1)
    with toy_home.ports.locks.hold("runner"):
        second.see(second.do(make, name="a").position)
    assert "the newest events can't be seen yet" in caplog.text
    assert names(second) == []


def test_who_waits_until_all_is_dealt_with_need_not_be_the_runner(toy_home: Home, second: Home) -> None:
    handles("toys.paint")(lambda fact, do: do(paint, toy_id=fact.event.toy_id, colour="red"))
    second.runner.lock_wait = 0.01
    with toy_home.running():
        toy_home.do(make, name="a")
        toy_home.runner.settle()
        with second.running():
            done = second.do(make, name="b")
            assert second.runner.settle(5.0) > done.position
            assert [colour for _, colour in colours(second)] == ["red", "red"]


def test_another_process_takes_over_when_the_runner_ends(toy_home: Home, second: Home) -> None:
    second.runner.lock_wait = 0.01
    with second.running():
        with toy_home.running():
            toy_home.do(make, name="a")
            toy_home.see(1)
        done = toy_home.do(make, name="b")
        with toy_home.ports.views.read(min_position=done.position):
            assert names(toy_home) == ["a", "b"]


def test_an_idle_runner_with_a_stopped_projection_does_not_spin(
    toy_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfoldable.add(POISON)
    handles("toys.look")(lambda fact, do: do.read().__enter__().all(select(toy_rows)))
    monkeypatch.setattr(running, "HOLD_SECONDS", 0.2)
    made(toy_home, "a", POISON, "b")
    steps = [0]
    step = toy_home.runner.step

    def counted() -> bool:
        steps[0] += 1
        return step()

    monkeypatch.setattr(toy_home.runner, "step", counted)
    with toy_home.running():
        time.sleep(0.5)
        before = steps[0]
        time.sleep(0.6)
    assert steps[0] - before < 10


def test_a_fault_of_mlifes_own_does_not_end_the_runner(toy_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    faults: list[Exception] = [RuntimeError("a bug")]
    slowest = toy_home.runner.slowest

    def faulty() -> int:
        if faults:
            raise faults.pop()
        return slowest()

    monkeypatch.setattr(toy_home.runner, "slowest", faulty)
    with toy_home.running() as runner:
        toy_home.do(make, name="a")
        runner.settle(10)
    assert names(toy_home) == ["a"]
    assert not faults


def test_what_does_not_settle_says_who_is_behind(toy_home: Home) -> None:
    made(toy_home, "a")
    with pytest.raises(Unavailable, match="the runner is not running"):
        toy_home.runner.settle(0.01)
    handles("toys.wait")(lambda fact, do: (_ for _ in ()).throw(Unavailable("the target is away")))
    for _ in range(5):
        toy_home.runner.step()
    with pytest.raises(Unavailable, match=r"toys\.wait \(at 0\)"):
        toy_home.runner.settle(0.01)


def test_two_projections_of_one_name_are_refused(toy_home: Home) -> None:
    from mlife.core.errors import Misconfigured
    from mlife.core.projection import Projection

    with pytest.raises(Misconfigured, match="two projections are called toys"):
        Projection("toys", version=1, tables=[])
    assert projections["toys"] is toys


def test_a_home_may_have_any_name(tmp_path: Path) -> None:
    with only_toys():
        odd = wire_toys(tmp_path / "100% a#1?b ü")
        odd.do(make, name="a")
        odd.see(1)
        odd.close()
    assert {p.name for p in (tmp_path / "100% a#1?b ü").glob("*.db")} >= {"mlife.db", "views.db", "handlers.db"}
