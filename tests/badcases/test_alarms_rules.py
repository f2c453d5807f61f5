"""Rules: two lines and no flapping, what raises and ends each kind, mutes, pauses, versions and taking back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlife.badcases import commands
from mlife.badcases.alarms import NEW_BADCASES, Rate, Rule, Turn, rate_of, turn
from mlife.badcases.alarms_rules import rule_of
from mlife.badcases.events import AlarmEnded, AlarmRaised, RuleCreated
from mlife.badcases.regrouping import to_correct, to_split
from mlife.badcases.views import alarms, lists, turns
from mlife.badcases.views.alarms_preview import preview
from mlife.badcases.views.rows import AlarmView
from mlife.core.errors import Invalid, NotFound, Refused
from mlife.core.query import QueryError
from tests.badcases.conftest import NOW, Field, report, traffic

RATE = "rul-rate"


def on(day: int, count: int, *, truth: str = "9", hour: int = 3, **other: Any) -> list[dict[str, Any]]:
    """*count* reports observed *day* days before now."""
    at = (NOW - timedelta(days=day)).replace(hour=hour)
    return [
        report(truth, picture=f"{truth} {day} {n} {hour}", observed_at=at.isoformat(), **other) for n in range(count)
    ]


def calm(field: Field, days: range = range(7, 36), each: int = 2) -> None:
    """A usual rate: some reports every day."""
    field.send(*(r for day in days for r in on(day, each)))


def raised(field: Field, kind: str = "rate_change") -> list[AlarmView]:
    """The alarms of a kind, the newest first."""
    return [a for a in field.read(turns.alarms) if a.kind == kind]


# --- the two lines ---


@given(st.lists(st.floats(0, 10), max_size=60), st.floats(1.1, 8), st.floats(0.1, 1.0))
def test_an_alarm_is_raised_at_most_once_for_each_crossing(values: list[float], line: float, share: float) -> None:
    lower = line * share * 0.99
    firing, raises, crossings, was_low = False, 0, 0, True
    for value in values:
        if was_low and value >= line:
            crossings, was_low = crossings + 1, False
        elif value <= lower:
            was_low = True
        step = turn(firing=firing, value=value, line=line, lower=lower)
        raises += step is Turn.RAISE
        firing = firing if step is Turn.STAY else step is Turn.RAISE
        assert not (firing and value <= lower)

    assert raises == crossings


@given(st.lists(st.floats(1.31, 1.99), min_size=1))
def test_what_trembles_between_the_lines_changes_nothing(values: list[float]) -> None:
    for firing in (True, False):
        assert {turn(firing=firing, value=v, line=2.0, lower=1.3) for v in values} == {Turn.STAY}


def test_nothing_known_changes_nothing() -> None:
    assert turn(firing=True, value=None, line=2, lower=1) is Turn.STAY
    assert turn(firing=False, value=None, line=2, lower=1) is Turn.STAY


def test_a_rise_that_is_not_proven_raises_nothing() -> None:
    assert turn(firing=False, value=9.0, line=2, lower=1, proven=False) is Turn.STAY


@pytest.mark.parametrize(
    ("rate", "worth"),
    [
        (Rate(40, 1_000, 40, 4_000, "requests"), True),
        (Rate(9, 100, 4, 4_000, "requests"), False),  # too few reports, whatever the rate
        (Rate(12, 1_000, 40, 4_000, "requests"), False),  # no more than chance
    ],
)
def test_a_rise_needs_enough_reports_and_more_than_chance(rate: Rate, *, worth: bool) -> None:
    assert rate.worth(Rule(title="x", kind="rate_change")) is worth


def test_requests_count_where_they_are_known_and_days_where_not() -> None:
    rule = Rule(title="x", kind="rate_change", window_days=2, past_days=3)
    reports = {1: 1, 2: 1, 3: 1, 4: 5, 5: 5}

    by_request = rate_of(reports, {2: 100, 5: 50}, rule=rule, today=5, passed=0.5, first=1)
    by_day = rate_of(reports, {}, rule=rule, today=5, passed=0.5, first=1)

    assert by_request == Rate(5, 50, 1, 100, "requests")  # a day whose requests are unknown is left out
    assert by_day == Rate(10, 1.5, 3, 3, "days")
    assert rate_of({5: 9}, {}, rule=rule, today=5, passed=1.0, first=5) is None  # no past, nothing to rise from


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"kind": "rate_change", "title": "x", "line": 2, "lower": 2}, ""),
        ({"kind": "rate_change", "title": "x", "line": 0.5, "lower": 0.1}, ""),
        ({"kind": "nonsense", "title": "x"}, "kind"),
        ({"kind": "open_cost", "title": ""}, "title"),
        ({"kind": "open_cost", "title": "x", "deliver": "pigeon"}, "deliver.0"),
        ({"kind": "open_cost", "title": "x", "shouts": 1}, "shouts"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_the_field(said: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        rule_of(said, now=NOW)
    assert field in [r.field for r in refused.value.refusals]


def test_a_rule_whose_query_can_t_be_asked_is_refused() -> None:
    with pytest.raises(QueryError, match="no field nonsense"):
        rule_of({"kind": "open_cost", "title": "x", "q": "nonsense:1"}, now=NOW)


# --- rising rates ---


def test_by_default_only_new_badcases_raise_an_alarm(field: Field) -> None:
    calm(field)
    field.send(*on(0, 60))

    assert {a.kind for a in field.read(turns.alarms)} == {"new_badcase"}
    assert [r.state for r in field.read(alarms.rules)] == ["active", "paused", "paused", "paused"]


def test_an_old_badcase_that_comes_more_often_is_one_alarm_and_ends_when_it_has_fallen(field: Field) -> None:
    calm(field)
    field.do(commands.resume_rule, rule_id=RATE)
    field.send(*on(0, 60))
    field.send(*on(0, 5, hour=4))

    (alarm,) = raised(field)
    assert (alarm.rule_id, alarm.rule_version, alarm.basis, alarm.badcases) == (RATE, 1, "days", 1)
    assert alarm.sentence.startswith("digit fails more often: 60 reports in 7 days, 9.")
    assert alarm.sentence.endswith("usually 2.0 a day (4.6 times)")
    assert alarm.p_value is not None
    assert alarm.p_value < 0.01

    field.clock.move(days=9)
    field.settle()  # nobody reports anything: time alone ends it

    (alarm,) = raised(field)
    assert alarm.ended == "over: 0.0 a day, usually 2.0 a day"
    assert not alarm.firing


def test_with_traffic_it_is_the_rate_and_twice_the_traffic_with_twice_the_reports_is_no_rise(field: Field) -> None:
    field.do(commands.resume_rule, rule_id=RATE)
    start = NOW - timedelta(days=35)

    def busy(day: int, requests: int) -> dict[str, Any]:
        at = (NOW - timedelta(days=day)).replace(hour=0)
        return traffic(requests, **{"from": at.isoformat(), "to": (at + timedelta(hours=5)).isoformat()})

    assert start < NOW
    field.count(*(busy(day, 100) for day in range(7, 35)))
    field.count(*(busy(day, 1_000) for day in range(7)))
    calm(field, range(7, 35))
    field.send(*(r for day in range(7) for r in on(day, 20)))
    assert raised(field) == []

    field.send(*on(0, 200, hour=4))
    (alarm,) = raised(field)
    assert (alarm.basis, alarm.usual) == ("requests", 0.02)
    assert alarm.rate == pytest.approx(0.0486, abs=0.001)


def test_each_cause_is_a_bundle_of_its_own(field: Field) -> None:
    calm(field)
    field.send(*(r for day in range(7, 36) for r in on(day, 2, truth="7")))
    badcase_id = field.intake.reports(on(9, 1, truth="7"), ids=True).ids[0]["badcase_id"]  # type: ignore[index]
    field.do(commands.name_cause, system="digits", function="digit", title="blur", badcase_ids=[badcase_id])
    field.do(commands.resume_rule, rule_id=RATE)
    field.send(*on(0, 60, truth="7"), *on(0, 1))

    (alarm,) = raised(field)
    assert alarm.cause_id is not None
    assert alarm.bundle == f"digits/digit/{alarm.cause_id}"
    assert alarm.sentence.startswith("blur fails more often")


def test_a_query_says_which_badcases_a_rule_looks_at(field: Field) -> None:
    calm(field)
    rule = rule_of({"kind": "rate_change", "title": "sevens", "q": "truth:7"}, now=NOW)
    field.do(commands.create_rule, rule=rule)
    field.send(*on(0, 60))

    assert raised(field) == []


# --- the other kinds ---


def test_a_quota_of_open_badcases_is_raised_at_the_upper_line_and_over_at_the_lower(field: Field) -> None:
    rule = rule_of({"kind": "open_cost", "title": "quota", "line": 5, "lower": 3}, now=NOW)
    field.do(commands.create_rule, rule=rule)
    field.send(*(report(f"t{n}", "p", picture=n) for n in range(4)))
    assert raised(field, "open_cost") == []
    field.send(*(report(f"t{n}", "p", picture=n) for n in range(4, 6)))

    (alarm,) = raised(field, "open_cost")
    assert alarm.sentence == "digit has 6 open badcases; 5 is where it is too much"
    for badcase_id in alarm.badcase_ids[:2]:
        field.do(commands.reject, badcase_id=badcase_id, reason="wont_fix")
    assert raised(field, "open_cost")[0].firing
    field.do(commands.reject, badcase_id=alarm.badcase_ids[2], reason="wont_fix")

    assert raised(field, "open_cost")[0].ended == "over: 3 open badcases, at most 3 again"


@pytest.mark.parametrize("done", ["assigned", "in a cause", "aimed at", "corrected", "rejoined", "cause deleted"])
def test_whatever_changes_what_a_query_finds_ends_an_alarm_at_once(field: Field, done: str) -> None:
    field.send(*(report("9", picture=n) for n in range(3)))
    (one,) = field.read(lists.badcases, now=NOW).items
    there = {"system": "digits", "function": "digit", "title": "masks", "badcase_ids": [one.badcase_id]}
    asks = {"in a cause": "cause:none", "aimed at": "iteration:none", "cause deleted": "cause:any", "rejoined": "-id:x"}
    if done == "rejoined":
        given = field.read(to_split, one.badcase_id, [1], None, now=NOW)
        new = field.do(commands.split, **given, title="apart").events[0].badcase_id
    if done == "cause deleted":
        cause_id = field.do(commands.name_cause, **there).events[0].cause_id
    q = asks.get(done, "owner:none truth:9")
    line = 2 if done == "rejoined" else 1
    rule = rule_of({"kind": "open_cost", "title": "quota", "q": q, "line": line, "lower": line - 1}, now=NOW)
    field.do(commands.create_rule, rule=rule)
    assert [a.firing for a in raised(field, "open_cost")] == [True]

    match done:
        case "assigned":
            field.do(commands.assign, badcase_id=one.badcase_id, owner="ann")
        case "in a cause":
            field.do(commands.name_cause, **there)
        case "aimed at":
            field.do(commands.open_iteration, **there)
        case "corrected":
            for position in (1, 2, 3):
                (told,) = field.home.ports.store.read(position - 1, 1)
                given = to_correct(told, field.home.sealer.open)
                truth = {"type": "class", "label": "7"}
                field.do(commands.correct_report, **given, truth=truth, reason="looked again")
        case "rejoined":
            field.do(commands.rejoin, badcase_id=new)
        case "cause deleted":
            field.do(commands.delete_cause, cause_id=cause_id, reason="it is none")

    assert [a.firing for a in raised(field, "open_cost")] == [False]


def test_a_rule_for_new_badcases_looks_only_at_what_its_query_finds_and_came_after_it(field: Field) -> None:
    field.send(*(report("1", "2", picture=n) for n in range(20)))
    rule = rule_of({"kind": "new_badcase", "title": "nines", "q": "truth:9", "least": 5}, now=NOW)
    rule_id = field.do(commands.create_rule, rule=rule).first(RuleCreated).rule_id
    field.send(*(report("9", "2", picture=f"n{n}") for n in range(6)))

    assert [(a.rule_id, a.badcases) for a in raised(field, "new_badcase")] == [(rule_id, 1), (NEW_BADCASES, 1)]


# --- versions, pauses, mutes, taking back ---


def test_an_alarm_names_the_version_of_the_rule_that_raised_it(field: Field) -> None:
    before = field.read(alarms.rule, NEW_BADCASES).rule
    field.do(commands.change_rule, rule_id=NEW_BADCASES, rule=rule_of({"least": 3}, now=NOW, before=before))
    field.send(*on(0, 3))

    (alarm,) = raised(field, "new_badcase")
    assert (alarm.rule_id, alarm.rule_version, alarm.reports) == (NEW_BADCASES, 2, 3)


def test_a_paused_rule_raises_nothing_and_looks_at_everything_when_it_is_resumed(field: Field) -> None:
    field.do(commands.pause_rule, rule_id=NEW_BADCASES, reason="in the workshop")
    field.send(*on(0, 20))
    assert raised(field, "new_badcase") == []
    field.do(commands.resume_rule, rule_id=NEW_BADCASES)

    assert len(raised(field, "new_badcase")) == 1


def test_a_mute_of_a_bundle_is_silent_about_it_alone_until_its_time_has_come(field: Field) -> None:
    until = NOW + timedelta(days=2)
    field.do(
        commands.mute_rule, rule_id=NEW_BADCASES, bundle="digits/digit/1.0", until=until, reason="the fleet is away"
    )
    field.send(*on(0, 20), *on(0, 20, truth="5", version="2.0"))
    assert [a.version for a in raised(field, "new_badcase")] == ["2.0"]

    field.clock.move(days=3)
    field.settle()
    assert [a.version for a in raised(field, "new_badcase")] == ["1.0", "2.0"]
    assert field.read(alarms.rule, NEW_BADCASES).mutes == ()


@pytest.mark.parametrize("by", ["pause", "delete", "mute", "change"])
def test_everything_done_to_a_rule_can_be_taken_back(field: Field, by: str) -> None:
    before = field.read(alarms.rule, NEW_BADCASES)
    if by == "mute":
        field.do(commands.mute_rule, rule_id=NEW_BADCASES, until=NOW + timedelta(days=1), reason="x")
    elif by == "change":
        field.do(commands.change_rule, rule_id=NEW_BADCASES, rule=rule_of({"least": 99}, now=NOW, before=before.rule))
    else:
        field.do({"pause": commands.pause_rule, "delete": commands.delete_rule}[by], rule_id=NEW_BADCASES)
    changed = field.read(alarms.rule, NEW_BADCASES)
    assert (changed.state, changed.rule, changed.mutes) != (before.state, before.rule, before.mutes)
    field.do(commands.undo_rule, rule_id=NEW_BADCASES)

    after = field.read(alarms.rule, NEW_BADCASES)
    assert (after.state, after.rule, after.mutes) == (before.state, before.rule, before.mutes)


def test_a_created_rule_that_is_taken_back_is_off_the_list_and_comes_again(field: Field) -> None:
    rule_id = field.do(commands.create_rule, rule=Rule(title="x", kind="new_badcase")).first(RuleCreated).rule_id
    field.do(commands.undo_rule, rule_id=rule_id)
    assert rule_id not in [r.rule_id for r in field.read(alarms.rules)]
    field.do(commands.undo_rule, rule_id=rule_id)

    assert rule_id in [r.rule_id for r in field.read(alarms.rules)]


def test_what_can_t_be_done_to_a_rule_is_refused_with_a_remedy(field: Field) -> None:
    with pytest.raises(NotFound):
        field.do(commands.pause_rule, rule_id="rul-0")
    with pytest.raises(Refused, match="needs a reason"):
        field.do(commands.mute_rule, rule_id=RATE, until=NOW + timedelta(days=1), reason=" ")
    with pytest.raises(Refused, match="no time to mute until"):
        field.do(commands.mute_rule, rule_id=RATE, until=NOW, reason="x")
    with pytest.raises(Refused, match="stays it"):
        field.do(commands.change_rule, rule_id=RATE, rule=Rule(title="x", kind="new_badcase"))
    with pytest.raises(Refused, match="nothing was done"):
        field.do(commands.undo_rule, rule_id=RATE)


def test_facts_that_are_handled_twice_raise_and_end_nothing_twice(field: Field) -> None:
    from mlife.core.handler import acting, handlers

    calm(field)
    field.do(commands.resume_rule, rule_id=RATE)
    field.send(*on(0, 60))
    home = field.home
    before = home.ports.store.head()
    for fact in home.ports.store.read(0):
        for name in ("badcases.raise_alarm", "badcases.watch_rules", "badcases.apply_rule", "badcases.plan_delivery"):
            if handlers[name].takes(fact.draft.type):
                handlers[name].run(fact, acting(home.do, home.ports, name, fact))

    assert home.ports.store.head() == before
    kinds = [type(r.event) for r in home.ports.store.read(0)]
    assert (kinds.count(AlarmRaised), kinds.count(AlarmEnded)) == (2, 0)


def test_a_preview_says_what_a_rule_would_have_raised_and_raises_nothing(field: Field) -> None:
    calm(field, range(30, 60))
    field.send(*(r for day in range(20, 25) for r in on(day, 15)))
    rule = Rule(title="x", kind="rate_change")
    (rise,) = field.read(preview, rule, now=NOW)

    assert rise.sentence.startswith("digit fails more often")
    assert rise.until is not None
    assert 20 <= (NOW - rise.at).days <= 25
    assert raised(field) == []
    (wave,) = field.read(preview, Rule(title="x", kind="new_badcase"), now=NOW)
    assert (wave.badcases, wave.about) == (1, "version 1.0")
    cost = field.read(preview, Rule(title="x", kind="open_cost", line=1, lower=0), now=NOW)
    assert [w.sentence for w in cost] == ["digit has 1 open badcases; 1 is where it is too much"]
    assert field.read(preview, Rule(title="x", kind="pinned_again"), now=NOW) == []
