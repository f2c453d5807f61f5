"""Handlers: each fact has its effects once, a failing one parks its key, and nobody else has to wait."""

import time
from typing import Any

import pytest
from sqlalchemy import func, select

from mlife.core.control import DeadLetterSkipped, skip_in_projection
from mlife.core.errors import HomeUnusable, Refused, Unavailable
from mlife.core.events import Recorded
from mlife.core.handler import Do, handlers
from mlife.runtime import Home
from tests.conftest import drain
from tests.toys import (
    POISON,
    ToyMade,
    ToyPainted,
    ToyReported,
    broken_rows,
    colours,
    handles,
    made,
    make,
    paint,
    report,
    toy_rows,
    toys,
    unfoldable,
)


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


def test_what_a_person_let_be_is_not_handled_again_when_the_book_is_lost(toy_home: Home) -> None:
    seen: list[int] = []

    @handles("toys.check")
    def check(fact: Recorded[ToyMade], do: Do) -> None:
        seen.append(fact.position)

    made(toy_home, "a", "b")
    toy_home.do(lambda given: [DeadLetterSkipped(handler="toys.check", partition_key="x", skipped=1, reason="known")])
    drain(toy_home)

    assert seen == [2]
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


def test_an_outage_that_takes_the_book_along_counts_as_no_try_either(
    toy_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    away: list[str] = []
    tries: list[str] = []
    count = toy_home.book.attempt

    def attempt(*told: Any) -> int:
        if away:
            raise Unavailable("the database is away")
        return count(*told)

    @handles("toys.deliver")
    def deliver(fact: Recorded[ToyMade], do: Do) -> None:
        tries.append(fact.event.name)
        if len(tries) <= 5:
            away.append("as soon as the handler has begun")
            raise Unavailable("the database is away")

    monkeypatch.setattr(toy_home.book, "attempt", attempt)
    made(toy_home, "a")
    for _ in range(20):
        toy_home.runner.step()
        away.clear()
        toy_home.runner._held.clear()
    assert tries == ["a"] * 6
    assert toy_home.book.letters() == []


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


def test_what_was_written_is_seen_while_a_slow_handler_is_far_behind(toy_home: Home) -> None:
    handled: list[int] = []

    @handles("toys.slow")
    def slow(fact: Recorded[ToyMade], do: Do) -> None:
        time.sleep(0.02)
        handled.append(fact.position)

    made(toy_home, *(f"toy {n}" for n in range(150)))
    with toy_home.running():
        while not handled:
            time.sleep(0.01)
        done = toy_home.do(make, name="the last")
        with toy_home.ports.views.read(min_position=done.position, timeout=1.0):
            assert len(handled) < 150
        toy_home.runner.settle()

    assert handled == list(range(1, 152))
