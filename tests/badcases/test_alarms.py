"""Alarms: one for a shift, again only after it was seen and on a clear rise."""

from __future__ import annotations

from mlife.badcases import commands
from mlife.badcases.views import turns
from tests.badcases.conftest import Field, report, traffic


def wave(first: int, badcases: int, *, version: str = "1.0", each: int = 2) -> list[dict[str, object]]:
    """Reports of *badcases* badcases that were not there before."""
    return [
        report(f"t{first + n}", f"p{first + n}", picture=f"{version} {first + n} {k}", version=version)
        for n in range(badcases)
        for k in range(each)
    ]


def sentences(field: Field) -> list[str]:
    return [a.sentence for a in field.read(turns.alarms)]


def test_all_new_badcases_of_a_shift_are_one_alarm(field: Field) -> None:
    field.send(*wave(0, 60, each=3))

    (alarm,) = field.read(turns.alarms)
    assert (alarm.badcases, alarm.reports, alarm.version) == (60, 180, "1.0")
    assert alarm.sentence == "60 new badcases of digit in version 1.0: 180 reports"


def test_a_trickle_is_no_alarm(field: Field) -> None:
    field.send(*wave(0, 3))

    assert sentences(field) == []


def test_the_same_shift_in_many_batches_is_still_one_alarm(field: Field) -> None:
    for start in range(0, 60, 6):
        field.send(*wave(start, 6))

    assert len(sentences(field)) == 1


def test_another_version_alarms_by_itself_with_its_rate_against_the_usual_one(field: Field) -> None:
    field.count(traffic(1_000))
    field.send(*wave(0, 10))
    field.count(traffic(100, version="2.0"))
    field.send(*wave(100, 10, version="2.0"))

    assert sentences(field) == [
        "10 new badcases of digit in version 2.0: 20 reports, 20.0% of 100 requests, usually 2.0%",
        "10 new badcases of digit in version 1.0: 20 reports, 2.0% of 1000 requests",
    ]


def test_what_had_begun_in_another_version_is_told_too_when_it_is_enough(field: Field) -> None:
    field.send(*wave(100, 3, version="2.0", each=1))
    field.send(*wave(0, 10))
    field.send(*(report("t100", "p100", picture=f"more {n}", version="2.0") for n in range(40)))

    assert sentences(field) == [
        "3 new badcases of digit in version 2.0: 43 reports",
        "10 new badcases of digit in version 1.0: 20 reports",
    ]


def test_a_shift_that_comes_in_a_second_version_too_is_told_once(field: Field) -> None:
    field.send(*wave(0, 10))
    field.send(*wave(0, 10, version="2.0", each=4))

    assert len(sentences(field)) == 1


def test_after_it_was_seen_only_a_clear_rise_alarms_again(field: Field) -> None:
    field.send(*wave(0, 20))
    (alarm,) = field.read(turns.alarms)
    field.send(*wave(100, 30))
    assert len(sentences(field)) == 1
    field.do(commands.acknowledge_alarm, alarm_id=alarm.alarm_id, note="on it")
    assert field.do(commands.acknowledge_alarm, alarm_id=alarm.alarm_id).events == ()
    field.send(*wave(200, 1))

    assert len(sentences(field)) == 2
    assert sentences(field)[0].startswith("31 new badcases")


def test_a_few_new_badcases_after_it_was_seen_are_no_rise(field: Field) -> None:
    field.send(*wave(0, 20))
    (alarm,) = field.read(turns.alarms)
    field.do(commands.acknowledge_alarm, alarm_id=alarm.alarm_id)
    field.send(*wave(100, 6, each=3))

    assert len(sentences(field)) == 1


def test_known_badcases_that_come_again_are_no_alarm(field: Field) -> None:
    field.send(*wave(0, 20))
    (alarm,) = field.read(turns.alarms)
    field.do(commands.acknowledge_alarm, alarm_id=alarm.alarm_id)
    field.send(*(report("t1", "p1", picture=f"again {n}") for n in range(100)))

    assert len(sentences(field)) == 1


def test_a_fact_that_is_handled_twice_raises_nothing_twice(field: Field) -> None:
    from mlife.core.handler import acting, handlers

    field.send(*wave(0, 20))
    home = field.home
    fact = home.ports.store.read(39, 1)[0]
    before = home.ports.store.head()
    for _ in range(2):
        handlers["badcases.raise_alarm"].run(fact, acting(home.do, home.ports, "badcases.raise_alarm", fact))
        handlers["badcases.settle"].run(fact, acting(home.do, home.ports, "badcases.settle", fact))

    assert home.ports.store.head() == before
