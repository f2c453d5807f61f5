"""The runner: each event folded once, each fact handled with one effect, whatever dies or fails in between."""

import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from mlife.core import runner as running
from mlife.core.control import DeadLetterSkipped, skip_in_projection
from mlife.core.errors import HomeUnusable, Refused, Unavailable
from mlife.core.events import Recorded
from mlife.core.handler import Do, handlers, timer
from mlife.core.ports import iterate
from mlife.core.projection import projections
from mlife.core.rebuild import verify
from mlife.runtime import Home
from tests.conftest import drain
from tests.toys import (
    POISON,
    ToyMade,
    ToyPainted,
    ToyReported,
    broken,
    broken_rows,
    due,
    handles,
    make,
    paint,
    report,
    toy_rows,
    toys,
    unfoldable,
    wake,
    wire_toys,
)


@pytest.fixture(autouse=True)
def quick_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "BACKOFF", (0.0, 0.0))
    monkeypatch.setattr(running, "HOLD_SECONDS", 0.0)


def made(home: Home, *names: str) -> list[str]:
    return [home.do(make, name=name).first(ToyMade).toy_id for name in names]


def colours(home: Home) -> list[tuple[str, str]]:
    return [(r.event.toy_id, r.event.colour) for r in iterate(home.ports.store) if isinstance(r.event, ToyPainted)]


def names(home: Home) -> list[str]:
    with home.ports.views.read() as read:
        return [r[0] for r in read.all(select(toy_rows.c.name).order_by(toy_rows.c.first_position))]


def state(home: Home, name: str = "toys") -> tuple[str, int]:
    standing = home.ports.views.prepare(projections[name])
    return standing.state, standing.position


@pytest.fixture
def second(toy_home: Home) -> Iterator[Home]:
    """The same home, as another process has it open."""
    other = wire_toys(toy_home.settings.home)
    yield other
    other.close()


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


def test_query_tables_that_were_deleted_are_made_anew_and_no_handler_acts_again(toy_home: Home) -> None:
    calls: list[str] = []
    handles("toys.note")(lambda fact, do: calls.append(fact.event.name))
    made(toy_home, "a", "b")
    drain(toy_home)
    toy_home.close()
    for path in toy_home.settings.home.glob("views.db*"):
        path.unlink()
    again = wire_toys(toy_home.settings.home)
    drain(again)

    assert names(again) == ["a", "b"]
    assert calls == ["a", "b"]
    again.close()


# --- handlers ---


def test_a_fact_has_its_effect_once_however_often_it_is_handled(toy_home: Home) -> None:
    @handles("toys.paint")
    def paint_new(fact: Recorded[ToyMade], do: Do) -> None:
        do(paint, toy_id=fact.event.toy_id, colour="red")
        do(paint, toy_id=fact.event.toy_id, colour="blue")

    toy = made(toy_home, "bear")[0]
    drain(toy_home)
    for _ in range(3):
        toy_home.book.move({"toys.paint": 0})
        toy_home.runner._forget()
        drain(toy_home)

    assert colours(toy_home) == [(toy, "red"), (toy, "blue")]


def test_a_handler_that_dies_between_two_commands_goes_on_with_the_second(toy_home: Home) -> None:
    fail = [True, True]

    @handles("toys.paint")
    def paint_new(fact: Recorded[ToyMade], do: Do) -> None:
        do(paint, toy_id=fact.event.toy_id, colour="red")
        if fail:
            raise ValueError(fail.pop())
        do(paint, toy_id=fact.event.toy_id, colour="blue")

    toy = made(toy_home, "bear")[0]
    drain(toy_home)
    assert colours(toy_home) == [(toy, "red"), (toy, "blue")]
    assert toy_home.book.letters() == []


def test_what_a_handler_causes_names_its_cause_and_its_author(toy_home: Home) -> None:
    handles("toys.paint")(lambda fact, do: do(paint, toy_id=fact.event.toy_id, colour="red"))
    toy_home.do.as_(correlation_id="itr-1", actor="ada")(make, name="bear")
    drain(toy_home)

    cause, effect = toy_home.ports.store.read()
    assert effect.draft.causation_id == cause.draft.id
    assert (effect.correlation_id, effect.draft.actor) == ("itr-1", "handler toys.paint")


def test_a_handler_finds_its_fact_in_the_query_tables(toy_home: Home) -> None:
    seen: list[Any] = []

    @handles("toys.look")
    def look(fact: Recorded[ToyMade], do: Do) -> None:
        with do.read() as read:
            seen.append(read.value(select(toy_rows.c.name).where(toy_rows.c.toy_id == fact.event.toy_id)))

    with toy_home.running() as runner:
        made(toy_home, *"abcdef")
        runner.settle()
    assert seen == list("abcdef")


