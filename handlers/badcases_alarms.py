"""Alarms: rules are looked at as the log flows, and when time alone changes what they see; then they are told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from mlife.handlers.alarms_watched import WATCHED

from mlife.badcases import alarms
from mlife.badcases.alarms import Turn, turn
from mlife.badcases.commands import (
    Ending,
    Raising,
    plan_deliveries,
    record_delivery,
    settle_alarms,
    unmute_rule,
)
from mlife.badcases.events import (
    AlarmEnded,
    AlarmRaised,
    BadcaseReported,
    RuleChanged,
    RuleCreated,
    RuleResumed,
    RuleUnmuted,
)
from mlife.badcases.notice import notice_of
from mlife.badcases.views import alarms as views
from mlife.badcases.views import alarms_measured as seen
from mlife.badcases.views.alarms import RuleView
from mlife.badcases.views.rows import AlarmView
from mlife.badcases.views.turns import alarm as alarm_of
from mlife.core.events import Recorded
from mlife.core.handler import Do, handler, timer
from mlife.core.ports import Notifier
from mlife.core.projection import Reader

KINDS = ("rate_change", "pinned_again", "open_cost")
"""Rules whose alarms end by themselves."""


def about_version(r: Recorded[BadcaseReported]) -> str:
    """The version of a function that a report is about."""
    return f"{r.json['system']}/{r.json['function']}/{r.json['version']}"


@handler("badcases.raise_alarm", on=BadcaseReported, latest_per=about_version)
def raise_an_alarm(fact: Recorded[BadcaseReported], do: Do) -> None:
    """
    All new badcases of a version of a function are one alarm, and the version alarms again only after it was seen.

    Safe to repeat: the alarm's id is a function of what it is about.
    """
    e = fact.event
    with do.read() as read:
        rules = views.active_rules(read, "new_badcase")
        found = [look_for_new(read, rule, (e.system, e.function), e.version, fact.time) for rule in rules]
    settle(do, [r for r in found if r is not None])


def settle(do: Do, raised: Sequence[Raising], ended: Sequence[Ending] = ()) -> None:
    """Record all that one look found by one command: after a crash in between no look would find the other half."""
    if raised or ended:
        do(settle_alarms, raised=list(raised), ended=list(ended))


def look_for_new(
    read: Reader, rule: RuleView, place: tuple[str, str], version: str, now: datetime, *, missed: bool = False
) -> Raising | None:
    """The alarm of one rule about one version, if there is reason for one."""
    system, function = place
    if rule.is_muted(alarms.bundle_of(system, function, version)):
        return None
    if seen.alarm_waits(read, rule.rule_id, system, function, version):
        return None  # a flood of reports asks this often, and gathering a wave takes long
    found = seen.wave(read, rule, system, function, version, now, missed=missed)
    if found is None or not alarms.worth_an_alarm(found.wave, rule.rule):
        return None
    usual = seen.usual_rate(read, system, function, version)
    rate = found.wave.reports / found.requests if found.requests else None
    return Raising(
        system=system,
        function=function,
        version=version,
        ordinal=found.wave.acknowledged,
        since=found.first_at,
        until=found.last_at,
        badcase_ids=found.badcase_ids,
        badcases=len(found.badcase_ids),
        reports=found.wave.reports,
        rate=rate,
        usual=usual,
        sentence=wave_sentence(function, version, found, rate, usual),
        rule_id=rule.rule_id,
        rule_version=rule.version,
        basis="requests" if rate is not None else None,
    )


def wave_sentence(function: str, version: str, found: seen.WaveSeen, rate: float | None, usual: float | None) -> str:
    """The alarm in words with its numbers; what is usual only where this is more: it counts old badcases too."""
    new = found.wave.badcases
    said = f"{new} new badcase{'s' * (new != 1)} of {function} in version {version}: {found.wave.reports} reports"
    if rate is not None:
        said += f", {rate:.1%} of {found.requests} requests"
    return said + (f", usually {usual:.1%}" if usual is not None and (rate is None or rate > usual) else "")


def about(r: Recorded[Any]) -> str:
    """The function or the badcase that a fact is about."""
    function = r.json.get("function")
    return f"{r.json.get('system')}/{function}" if function else r.draft.key


@handler("badcases.watch_rules", on=WATCHED, latest_per=about)
def watch_the_rules(fact: Recorded[Any], do: Do) -> None:
    """
    Look at the function of a fact with every rule that has lines; without such a rule it costs one small read.

    Safe to repeat: it looks at the tables as they are, and an alarm's id is a function of what it is about.
    """
    e = fact.event
    with do.read() as read:
        rules = views.active_rules(read, *KINDS)
        if not rules:
            return
        system, function = getattr(e, "system", None), getattr(e, "function", None)
        if system is not None and function:
            places = [(system, function)]
        elif (place := seen.function_of(read, e)) is not None:
            places = [place]
        else:
            places = [p for p in seen.functions(read) if system in (None, p[0])]
        found = [look_at(read, rule, *place, fact.time) for rule in rules for place in places]
    settle(do, [r for raised, _ in found for r in raised], [e for _, ended in found for e in ended])


@handler("badcases.apply_rule", on=(RuleCreated, RuleChanged, RuleResumed, RuleUnmuted))
def apply_the_rule(fact: Recorded[Any], do: Do) -> None:
    """A rule that begins, or speaks again, looks at everything once. Safe to repeat, as the two above."""
    with do.read() as read:
        rule = views.rule(read, fact.event.rule_id)
        if rule is None or rule.state != "active" or rule.is_muted():
            return
        raised: list[Raising] = []
        ended: list[Ending] = []
        for place in seen.functions(read):
            if rule.rule.kind == "new_badcase":
                versions = seen.versions_of(read, *place)
                found = (look_for_new(read, rule, place, v, fact.time, missed=True) for v in versions)
                raised += [r for r in found if r is not None]
            else:
                begun, over = look_at(read, rule, *place, fact.time)
                raised += begun
                ended += over
    settle(do, raised, ended)


def look_at(
    read: Reader, rule: RuleView, system: str, function: str, now: datetime
) -> tuple[list[Raising], list[Ending]]:
    """The alarms of one rule about one function that begin and end now."""
    open_ones = views.unended(read, rule.rule_id, system, function)
    measured = {b.key: b for b in seen.bundles(read, rule.rule, system, function, now)}
    raised = []
    for bundle in measured.values():
        firing = open_ones.get(bundle.key, [])
        if rule.is_muted(bundle.key):
            continue
        if not firing and begins(rule, bundle):
            raised.append(raising(read, rule, bundle, now))
        elif rule.rule.kind == "pinned_again" and firing:
            named = {badcase_id for alarm in firing for badcase_id in alarm.badcase_ids}
            more = tuple(x for x in bundle.badcase_ids if x not in named)
            if more and all(alarm.acknowledged_at is not None for alarm in firing):
                raised.append(raising(read, rule, bundle, now, only=more))
    ended = [
        end
        for key, firing in open_ones.items()
        for alarm in firing
        if (end := end_of(rule, alarm, measured.get(key))) is not None
    ]
    return raised, ended


def begins(rule: RuleView, bundle: seen.Bundle) -> bool:
    """Does what was measured raise an alarm where there is none?"""
    if rule.rule.kind == "pinned_again":
        return bool(bundle.badcase_ids)
    proven = bundle.rate is None or bundle.rate.worth(rule.rule)
    up = turn(firing=False, value=bundle.value, line=rule.rule.line, lower=rule.rule.lower, proven=proven)
    return up is Turn.RAISE


def raising(read: Reader, rule: RuleView, bundle: seen.Bundle, now: datetime, *, only: tuple[str, ...] = ()) -> Raising:
    """The alarm, with its evidence."""
    r, rate = rule.rule, bundle.rate
    ids, many = (only, len(only)) if only else seen.evidence(read, r, bundle, now)
    if rate is not None:
        sentence, value, basis = alarms.rise_sentence(bundle.about, rate, r), rate.rate, str(rate.basis)
    elif r.kind == "pinned_again":
        sentence, value, basis = alarms.again_sentence(bundle.about, many), float(many), "badcases"
    else:
        value, basis = bundle.value or 0.0, str(r.measure)
        sentence = alarms.cost_sentence(bundle.about, value, r)
    return Raising(
        system=bundle.system,
        function=bundle.function,
        cause_id=bundle.cause_id,
        ordinal=views.how_many(read, rule.rule_id, bundle.key),
        since=now - timedelta(days=r.window_days) if rate is not None else now,
        until=now,
        badcase_ids=tuple(ids),
        badcases=many,
        reports=bundle.reports,
        rate=rate.rate if rate is not None and rate.basis == "requests" else None,
        usual=rate.usual if rate is not None else None,
        sentence=sentence,
        rule_id=rule.rule_id,
        rule_version=rule.version,
        kind=r.kind,
        basis=basis,
        value=value,
        p_value=rate.p if rate is not None else None,
    )


def end_of(rule: RuleView, alarm: AlarmView, bundle: seen.Bundle | None) -> Ending | None:
    """The end of an alarm that is over; None: it is not, or nothing is known."""
    r = rule.rule
    if r.kind == "pinned_again":
        still = set(alarm.badcase_ids) & set(bundle.badcase_ids if bundle is not None else ())
        said = "over: none of them fails in the field any more"
        return None if still else Ending(alarm_id=alarm.alarm_id, value=0.0, sentence=said)
    if r.kind == "open_cost":
        value = (bundle.value if bundle is not None else None) or 0.0
        over = turn(firing=True, value=value, line=r.line, lower=r.lower) is Turn.END
        said = alarms.cost_sentence(alarm.function, value, r, over=True)
        return Ending(alarm_id=alarm.alarm_id, value=value, sentence=said) if over else None
    rate = 0.0 if bundle is None else bundle.rate.rate if bundle.rate is not None else None
    if rate and bundle is not None and bundle.rate is not None and bundle.rate.basis != alarm.basis:
        return None  # requests against days: not the same thing
    usual = alarm.usual or 0.0
    times = None if rate is None else rate / usual if usual else 0.0
    if turn(firing=True, value=times, line=r.line, lower=r.lower) is not Turn.END:
        return None
    said = alarms.fall_sentence(rate or 0.0, usual, alarm.basis or "days")
    return Ending(alarm_id=alarm.alarm_id, value=rate, sentence=said)


# --- what time alone does ---


@timer("badcases.end_alarm", due=views.due_ends)
def end_the_alarm(row: Any, do: Do) -> None:
    """Days have passed: is it over?"""
    with do.read() as read:
        alarm = alarm_of(read, row.alarm_id)
        rule = None if alarm is None else views.rule(read, alarm.rule_id)
        if alarm is None or rule is None:
            return
        measured = {b.key: b for b in seen.bundles(read, rule.rule, alarm.system, alarm.function, do.now)}
        over = end_of(rule, views.at_home(read, alarm), measured.get(alarm.bundle))
    if over is not None:
        settle(do, (), [over])


@timer("badcases.end_rule_mute", due=views.due_rule_mutes)
def end_the_mute(row: Any, do: Do) -> None:
    """The time of a mute has come."""
    do(unmute_rule, rule_id=row.rule_id, bundle=row.bundle, elapsed=True)


# --- telling ---


@handler("badcases.plan_delivery", on=(AlarmRaised, AlarmEnded))
def plan_the_delivery(fact: Recorded[Any], do: Do) -> None:
    """To whom it is to be told. Safe to repeat: a message's id is a function of alarm, occasion and target."""
    notifier: Notifier = do.ports.extra["notifier"]
    with do.read() as read:
        alarm = alarm_of(read, fact.event.alarm_id)
        rule = None if alarm is None else views.rule(read, alarm.rule_id)
    if alarm is None or rule is None:
        return
    targets: list[tuple[str, str]] = [(t.channel, t.name) for t in notifier.targets() if t.channel in rule.rule.deliver]
    if targets:
        occasion: Literal["raised", "ended"] = "raised" if isinstance(fact.event, AlarmRaised) else "ended"
        do(plan_deliveries, alarm_id=alarm.alarm_id, occasion=occasion, targets=targets)


@timer("badcases.deliver", due=views.due_deliveries)
def deliver(row: Any, do: Do) -> None:
    """
    Try to tell it, beside the runner: a target that is slow must not hold up the tables.

    What becomes of it is recorded by whoever tried. If the process dies before that, the message is due still.
    """
    notifier: Notifier = do.ports.extra["notifier"]
    with do.read() as read:
        delivery = views.delivery(read, row.delivery_id)
        alarm = None if delivery is None else alarm_of(read, delivery.alarm_id)
    if delivery is None or alarm is None:
        return
    attempt = delivery.attempts + 1

    def done(reason: str | None, final: bool) -> None:  # noqa: FBT001 - as `Notifier` calls it
        do(
            record_delivery,
            delivery_id=delivery.delivery_id,
            alarm_id=delivery.alarm_id,
            attempt=attempt,
            reason=reason,
            final=final,
        )

    notifier.send(notice_of(alarm, delivery.occasion, delivery.delivery_id), delivery.channel, delivery.target, done)
