"""What rules look at: waves of new badcases, reports by day, test data that fails again, and what is open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, func, select, true

from mlife.badcases.alarms import Rate, Rule, Wave, bundle_of, rate_of
from mlife.badcases.standing import OPEN
from mlife.badcases.views.alarms import RuleView
from mlife.badcases.views.models import requests_of
from mlife.badcases.views.search import counted_badcases, searchable_badcases
from mlife.badcases.views.tables import (
    alarm_rows,
    badcase_pins,
    badcase_rows,
    badcase_versions,
    cause_badcases,
    cause_rows,
    iteration_rows,
    ruling_rows,
)
from mlife.badcases.views.tables.alarms import badcase_days, traffic_days
from mlife.core.events import EPOCH, Event
from mlife.core.projection import Reader
from mlife.core.query import compile_query, parse

b, v, a, day = badcase_rows.c, badcase_versions.c, alarm_rows.c, badcase_days.c
SILENT = ("rejected", "muted")
"""Badcases that ask for no attention raise no alarm."""


def asked_for(rule: Rule, now: datetime) -> ColumnElement[bool]:
    """The condition that a rule's query puts on badcases."""
    return compile_query(parse(rule.q), searchable_badcases, now)


def functions(read: Reader) -> list[tuple[str, str]]:
    """Every function that has badcases."""
    rows = read.all(select(b.system, b.function).distinct().order_by(b.system, b.function))
    return [(row.system, row.function) for row in rows]


def function_of(read: Reader, event: Event) -> tuple[str, str] | None:
    """The function of the badcase, cause, iteration or rule that an event names; None: it names none."""
    for table, name in NAMED_BY:
        named = getattr(event, name, None)
        t = table.c
        row = read.one(select(t.system, t.function).where(t[name] == named)) if named else None
        if row is not None:
            return row.system, row.function
    return None


NAMED_BY = (
    (badcase_rows, "badcase_id"),
    (cause_rows, "cause_id"),
    (iteration_rows, "iteration_id"),
    (ruling_rows, "function_id"),
)


# --- new badcases ---


@dataclass(frozen=True, slots=True)
class WaveSeen:
    """
    New badcases of one version of a function.

    Args:
        badcase_ids: those that were first reported after the last alarm of the rule, most reports first.
        first_at, last_at: when their reports in the version were observed.
        requests: traffic of the version; None if it was not counted. usual: the rate on the other versions.
    """

    wave: Wave
    badcase_ids: tuple[str, ...]
    first_at: datetime
    last_at: datetime
    requests: int | None


def alarm_waits(read: Reader, rule_id: str, system: str, function: str, version: str) -> bool:
    """Is there an alarm of the rule about the version that nobody has acknowledged?"""
    waiting = select(a.number).where(
        a.system == system,
        a.function == function,
        a.version == version,
        a.rule_id == rule_id,
        a.acknowledged_at.is_(None),
    )
    return read.one(waiting.limit(1)) is not None


def wave(
    read: Reader,
    rule: RuleView,
    system: str,
    function: str,
    version: str,
    now: datetime,
    *,
    missed: bool = False,
) -> WaveSeen | None:
    """
    Badcases of a version that no alarm of the rule was about.

    An alarm was about all that was reported before it on its version: of one shift that comes in two versions nobody
    is told twice, and what began in another version meanwhile is not forgotten.

    Args:
        missed: only alarms about the version count: the rule was silent while others were told of.
    """
    of_rule = and_(a.system == system, a.function == function, a.rule_id == rule.rule_id)
    on = badcase_versions.alias("reported_on").c
    told = exists().where(
        of_rule,
        a.number >= b.first_number,
        on.badcase_id == b.badcase_id,
        on.version == a.version,
        a.version == version if missed else true(),
    )
    rows = read.all(
        select(b.badcase_id, v.frequency, v.first_at, v.last_at)
        .select_from(badcase_rows.join(badcase_versions, v.badcase_id == b.badcase_id))
        .where(
            b.system == system,
            b.function == function,
            v.version == version,
            b.first_number > rule.number,
            ~told,
            b.status.not_in(SILENT),
            asked_for(rule.rule, now),
            b.first_at == v.first_at if missed else true(),
        )
        .order_by(v.frequency.desc(), b.badcase_id)
    )
    if not rows:
        return None
    alarms = read.all(
        select(a.badcase_count, a.acknowledged_at).where(of_rule, a.version == version).order_by(a.number)
    )
    ids = tuple(dict.fromkeys(row.badcase_id for row in rows))
    seen = Wave(
        badcases=len(ids),
        reports=sum(row.frequency for row in rows),
        acknowledged=sum(row.acknowledged_at is not None for row in alarms),
        waiting=any(row.acknowledged_at is None for row in alarms),
        last_badcases=alarms[-1].badcase_count if alarms else 0,
    )
    return WaveSeen(
        seen,
        ids,
        min(row.first_at for row in rows),
        max(row.last_at for row in rows),
        requests_of(read, system, function).get(version),
    )