def test_what_fails_is_tried_three_times_then_its_key_is_parked_and_others_go_on(toy_home: Home) -> None:
    tries: list[str] = []

    @handles("toys.check", on=ToyPainted)
    def check(fact: Recorded[ToyPainted], do: Do) -> None:
        tries.append(f"{fact.event.toy_id} {fact.event.colour}")
        if fact.event.colour == "bad":
            raise ValueError("no such colour")

    a, b = made(toy_home, "a", "b")
    for toy, colour in ((a, "red"), (a, "bad"), (a, "blue"), (b, "green"), (a, "grey")):
        toy_home.do(paint, toy_id=toy, colour=colour)
    drain(toy_home)

    assert tries == [f"{a} red", *[f"{a} bad"] * 3, f"{b} green"]
    letters = toy_home.book.letters()
    assert [(x.key, x.position, x.attempts, x.error) for x in letters] == [
        (a, 4, 3, "ValueError: no such colour"),
        (a, 5, 0, ""),
        (a, 7, 0, ""),
    ]


def test_a_retry_goes_on_in_order_from_where_it_stood(toy_home: Home) -> None:
    order: list[str] = []
    bad = {"bad"}

    @handles("toys.check", on=ToyPainted)
    def check(fact: Recorded[ToyPainted], do: Do) -> None:
        if fact.event.colour in bad:
            raise ValueError(fact.event.colour)
        order.append(fact.event.colour)

    toy = made(toy_home, "a")[0]
    for colour in ("red", "bad", "blue"):
        toy_home.do(paint, toy_id=toy, colour=colour)
    drain(toy_home)
    toy_home.book.ask_retry("toys.check", toy)
    toy_home.do(paint, toy_id=toy, colour="late")
    drain(toy_home)
    assert order == ["red"]
    assert [x.retry for x in toy_home.book.letters()] == [False, False, False]

    bad.clear()
    toy_home.book.ask_retry("toys.check", toy)
    toy_home.do(paint, toy_id=toy, colour="later")
    drain(toy_home)
    assert order == ["red", "bad", "blue", "late", "later"]
    assert toy_home.book.letters() == []


def test_a_letter_parked_while_a_retry_is_asked_for_is_not_forgotten(toy_home: Home) -> None:
    order: list[str] = []
    bad = {"bad"}

    @handles("toys.check", on=ToyPainted)
    def check(fact: Recorded[ToyPainted], do: Do) -> None:
        if fact.event.colour in bad:
            raise ValueError
        order.append(fact.event.colour)

    toy = made(toy_home, "a")[0]
    toy_home.do(paint, toy_id=toy, colour="bad")
    drain(toy_home)
    bad.clear()
    toy_home.book.ask_retry("toys.check", toy)  # asked by another process, and before the runner sees it:
    toy_home.do(paint, toy_id=toy, colour="next")
    assert toy_home.runner._positions is not None
    toy_home.runner._handle_run(handlers["toys.check"], toy_home.ports.store.read(2, 1), toy_home.runner._positions)
    drain(toy_home)
    assert order == ["bad", "next"]


def test_skipping_a_letter_lets_those_behind_it_go_on(toy_home: Home, second: Home) -> None:
    order: list[str] = []

    @handles("toys.check", on=ToyPainted)
    def check(fact: Recorded[ToyPainted], do: Do) -> None:
        if fact.event.colour == "bad":
            raise ValueError
        order.append(fact.event.colour)

    toy = made(toy_home, "a")[0]
    for colour in ("bad", "blue"):
        toy_home.do(paint, toy_id=toy, colour=colour)
    drain(toy_home)
    second.do(lambda given: [DeadLetterSkipped(handler="toys.check", partition_key=toy, skipped=2, reason="no such")])
    second.book.unpark("toys.check", 2)
    drain(toy_home)
    toy_home.do(paint, toy_id=toy, colour="late")
    drain(toy_home)

    assert order == ["blue", "late"]
    assert toy_home.book.letters() == []


def test_a_letter_whose_handler_is_gone_keeps_nobody_busy(toy_home: Home) -> None:
    handles("toys.gone")(lambda fact, do: 1 / 0)
    toy = made(toy_home, "a")[0]
    drain(toy_home)
    handlers.clear()
    toy_home.book.ask_retry("toys.gone", toy)

    drain(toy_home, rounds=3)
    assert len(toy_home.book.letters()) == 1


