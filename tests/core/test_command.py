"""Commands: pure decisions, carried out once under their key, decided again when another writer was faster."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import Field

from mlife.core.command import Given, check_input, given_for_test, input_model
from mlife.core.errors import Conflict, Invalid, Refused
from mlife.core.events import Event
from mlife.core.ports import Append
from mlife.runtime import Home
from tests.toys import Toy, ToyMade, ToyPainted, make, paint, report, wake

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_a_decision_is_a_function_of_streams_input_time_and_key() -> None:
    past = [ToyMade(toy_id="toy-1", name="bear"), ToyPainted(toy_id="toy-1", colour="red")]
    given = given_for_test(past, now=NOW, key="k")

    assert given(Toy, "toy-1").colours == ["red"]
    assert given.versions == {"toy/toy-1": 2}
    assert not given(Toy, "toy-2").exists
    assert given(Toy, "toy-1") is given(Toy, "toy-1")
    assert make(given_for_test([], now=NOW, key="k"), name="x") == make(given_for_test([], now=NOW, key="k"), name="x")
    assert given.new_id("toy") != given.new_id("toy")


def test_the_same_key_is_carried_out_once_and_answers_what_was_done(toy_home: Home) -> None:
    once = toy_home.do.under("order-1", make, name="bear")
    twice = toy_home.do.under("order-1", make, name="another name")

    assert not once.known
    assert twice.known
    assert (twice.events, twice.position) == (once.events, once.position)
    assert toy_home.ports.store.head() == 1


def test_a_command_of_many_events_is_known_with_all_of_them(toy_home: Home) -> None:
    def many(given: Given, *, count: int) -> list[Event]:
        return [ToyPainted(toy_id="toy-1", colour=str(n)) for n in range(count)]

    for count in (1, 4, 5, 300):
        once = toy_home.do.under(f"many {count}", many, count=count)
        assert toy_home.do.under(f"many {count}", many, count=count).events == once.events
        assert len(once.events) == count


def test_single_events_are_known_under_any_key(toy_home: Home) -> None:
    first = toy_home.do(report, uid="r1", toy_id="t")
    again = toy_home.do(report, uid="r1", toy_id="t")
    assert again.known
    assert again.position == first.position


def test_nothing_to_do_writes_nothing(toy_home: Home) -> None:
    toy = toy_home.do(make, name="bear").first(ToyMade).toy_id
    toy_home.do(wake, toy_id=toy)
    done = toy_home.do(wake, toy_id=toy)

    assert (done.position, done.events) == (0, ())
    with pytest.raises(LookupError):
        done.first(ToyMade)


def test_a_refusal_writes_nothing(toy_home: Home) -> None:
    toy = toy_home.do(make, name="bear").first(ToyMade).toy_id
    with pytest.raises(Refused, match="has 0 colours already: keep it as it is"):
        toy_home.do(paint, toy_id=toy, colour="red", at_most=0)
    assert toy_home.ports.store.head() == 1


def test_however_many_race_for_one_stream_each_rule_holds_and_nobody_gives_up(toy_home: Home) -> None:
    toy = toy_home.do(make, name="bear").first(ToyMade).toy_id
    together = threading.Barrier(32)

    def race(n: int) -> str:
        together.wait()
        try:
            toy_home.do(paint, toy_id=toy, colour=str(n), at_most=20)
        except Refused:
            return "refused"
        return "painted"

    with ThreadPoolExecutor(32) as pool:
        outcomes = list(pool.map(race, range(32)))
    assert (outcomes.count("painted"), outcomes.count("refused")) == (20, 12)
    assert len(toy_home.ports.store.read_stream(f"toy/{toy}")) == 21


def test_a_stream_that_was_only_read_is_checked_too(toy_home: Home) -> None:
    other = toy_home.do(make, name="other").first(ToyMade).toy_id
    seen: list[int] = []

    def if_unpainted(given: Given, *, toy_id: str) -> list[Event]:
        seen.append(len(given(Toy, other).colours))
        if len(seen) == 1:  # somebody is faster
            toy_home.do(paint, toy_id=other, colour="red")
        if given(Toy, other).colours:
            raise Refused("the other one has a colour")
        return [ToyPainted(toy_id=toy_id, colour="blue")]

    with pytest.raises(Refused):
        toy_home.do(if_unpainted, toy_id="toy-1")
    assert seen == [0, 1]


def test_an_edit_on_a_stale_version_is_refused_and_not_decided_again(toy_home: Home) -> None:
    toy = toy_home.do(make, name="bear").first(ToyMade).toy_id
    toy_home.do.expecting({f"toy/{toy}": 1}, "edit-1", paint, toy_id=toy, colour="red")

    with pytest.raises(Conflict, match=f"stream toy/{toy} is at version 2, not 1") as said:
        toy_home.do.expecting({f"toy/{toy}": 1}, "edit-2", paint, toy_id=toy, colour="blue")
    assert said.value.status == 412
    # the first edit sent again (its answer was lost) is no stale edit
    assert toy_home.do.expecting({f"toy/{toy}": 1}, "edit-1", paint, toy_id=toy, colour="red").known


def test_two_callers_with_one_key_at_once_get_one_effect(toy_home: Home) -> None:
    together = threading.Barrier(8)

    def send(_: int) -> tuple[Event, ...]:
        together.wait()
        return toy_home.do.under("same", make, name="bear").events

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(send, range(8)))
    assert len(answers) == 1
    assert toy_home.ports.store.head() == 1


def test_input_that_no_event_can_hold_is_the_callers_to_mend_too(toy_home: Home) -> None:
    class Weighed(Event):
        grams: float = Field(gt=0)

    def weigh(given: Given, *, grams: float) -> list[Event]:
        return [Weighed(grams=grams)]

    with pytest.raises(Invalid) as said:
        toy_home.do(weigh, grams=-1)

    (refusal,) = said.value.refusals
    assert (refusal.field, refusal.value, refusal.expected) == ("grams", "-1.0", "gt 0.0")


def test_input_is_checked_by_the_signature_and_every_field_at_fault_is_named(toy_home: Home) -> None:
    with pytest.raises(Invalid) as said:
        toy_home.do(paint, toy_id=7, colour=None, size="big")  # type: ignore[call-arg,arg-type]
    found = {r.field: r for r in said.value.refusals}

    assert set(found) == {"toy_id", "colour", "size"}
    assert found["size"].problem == "extra inputs are not permitted"
    assert "paint was given input that does not fit" in str(said.value)
    with pytest.raises(Invalid) as missing:
        toy_home.do(make)  # type: ignore[call-arg]
    assert [(r.field, r.problem) for r in missing.value.refusals] == [("name", "is missing")]


def test_a_signature_is_a_schema_with_limits_and_defaults() -> None:
    def rate(given: Given, *, stars: int = Field(ge=1, le=5), note: str = "") -> list[Event]:
        return []

    schema = input_model(rate).model_json_schema()
    assert schema["title"] == "Rate"
    assert schema["properties"]["stars"] == {"maximum": 5, "minimum": 1, "title": "Stars", "type": "integer"}
    assert schema["required"] == ["stars"]
    assert check_input(rate, {"stars": "3"}) == {"stars": 3, "note": ""}
    for bad in (0, 6, float("nan"), "many", None):
        with pytest.raises(Invalid):
            check_input(rate, {"stars": bad})


def test_simulated_time_is_written_as_the_event_s_time(toy_home: Home) -> None:
    toy_home.do.as_(at=NOW)(make, name="bear")
    assert toy_home.ports.store.read()[0].time == NOW


def test_an_append_that_conflicts_for_ever_says_so(toy_home: Home) -> None:
    def outrun(given: Given) -> list[Event]:
        version = given(Toy, "toy-1").version
        faster: Any = toy_home.do.draft(ToyPainted(toy_id="toy-1", colour="x"), bytes([version] * 16), given.now)
        toy_home.ports.store.append(Append([faster]))
        return [ToyPainted(toy_id="toy-1", colour="mine")]

    with pytest.raises(Conflict, match="stream toy/toy-1 is at version 8, not 7"):
        toy_home.do(outrun)