def usual_rate(read: Reader, system: str, function: str, but: str) -> float | None:
    """Reports per request of a function on its other versions; None where their traffic was not counted."""
    requests = sum(n for version, n in requests_of(read, system, function).items() if version != but)
    if not requests:
        return None
    counted = read.value(
        select(func.coalesce(func.sum(v.frequency), 0))
        .select_from(badcase_rows.join(badcase_versions, v.badcase_id == b.badcase_id))
        .where(b.system == system, b.function == function, v.version != but)
    )
    return float(counted or 0) / requests


def versions_of(read: Reader, system: str, function: str) -> list[str]:
    """The versions that a function's badcases were reported on."""
    rows = read.all(
        select(v.version)
        .select_from(badcase_rows.join(badcase_versions, v.badcase_id == b.badcase_id))
        .where(b.system == system, b.function == function)
        .distinct()
        .order_by(v.version)
    )
    return [row.version for row in rows]


# --- rates, test data, open cost ---


@dataclass(frozen=True, slots=True)
class Bundle:
    """
    What one alarm of a rule would be about: badcases of a function, of one cause where they have one.

    Args:
        value: what the rule's lines are held against; None: nothing is known.
        rate: what a rate rule compared.
        badcase_ids: only where the rule names them to tell what is new.
    """

    system: str
    function: str
    cause_id: str | None
    about: str
    value: float | None
    rate: Rate | None = None
    badcase_ids: tuple[str, ...] = ()
    reports: int = 0

    @property
    def key(self) -> str:
        """How it is called in alarms and mutes."""
        return bundle_of(self.system, self.function, self.cause_id or "")


@dataclass(slots=True)
class Days:
    """Reports of a function by day, in all and by cause (None: of badcases without one), and requests by day."""

    by_cause: dict[str | None, dict[int, int]] = field(default_factory=dict)
    requests: dict[int, int] = field(default_factory=dict)
    first: int | None = None


def day_of(moment: datetime) -> int:
    """Days since 1970, UTC."""
    return (moment - EPOCH).days


def days(
    read: Reader, rule: Rule, system: str, function: str, now: datetime, *, first: int, silent: bool = True
) -> Days:
    """
    Reports and requests of a function from day *first* on.

    Args:
        silent: leave badcases out that are rejected or muted now.
    """
    mine = and_(b.system == system, b.function == function)
    wanted = [asked_for(rule, now)] + ([b.status.not_in(SILENT)] if silent else [])
    joined = badcase_rows.join(badcase_days, day.badcase_id == b.badcase_id)
    rows = read.all(
        select(cause_badcases.c.cause_id, day.day, func.sum(day.frequency).label("reports"))
        .select_from(joined.outerjoin(cause_badcases, cause_badcases.c.badcase_id == b.badcase_id))
        .where(mine, day.day >= first, *wanted)
        .group_by(cause_badcases.c.cause_id, day.day)
    )
    found = Days()
    for row in rows:
        found.by_cause.setdefault(row.cause_id, {})[row.day] = int(row.reports)
    t = traffic_days.c
    counted = read.all(select(t.day, t.requests).where(t.system == system, t.function == function, t.day >= first))
    found.requests = {row.day: row.requests for row in counted}
    found.first = min((d for counts in found.by_cause.values() for d in counts), default=None)
    return found


def bundles(read: Reader, rule: Rule, system: str, function: str, now: datetime) -> list[Bundle]:
    """Everything that a rule could raise an alarm about in a function, measured now."""
    measure = {"rate_change": _rates, "pinned_again": _again, "open_cost": _cost}[rule.kind]
    return measure(read, rule, system, function, now)


def _rates(read: Reader, rule: Rule, system: str, function: str, now: datetime) -> list[Bundle]:
    today = day_of(now)
    found = days(read, rule, system, function, now, first=today - rule.window_days - rule.past_days + 1)
    if found.first is None:
        return []
    passed = (now - EPOCH).seconds / 86_400
    names = cause_titles(read, found.by_cause)
    measured = []
    for cause_id, reports in sorted(found.by_cause.items(), key=lambda kv: kv[0] or ""):
        rate = rate_of(reports, found.requests, rule=rule, today=today, passed=passed, first=found.first)
        value = None if rate is None else rate.times
        about = names.get(cause_id or "", function)
        count = 0 if rate is None else rate.count
        measured.append(Bundle(system, function, cause_id, about, value, rate, (), count))
    return measured