def test_a_refusal_is_final_and_parks_at_once(toy_home: Home) -> None:
    tries: list[int] = []

    @handles("toys.refuse")
    def refuse(fact: Recorded[ToyMade], do: Do) -> None:
        tries.append(1)
        raise Refused("not now", remedy="later")

    made(toy_home, "a")
    drain(toy_home)
    assert tries == [1]
    assert toy_home.book.letters()[0].error == "not now: later"


@pytest.mark.parametrize("outage", [Unavailable("the target is away"), HomeUnusable("the disk is full")])
def test_an_outage_parks_nothing_and_holds_one_handler_only(toy_home: Home, outage: Exception) -> None:
    away = [True]
    order: list[str] = []

    @handles("toys.deliver")
    def deliver(fact: Recorded[ToyMade], do: Do) -> None:
        if away[0] and fact.event.name == "b":
            raise outage
        order.append(fact.event.name)

    handles("toys.note")(lambda fact, do: order.append(fact.event.name.upper()))
    made(toy_home, *"abc")
    for _ in range(10):
        toy_home.runner.step()
    assert sorted(order) == ["A", "B", "C", "a"]
    assert toy_home.book.letters() == []

    away[0] = False
    drain(toy_home)
    assert [o for o in order if o.islower()] == ["a", "b", "c"]


def test_a_handler_that_reads_a_stopped_projection_waits_and_the_others_go_on(toy_home: Home) -> None:
    unfoldable.add(POISON)
    seen: list[str] = []

    @handles("toys.look")
    def look(fact: Recorded[ToyMade], do: Do) -> None:
        with do.read() as read:
            seen.append(f"look {read.value(select(func.count()).select_from(toy_rows))}")

    handles("toys.note")(lambda fact, do: seen.append(fact.event.name))
    made(toy_home, "a", POISON, "b")
    for _ in range(10):
        toy_home.runner.step()
    assert sorted(seen) == ["a", "b", "look 1", POISON]

    toy_home.do(skip_in_projection, projection="toys", position=2, reason="poison")
    toy_home.ports.views.clear(toys)
    drain(toy_home)
    assert seen[4:] == ["look 2", "look 2"]
    assert toy_home.book.letters() == []


def test_facts_that_were_handled_are_not_blamed_for_a_later_crash(toy_home: Home) -> None:
    crashes = [KeyboardInterrupt] * 5

    @handles("toys.work")
    def work(fact: Recorded[ToyMade], do: Do) -> None:
        do(paint, toy_id=fact.event.toy_id, colour=fact.event.name)
        if fact.event.name == "c" and crashes:
            raise crashes.pop()  # what a kill is to the code around it

    made(toy_home, *"abcd")
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            drain(toy_home)
        toy_home.runner._forget()
    drain(toy_home)

    (letter,) = toy_home.book.letters()
    assert letter.position == 3
    assert letter.error == "the process died while it was handled"
    assert [c for _, c in colours(toy_home)] == ["a", "b", "c", "d"]


def test_a_retry_that_kills_the_process_is_parked_again(toy_home: Home) -> None:
    mood: list[BaseException] = [ValueError(), ValueError(), ValueError(), *[KeyboardInterrupt()] * 9]

    @handles("toys.work")
    def work(fact: Recorded[ToyMade], do: Do) -> None:
        if fact.event.name == "bad":
            raise mood.pop(0)

    toy = made(toy_home, "bad", "good")[0]
    drain(toy_home)
    toy_home.book.ask_retry("toys.work", toy)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            drain(toy_home)
        toy_home.runner._forget()  # the next process
    drain(toy_home)

    assert [x.error for x in toy_home.book.letters()] == ["the process died while it was handled"]


