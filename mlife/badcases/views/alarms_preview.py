"""
What a rule would have raised: the same lines and tests, held against the days that are kept.

Days are whole, badcases have the status, cause and priority that they have now, and of new badcases each alarm counts
as seen at once. So it is a guide to the numbers of a rule, not a second history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func, select

from mlife.badcases import alarms
from mlife.badcases.alarms import Rule, Turn, Wave, rate_of, turn, worth_an_alarm
from mlife.badcases.standing import OPEN
from mlife.badcases.views import alarms_measured as seen
from mlife.badcases.views.search import counted_badcases
from mlife.badcases.views.tables import badcase_rows, badcase_versions
from mlife.badcases.views.tables.alarms import badcase_days
from mlife.core.events import EPOCH
from mlife.core.projection import Reader

b, v, day = badcase_rows.c, badcase_versions.c, badcase_days.c
WEEKS = 12


@dataclass(frozen=True, slots=True)
class Would:
    """An alarm that would have been raised on the day *at*; `until` None: it would still be so."""

    system: str
    function: str
    about: str
    at: datetime
    until: datetime | None
    sentence: str
    badcases: int | None
    reports: int


def preview(read: Reader, rule: Rule, *, now: datetime, weeks: int = WEEKS) -> list[Would]:
    """The alarms of the last *weeks*, the newest first."""
    tell = {"new_badcase": _new, "rate_change": _rises, "pinned_again": _again, "open_cost": _costs}[rule.kind]
    first = seen.day_of(now) - 7 * weeks + 1
    found = [would for place in seen.functions(read) for would in tell(read, rule, *place, now, first)]
    return sorted(found, key=lambda w: (w.at, w.system, w.function, w.about), reverse=True)


def moment(days: int) -> datetime:
    """The first moment of a day."""
    return EPOCH + timedelta(days=days)


def _new(read: Reader, rule: Rule, system: str, function: str, now: datetime, first: int) -> Iterable[Would]:
    mine = (b.system == system, b.function == function, b.status.not_in(seen.SILENT), b.first_at >= moment(first))
    wanted = (*mine, seen.asked_for(rule, now), counted_badcases())
    rows = read.all(
        select(b.badcase_id, v.version, v.first_at)
        .select_from(badcase_rows.join(badcase_versions, v.badcase_id == b.badcase_id))
        .where(*wanted)
        .order_by(v.first_at.desc(), v.version)
    )
    version_of = {row.badcase_id: (row.version, seen.day_of(row.first_at)) for row in rows}  # the earliest comes last
    joined = badcase_rows.join(badcase_days, day.badcase_id == b.badcase_id)
    reports: dict[str, dict[int, int]] = {}
    for row in read.all(select(day.badcase_id, day.day, day.frequency).select_from(joined).where(*wanted)):
        reports.setdefault(row.badcase_id, {})[row.day] = row.frequency
    for version in sorted({name for name, _ in version_of.values()}):
        new = {badcase_id: at for badcase_id, (name, at) in version_of.items() if name == version}
        yield from _waves(rule, system, function, version, new, reports, (first, seen.day_of(now)))


def _waves(
    rule: Rule,
    system: str,
    function: str,
    version: str,
    new: Mapping[str, int],
    reports: Mapping[str, Mapping[int, int]],
    days: tuple[int, int],
) -> Iterable[Would]:
    """The alarms about one version: badcases by their first day, until a wave is worth one."""
    begun: dict[int, list[str]] = {}
    by_day: dict[int, list[tuple[str, int]]] = {}
    for badcase_id, at in new.items():
        begun.setdefault(at, []).append(badcase_id)
        for d, n in reports.get(badcase_id, {}).items():
            by_day.setdefault(d, []).append((badcase_id, n))
    wave: set[str] = set()
    many, told = 0, Wave(0, 0, 0, waiting=False, last_badcases=0)
    for today in range(days[0], days[1] + 1):
        wave.update(begun.get(today, ()))
        many += sum(n for badcase_id, n in by_day.get(today, ()) if badcase_id in wave)
        now = replace(told, badcases=len(wave), reports=many)
        if wave and worth_an_alarm(now, rule):
            said = f"{alarms.plural(len(wave), 'new badcase')} of {function} in version {version}: {many} reports"
            yield Would(system, function, f"version {version}", moment(today), moment(today), said, len(wave), many)
            told = replace(now, acknowledged=told.acknowledged + 1, last_badcases=len(wave))
            wave, many = set(), 0


def _rises(read: Reader, rule: Rule, system: str, function: str, now: datetime, first: int) -> Iterable[Would]:
    found = seen.days(read, rule, system, function, now, first=first - rule.window_days - rule.past_days)
    if found.first is None:
        return
    names = seen.cause_titles(read, found.by_cause)
    for cause_id, reports in sorted(found.by_cause.items(), key=lambda kv: kv[0] or ""):
        about = names.get(cause_id or "", function)
        firing: Would | None = None
        usual, basis = 0.0, ""
        for today in range(first, seen.day_of(now) + 1):
            rate = rate_of(reports, found.requests, rule=rule, today=today, passed=1.0, first=found.first)
            if rate is None:
                continue
            times = rate.times if firing is None else rate.rate / usual if rate.basis == basis else None
            step = turn(
                firing=firing is not None, value=times, line=rule.line, lower=rule.lower, proven=rate.worth(rule)
            )
            if step is Turn.RAISE:
                said = alarms.rise_sentence(about, rate, rule)
                firing = Would(system, function, about, moment(today), None, said, None, rate.count)
                usual, basis = rate.usual, rate.basis
            elif step is Turn.END and firing is not None:
                yield replace(firing, until=moment(today))
                firing = None
        if firing is not None:
            yield firing


def _again(read: Reader, rule: Rule, system: str, function: str, now: datetime, _first: int) -> Iterable[Would]:
    """What is so now: how badcases stood before is in their events, and not in the tables."""
    for bundle in seen.bundles(read, rule, system, function, now):
        many = len(bundle.badcase_ids)
        today = moment(seen.day_of(now))
        said = alarms.again_sentence(bundle.about, many)
        yield Would(system, function, bundle.about, today, None, said, many, bundle.reports)


def _costs(read: Reader, rule: Rule, system: str, function: str, now: datetime, first: int) -> Iterable[Would]:
    """When those that are open now became too many: what was open then and is closed now is not counted."""
    weight = {"badcases": func.count(), "reports": func.sum(b.frequency), "priority": func.sum(b.priority)}
    rows = read.all(
        select(b.first_at, weight[rule.measure].label("weight"), func.sum(b.frequency).label("reports"))
        .where(
            b.system == system,
            b.function == function,
            b.status.in_(OPEN),
            counted_badcases(),
            seen.asked_for(rule, now),
        )
        .group_by(b.first_at)
        .order_by(b.first_at)
    )
    total, many = 0.0, 0
    for row in rows:
        total, many = total + float(row.weight), many + int(row.reports)
        if total >= rule.line:
            at = moment(max(seen.day_of(row.first_at), first))
            yield Would(system, function, function, at, None, alarms.cost_sentence(function, total, rule), None, many)
            return
