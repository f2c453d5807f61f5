"""Rules, the alarms they raised, and where those were told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import orjson
from sqlalchemy import ColumnElement, Select, case, func, or_, select, type_coerce

from mlife.badcases.alarms import ACTIVE_FROM_THE_START, BUILT_IN, Rule
from mlife.badcases.views.rows import AlarmView
from mlife.badcases.views.search import flag, searchable_badcases
from mlife.badcases.views.tables import badcase_aliases
from mlife.badcases.views.tables.alarms import alarm_rows, delivery_rows, rule_mutes, rule_rows
from mlife.badcases.views.turns import alarm_view
from mlife.core.projection import Reader
from mlife.core.query import Field, Listing, Searchable, compile_query, contains_text, page, parse, read_page
from mlife.core.tables import AnyRow

a, d, m = alarm_rows.c, delivery_rows.c, rule_mutes.c
KINDS = ("new_badcase", "rate_change", "pinned_again", "open_cost")


firing = case((a.kind == "new_badcase", a.acknowledged_at.is_(None)), else_=a.ended_at.is_(None))
"""Is an alarm still so, as far as anybody knows?"""

searchable_alarms = Searchable(
    "alarms",
    a.number,
    (
        Field("waiting", flag(a.acknowledged_at.is_(None)), "flag", "Has nobody seen it yet?"),
        Field("firing", flag(firing), "flag", "Is it still so?"),
        Field("kind", a.kind, "choice", "What kind of rule raised it.", choices=KINDS),
        Field("rule", a.rule_id, "text", "The rule that raised it."),
        Field("system", a.system, "text", "The system that it is about."),
        Field("function", a.function, "text", "The function that it is about."),
        Field("version", a.version, "text", "The version that it is about, for new badcases."),
        Field("cause", a.cause_id, "text", "The cause that it is about."),
        Field("bundle", a.bundle, "text", "System, function and version or cause, with slashes."),
        Field("reports", a.report_count, "number", "How many reports it is about."),
        Field("raised", a.raised_at, "date", "When it was raised."),
        Field("id", a.alarm_id, "text", "Its id."),
        Field("number", a.number, "number", "Its position in the log."),
    ),
    text=contains_text(a.sentence, a.note),
    default_sort="-number",
)


def list_alarms(
    read: Reader, q: str = "", *, now: datetime, sort: str | None = None, after: str | None = None, limit: int = 50
) -> Listing[AlarmView]:
    """
    A page of alarms, the newest first.

    Raises:
        QueryError: the query, sort, cursor or limit can't be used.
    """
    asked = page(select(alarm_rows), searchable_alarms, q, now=now, sort=sort, after=after, limit=limit)
    return read_page(read, asked, lambda rows: [alarm_view(row) for row in rows], among=alarm_rows)


def at_home(read: Reader, alarm: AlarmView) -> AlarmView:
    """*alarm* with badcases that were merged meanwhile under the ids of those that they are counted in now."""
    m = badcase_aliases.c
    rows = read.all(select(m.badcase_id, m.home_id).where(m.badcase_id.in_(alarm.badcase_ids)))
    homes = {row.badcase_id: row.home_id for row in rows}
    if not homes:
        return alarm
    return replace(alarm, badcase_ids=tuple(dict.fromkeys(homes.get(b, b) for b in alarm.badcase_ids)))


def alarms_of_rule(read: Reader, rule_id: str, *, limit: int = 20) -> list[AlarmView]:
    """The newest alarms of a rule."""
    asked = select(alarm_rows).where(a.rule_id == rule_id).order_by(a.number.desc()).limit(limit)
    return [alarm_view(row) for row in read.all(asked)]


def unended(read: Reader, rule_id: str, system: str, function: str) -> dict[str, list[AlarmView]]:
    """Bundle → the alarms of a rule about a function that are not over, the oldest first."""
    found: dict[str, list[AlarmView]] = {}
    asked = select(alarm_rows).where(
        a.rule_id == rule_id, a.system == system, a.function == function, a.ended_at.is_(None)
    )
    for row in read.all(asked.order_by(a.number)):
        found.setdefault(row.bundle, []).append(at_home(read, alarm_view(row)))
    return found


def how_many(read: Reader, rule_id: str, bundle: str) -> int:
    """Alarms that a rule ever raised about a bundle."""
    counted = select(func.count()).select_from(alarm_rows).where(a.rule_id == rule_id, a.bundle == bundle)
    return int(read.value(counted) or 0)


def due_ends(now: datetime) -> Select[tuple[str, int]]:
    """Alarms that time alone may end, each once an hour."""
    hour = int(now.timestamp()) // 3_600
    return (
        select(a.alarm_id, type_coerce(hour, a.badcase_count.type).label("hour"))
        .where(a.ended_at.is_(None), a.kind.in_(["rate_change", "pinned_again", "open_cost"]))
        .order_by(a.number)
    )


# --- rules ---


@dataclass(frozen=True, slots=True)
class Mute:
    """A rule raises nothing about *bundle* (empty: about anything) until a moment."""

    rule_id: str
    bundle: str
    until: datetime
    reason: str
    by: str | None


@dataclass(frozen=True, slots=True)
class RuleView:
    """
    A rule as it is now.

    Args:
        version: counts its texts, from 1. state: `active`, `paused` or `deleted`.
        number: position where it was created; 0: built in.
        changed_at: None: nobody ever touched it.
    """

    rule_id: str
    version: int
    state: str
    number: int
    rule: Rule
    changed_at: datetime | None
    changed_by: str | None
    mutes: tuple[Mute, ...] = ()

    def is_muted(self, bundle: str = "") -> bool:
        """Is it muted altogether, or about *bundle*?"""
        return any(mute.bundle in ("", bundle) for mute in self.mutes)


def rules(read: Reader, *, deleted: bool = False) -> list[RuleView]:
    """Every rule, built-in ones first; deleted ones only if asked for."""
    rows = {row.rule_id: row for row in read.all(select(rule_rows).order_by(rule_rows.c.number))}
    muted: dict[str, list[Mute]] = {}
    for row in read.all(select(rule_mutes).order_by(m.rule_id, m.bundle)):
        muted.setdefault(row.rule_id, []).append(Mute(row.rule_id, row.bundle, row.until_at, row.reason, row.muted_by))
    found = []
    for rule_id in [*BUILT_IN, *(r for r in rows if r not in BUILT_IN)]:
        view = _rule_view(rule_id, rows.get(rule_id), tuple(muted.get(rule_id, ())))
        if deleted or view.state != "deleted":
            found.append(view)
    return found


def _rule_view(rule_id: str, row: AnyRow | None, mutes: tuple[Mute, ...]) -> RuleView:
    state = "active" if rule_id in ACTIVE_FROM_THE_START else "paused"
    if row is None:
        return RuleView(rule_id, 1, state, 0, BUILT_IN[rule_id], None, None, mutes)
    text = BUILT_IN[rule_id] if row.definition is None else Rule.model_validate(orjson.loads(row.definition))
    return RuleView(rule_id, row.version, row.state or state, row.number, text, row.changed_at, row.changed_by, mutes)


def rule(read: Reader, rule_id: str) -> RuleView | None:
    """One rule, deleted or not; None if there is none."""
    return next((r for r in rules(read, deleted=True) if r.rule_id == rule_id), None)


def active_rules(read: Reader, *kinds: str) -> list[RuleView]:
    """The rules of these kinds that raise alarms now."""
    return [r for r in rules(read) if r.state == "active" and r.rule.kind in kinds and not r.is_muted()]


def check_query(q: str, now: datetime) -> None:
    """
    See that a rule's query can be asked.

    Raises:
        QueryError: it can't; says where and what would be right.
    """
    compile_query(parse(q), searchable_badcases, now)


def due_rule_mutes(now: datetime) -> Select[tuple[str, str, datetime]]:
    """Mutes of rules that are over: rule, bundle, and the moment it was to end."""
    return select(m.rule_id, m.bundle, m.until_at).where(m.until_at <= now).order_by(m.until_at, m.rule_id, m.bundle)


# --- deliveries ---


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """
    A message on its way.

    Args:
        due_at: when it is tried next; None: delivered (`made_at`), or given up with `problem`.
    """

    delivery_id: str
    alarm_id: str
    occasion: str
    channel: str
    target: str
    planned_at: datetime
    attempts: int
    due_at: datetime | None
    made_at: datetime | None
    problem: str | None

    @property
    def word(self) -> str:
        """Where it stands."""
        if self.made_at is not None:
            return "delivered"
        return "given up" if self.due_at is None else "waits" if self.attempts == 0 else "tried again"


def _deliveries(read: Reader, *where: ColumnElement[bool]) -> list[DeliveryView]:
    rows = read.all(select(delivery_rows).where(*where).order_by(d.number, d.delivery_id).limit(200))
    return [
        DeliveryView(
            row.delivery_id,
            row.alarm_id,
            row.occasion,
            row.channel,
            row.target,
            row.planned_at,
            row.attempts,
            row.due_at,
            row.made_at,
            row.problem,
        )
        for row in rows
    ]


def deliveries_of(read: Reader, alarm_id: str) -> Sequence[DeliveryView]:
    """To whom an alarm was told, or is to be."""
    return _deliveries(read, d.alarm_id == alarm_id)


def delivery(read: Reader, delivery_id: str) -> DeliveryView | None:
    """One delivery; None if there is none."""
    return next(iter(_deliveries(read, d.delivery_id == delivery_id)), None)


def deliveries_in_trouble(read: Reader) -> int:
    """Deliveries that failed and were not made yet, or given up."""
    in_trouble = or_(d.due_at.is_not(None), d.made_at.is_(None))
    counted = select(func.count()).select_from(delivery_rows).where(d.problem.is_not(None), in_trouble)
    return int(read.value(counted) or 0)


def due_deliveries(now: datetime) -> Select[tuple[str, int, datetime]]:
    """Deliveries to be tried now: id, tries before, and when it came due."""
    return select(d.delivery_id, d.attempts, d.due_at).where(d.due_at <= now).order_by(d.due_at, d.delivery_id)