def test_a_crash_between_parking_and_the_checkpoint_keeps_the_reason(
    toy_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    handles("toys.work")(lambda fact, do: 1 / 0)
    made(toy_home, "a")
    toy_home.runner.step()
    toy_home.book.move({"toys.work": 0})
    toy_home.runner._forget()
    drain(toy_home)

    assert [(x.attempts, x.error) for x in toy_home.book.letters()] == [(3, "ZeroDivisionError: division by zero")]


def test_of_a_flood_the_last_fact_of_each_key_is_handled(toy_home: Home) -> None:
    handled: list[tuple[str, str]] = []

    @handles("toys.alarm", on=ToyReported, latest_per=lambda r: r.event.toy_id)
    def alarm(fact: Recorded[ToyReported], do: Do) -> None:
        with do.read() as read:
            count = read.value(select(broken_rows.c.reports).where(broken_rows.c.toy_id == fact.event.toy_id))
        handled.append((fact.event.uid, f"{fact.event.toy_id} {count}"))

    for n in range(30):
        toy_home.do(report, uid=f"r{n}", toy_id=f"toy-{n % 3}")
    drain(toy_home)
    assert handled == [("r27", "toy-0 10"), ("r28", "toy-1 10"), ("r29", "toy-2 10")]


def test_a_fact_that_can_not_tell_its_key_is_handled_by_itself(toy_home: Home) -> None:
    handled: list[str] = []
    handles("toys.note", latest_per=lambda r: {"a": 1, "b": 1}[r.event.name])(
        lambda fact, do: handled.append(fact.event.name)
    )
    made(toy_home, *"abc")
    drain(toy_home)
    assert handled == ["b", "c"]


def test_a_handler_that_is_new_to_an_old_home_does_not_act_over_its_past(toy_home: Home) -> None:
    handles("toys.old")(lambda fact, do: None)
    made(toy_home, "a", "b")
    drain(toy_home)
    toy_home.runner._forget()
    handled: list[str] = []
    handles("toys.new")(lambda fact, do: handled.append(fact.event.name))
    made(toy_home, "c")
    drain(toy_home)

    assert handled == ["c"]


def test_two_handlers_of_one_name_are_refused() -> None:
    from mlife.core.errors import Misconfigured
    from mlife.core.handler import handler

    handler("toys.same", on=ToyMade)(lambda fact, do: None)
    try:
        with pytest.raises(Misconfigured, match=r"are both called toys\.same"):
            handler("toys.same", on=ToyMade)(lambda fact, do: None)
    finally:
        handlers.pop("toys.same")


# --- timers ---


def woken(home: Home) -> int:
    return sum(r.draft.type == "mlife.toy.woken.v1" for r in iterate(home.ports.store))


def timer_of_toys() -> list[str]:
    calls: list[str] = []

    @timer("toys.wake", due=due)
    def wake_up(row: Any, do: Do) -> None:
        calls.append(row.toy_id)
        if len(calls) == 1 and row.toy_id.startswith("toy-flaky"):
            raise KeyError(row.toy_id)
        do(wake, toy_id=row.toy_id)

    return calls


def test_a_moment_that_has_come_is_acted_upon_once(toy_home: Home) -> None:
    calls = timer_of_toys()
    toy_home.do(make, name="early", wake_at=datetime(2020, 1, 1, tzinfo=UTC))
    toy_home.do(make, name="late", wake_at=datetime(2999, 1, 1, tzinfo=UTC))
    drain(toy_home)
    drain(toy_home)
    toy_home.runner._forget()
    drain(toy_home)

    assert len(calls) == 1
    assert woken(toy_home) == 1


def test_a_timer_killed_before_its_row_is_gone_acts_once(toy_home: Home) -> None:
    timer_of_toys()
    toy_home.do(make, name="early", wake_at=datetime(2020, 1, 1, tzinfo=UTC))
    toy_home.runner.project(limit=10)
    for _ in range(3):
        toy_home.runner._forget()  # the next process, before the projection has folded what the timer did
        toy_home.runner._run_timers()
    drain(toy_home)
    assert woken(toy_home) == 1


def test_a_timer_that_fails_is_tried_again_and_harms_nobody(
    toy_home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(running, "TIMER_REST", (60.0, 0.0))
    timer_of_toys()
    timer("toys.broken", due=lambda now: 1 / 0)(lambda row, do: None)  # type: ignore[arg-type,return-value]
    toy_home.do(lambda given: [ToyMade(toy_id="toy-flaky", name="x", wake_at=datetime(2020, 1, 1, tzinfo=UTC))])
    with caplog.at_level(logging.ERROR):
        drain(toy_home)
        drain(toy_home)

    assert woken(toy_home) == 1
    assert "timer toys.wake failed" in caplog.text
    assert "timer toys.broken can't tell what is due" in caplog.text


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
        threading.Timer(0.2, lambda: None).start()
        waiter = threading.Thread(target=second.see, args=(later.position,))
        waiter.start()
        toy_home.runner._forget()
        toy_home.runner.project(limit=first.position)  # it stops at its own position and lets go
        time.sleep(0.1)
    waiter.join(5)
    assert names(second) == ["a", "b"]


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
    slowest = toy_home.runner._slowest

    def faulty() -> int:
        if faults:
            raise faults.pop()
        return slowest()

    monkeypatch.setattr(toy_home.runner, "_slowest", faulty)
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


def test_a_home_may_have_any_name(tmp_path: Path, toy_home: Home) -> None:
    odd = wire_toys(tmp_path / "100% a#1?b ü")
    odd.do(make, name="a")
    odd.see(1)
    odd.close()
    assert {p.name for p in (tmp_path / "100% a#1?b ü").glob("*.db")} >= {"mlife.db", "views.db", "handlers.db"}