def _again(read: Reader, rule: Rule, system: str, function: str, now: datetime) -> list[Bundle]:
    pinned = select(badcase_pins.c.badcase_id).distinct()
    rows = read.all(
        select(b.badcase_id, b.frequency, cause_badcases.c.cause_id)
        .select_from(badcase_rows.outerjoin(cause_badcases, cause_badcases.c.badcase_id == b.badcase_id))
        .where(
            b.system == system,
            b.function == function,
            b.status.in_(["regressed", "recurring"]),
            b.badcase_id.in_(pinned),
            asked_for(rule, now),
        )
        .order_by(b.frequency.desc(), b.badcase_id)
    )
    names = cause_titles(read, [row.cause_id for row in rows])
    by_cause: dict[str | None, list[tuple[str, int]]] = {}
    for row in rows:
        by_cause.setdefault(row.cause_id, []).append((row.badcase_id, row.frequency))
    return [
        Bundle(
            system,
            function,
            cause_id,
            names.get(cause_id or "", function),
            float(len(mine)),
            None,
            tuple(badcase_id for badcase_id, _ in mine),
            sum(reports for _, reports in mine),
        )
        for cause_id, mine in sorted(by_cause.items(), key=lambda kv: kv[0] or "")
    ]


def _cost(read: Reader, rule: Rule, system: str, function: str, now: datetime) -> list[Bundle]:
    sums = {"badcases": func.count(), "reports": func.sum(b.frequency), "priority": func.sum(b.priority)}
    row = read.one(
        select(func.coalesce(sums[rule.measure], 0).label("value"), func.sum(b.frequency).label("reports")).where(
            b.system == system,
            b.function == function,
            b.status.in_(OPEN),
            counted_badcases(),
            asked_for(rule, now),
        )
    )
    assert row is not None  # an aggregate has one row
    return [Bundle(system, function, None, function, float(row.value), None, (), int(row.reports or 0))]


def cause_titles(read: Reader, cause_ids: Iterable[str | None]) -> dict[str, str]:
    """Cause id → its title."""
    wanted = sorted({c for c in cause_ids if c})
    c = cause_rows.c
    rows = read.all(select(c.cause_id, c.title).where(c.cause_id.in_(wanted))) if wanted else []
    return {row.cause_id: row.title for row in rows}


def evidence(read: Reader, rule: Rule, bundle: Bundle, now: datetime, *, most: int = 200) -> tuple[Sequence[str], int]:
    """The badcases behind a bundle, most reports first (of the window, for a rate), and how many there are."""
    if bundle.badcase_ids:
        return bundle.badcase_ids[:most], len(bundle.badcase_ids)
    wanted = [b.system == bundle.system, b.function == bundle.function, asked_for(rule, now), counted_badcases()]
    if rule.kind == "open_cost":
        wanted.append(b.status.in_(OPEN))
        weight = b.priority if rule.measure == "priority" else b.frequency
        asked = select(b.badcase_id).where(*wanted).order_by(weight.desc(), b.badcase_id)
    else:
        wanted.append(b.status.not_in(SILENT))
        of_cause = select(cause_badcases.c.badcase_id)
        if bundle.cause_id is None:
            wanted.append(b.badcase_id.not_in(of_cause))
        else:
            wanted.append(b.badcase_id.in_(of_cause.where(cause_badcases.c.cause_id == bundle.cause_id)))
        reports = func.sum(day.frequency)
        asked = (
            select(b.badcase_id)
            .select_from(badcase_rows.join(badcase_days, day.badcase_id == b.badcase_id))
            .where(*wanted, day.day > day_of(now) - rule.window_days, day.day <= day_of(now))
            .group_by(b.badcase_id)
            .order_by(reports.desc(), b.badcase_id)
        )
    found = [row.badcase_id for row in read.all(asked.limit(20_000))]
    return found[:most], len(found)


def reports_by_day(read: Reader, badcase_ids: Sequence[str], *, first: int, last: int) -> dict[int, int]:
    """Reports of these badcases by day: the chart of an alarm."""
    rows = read.all(
        select(day.day, func.sum(day.frequency).label("reports"))
        .where(day.badcase_id.in_(list(badcase_ids)), day.day >= first, day.day <= last)
        .group_by(day.day)
    )
    return {row.day: int(row.reports) for row in rows}
