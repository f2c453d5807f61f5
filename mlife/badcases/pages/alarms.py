"""Alarms and the rules that raise them: lists, pages, previews, and what can be done about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.badcases import commands
from mlife.badcases.alarms import BUILT_IN, Rule
from mlife.badcases.alarms_rules import NOBODY, rule_of
from mlife.badcases.events import RuleCreated
from mlife.badcases.pages.shown import done, in_words, picture_of
from mlife.badcases.views import alarms, alarms_measured, alarms_preview, lists, turns
from mlife.badcases.views.alarms import RuleView, searchable_alarms
from mlife.badcases.views.rows import AlarmView
from mlife.core.command import check_input
from mlife.core.errors import Invalid, MLifeError, Refused, there_is
from mlife.core.projection import Reader
from mlife.ui import Bar, Mark, answer, bars, look, page, with_query
from mlife.ui.charts import BarChart
from mlife.ui.completing import completes
from mlife.ui.doing import Doing, Hands
from mlife.ui.lists import asked
from mlife.ui.pages import wants_json
from mlife.ui.said import Said, is_form
from mlife.ui.timeline import history_of

router = APIRouter(tags=["alarms, rules"])
completes(searchable_alarms)
CHART_DAYS = 42
SHOWN_BADCASES = 30
"""Of an alarm, on its page: those that are looked at first."""
look("firing", shape="down", tone="alarm")
look("over", "seen", "delivered", shape="check", tone="done")
look("deleted", "given up", shape="cross")
look("tried again", shape="loop")
look("waits", shape="ring")

KINDS: Mapping[str, tuple[str, str]] = {
    "new_badcase": ("new badcases", "Badcases that a version shows for the first time come together."),
    "rate_change": ("rising rate", "A function, or a cause, is reported more often than it used to be."),
    "pinned_again": ("test data fails again", "A badcase whose files are test data comes back in what is active."),
    "open_cost": ("open cost", "More is open than somebody can look after."),
}
"""Kinds of rules: in words, and when they raise an alarm."""


@page(router, "/alarms")
def list_alarms(
    request: Request, hands: Hands, q: str = "", sort: str | None = None, after: str | None = None, limit: int = 50
) -> Response:
    """Alarms that the query asks for, the newest first."""
    now = hands.now
    ask = asked(request, q, searchable_alarms, now)
    with hands.read() as read:
        found = alarms.list_alarms(read, ask.readable, now=now, sort=sort, after=after, limit=limit)
        counts = {name: alarms.list_alarms(read, query, now=now, limit=1).total for name, query in TABS.items()}
        trouble = alarms.deliveries_in_trouble(read)
        position = read.position
    pager = {"newer": found.before, "older": found.after}
    return answer(
        request,
        "badcases/alarms.html",
        found.told("alarms", [asdict(a) for a in found.items], position),
        ask=ask,
        shown=found.items,
        how_many=counts,
        tabs=[
            {"label": name.capitalize(), "href": f"/alarms?q={query}" if query else "/alarms", "here": q == query}
            | {"count": counts[name]}
            for name, query in TABS.items()
        ],
        kinds=KINDS,
        trouble=trouble,
        page_of={name: with_query(request, after=cursor) if cursor else None for name, cursor in pager.items()},
    )


TABS: Mapping[str, str] = {"all": "", "waiting": "waiting:yes", "firing": "firing:yes"}
"""Views of the alarms, and their queries."""


@page(router, "/alarms/{alarm_id}")
def show_alarm(request: Request, hands: Hands, alarm_id: str) -> Response:
    """One alarm: why it was raised, its badcases, whom it was told to."""
    with hands.read() as read:
        found = there_is(turns.alarm(read, alarm_id), "alarm", alarm_id)
        rule = alarms.rule(read, found.rule_id)
        told = alarms.deliveries_of(read, alarm_id)
        now = alarms.at_home(read, found)
        badcases = lists.badcases_by_id(read, now.badcase_ids)[:SHOWN_BADCASES]
        chart = None if wants_json(request) else day_chart(read, now, hands.now)
        position = read.position
    data = {"alarm": asdict(found), "deliveries": [asdict(d) for d in told], "position": position}
    return answer(
        request,
        "badcases/alarm.html",
        data | {"badcases": [asdict(b) for b in badcases]},
        a=found,
        rule=rule,
        told=told,
        shown=badcases,
        targets=now.badcase_ids,
        chart=chart,
        kinds=KINDS,
        muted=rule is not None and rule.is_muted(found.bundle),
        tomorrow=f"{hands.now + timedelta(days=7):%Y-%m-%d}",
        history=history_of(hands, f"alarm/{alarm_id}", say=in_words),
        picture=picture_of(hands),
    )


def day_chart(read: Reader, alarm: AlarmView, now: datetime) -> BarChart | None:
    """Reports of an alarm's badcases by day around the time it was raised; None without any."""
    last = min(alarms_measured.day_of(now), alarms_measured.day_of(max(alarm.to_at, alarm.raised_at)) + 7)
    counts = alarms_measured.reports_by_day(read, alarm.badcase_ids, first=last - CHART_DAYS + 1, last=last)
    if not counts:
        first = alarms_measured.day_of(alarm.from_at)
        last = min(first + CHART_DAYS - 1, alarms_measured.day_of(alarm.to_at) + 7)
        counts = alarms_measured.reports_by_day(read, alarm.badcase_ids, first=last - CHART_DAYS + 1, last=last)
    if not counts:
        return None
    start, end = alarms_measured.day_of(alarm.from_at), alarms_measured.day_of(alarm.to_at)
    days = range(max(min(counts) - 1, last - CHART_DAYS + 1), last + 1)
    shown = []
    for day in days:
        when = alarms_preview.moment(day)
        shown.append(Bar(f"{when.day} {when:%b}", counts.get(day, 0), alarm=alarm.firing and start <= day <= end))
    raised = alarms_measured.day_of(alarm.raised_at)
    marks = [Mark(days.index(raised), "the alarm was raised")] if raised in days else []
    return bars("Reports of these badcases by day observed", shown, marks)


@router.post("/api/v1/alarms/{alarm_id}/acknowledge")
@router.post("/alarms/{alarm_id}/acknowledge", include_in_schema=False)
def acknowledge(request: Request, hands: Hands, alarm_id: str, said: Said) -> Response:
    """Say that somebody saw it."""
    given = check_input(commands.acknowledge_alarm, {**said, "alarm_id": alarm_id})
    made = hands.edit(f"alarm/{alarm_id}", commands.acknowledge_alarm, **given)
    return done(request, made, f"/alarms/{alarm_id}", "the alarm is acknowledged", alarm_id=alarm_id)


@router.post("/api/v1/alarms/{alarm_id}/mute")
@router.post("/alarms/{alarm_id}/mute", include_in_schema=False)
def mute_alarm(request: Request, hands: Hands, alarm_id: str, said: Said) -> Response:
    """Let its rule raise nothing about the same bundle: `until` and `reason`."""
    with hands.read() as read:
        found = there_is(turns.alarm(read, alarm_id), "alarm", alarm_id)
    given = check_input(commands.mute_rule, {**said, "rule_id": found.rule_id, "bundle": found.bundle})
    made = hands.do(commands.mute_rule, **given)
    words = f"{found.rule_id} says nothing about {found.bundle} until {given['until']:%Y-%m-%d %H:%M}"
    undo = f"/rules/{found.rule_id}/undo"
    return done(request, made, f"/alarms/{alarm_id}", words, undo=undo, rule_id=found.rule_id, bundle=found.bundle)


# --- rules ---


@page(router, "/rules")
def list_rules(request: Request, hands: Hands, deleted: bool = False) -> Response:  # noqa: FBT001, FBT002 - a parameter
    """The rules with their numbers; deleted ones with `deleted=true`."""
    with hands.read() as read:
        found = alarms.rules(read, deleted=deleted)
        position = read.position
    data = {"rules": [told_rule(r) for r in found], "total": len(found), "position": position}
    return answer(request, "badcases/alarm_rules.html", data, shown=found, kinds=KINDS, says=says, deleted=deleted)


def told_rule(view: RuleView) -> dict[str, Any]:
    """A rule as programs get it."""
    return {
        "rule_id": view.rule_id,
        "version": view.version,
        "state": view.state,
        "built_in": view.rule_id in BUILT_IN,
        **view.rule.model_dump(mode="json"),
        "changed_at": view.changed_at,
        "changed_by": view.changed_by,
        "mutes": [asdict(m) for m in view.mutes],
    }


def says(rule: Rule) -> str:
    """A rule's numbers as a sentence."""
    if rule.kind == "new_badcase":
        return f"{rule.least} reports of badcases that are new in a version"
    if rule.kind == "rate_change":
        return (
            f"{rule.line:g} times the usual rate, p < {rule.significance:g}, {rule.least} reports or more; over at "
            f"{rule.lower:g} times. {rule.window_days} days against the {rule.past_days} before"
        )
    if rule.kind == "pinned_again":
        return "one badcase is enough; over when none of them fails any more"
    return f"{rule.line:g} {'of priority' if rule.measure == 'priority' else rule.measure} open; over at {rule.lower:g}"


@page(router, "/rules/preview")
def preview_rule(request: Request, hands: Hands) -> Response:
    """
    What a rule would have raised in the last 12 weeks: `kind`, and any other field of a rule; what is left out has its
    default. With `rule_id` it is that rule, with the fields given changed.
    """
    said: dict[str, Any] = {k: v for k, v in request.query_params.items() if k != "min_position"}
    rule_id = said.pop("rule_id", "")
    kind = said.setdefault("kind", "rate_change") if not rule_id else said.get("kind")
    with hands.read() as read:
        view = there_is(alarms.rule(read, rule_id), "rule", rule_id) if rule_id else None
        fault: MLifeError | None = None
        if not said.get("title"):
            said["title"] = view.rule.title if view is not None else KINDS.get(str(kind), ("rule", ""))[0]
        try:
            rule = rule_of(said, now=hands.now, before=view.rule if view is not None else None)
        except (Invalid, Refused) as e:
            if wants_json(request):
                raise
            fault, rule = e, view.rule if view is not None else BUILT_IN["rul-rate"]
        would = alarms_preview.preview(read, rule, now=hands.now) if fault is None else []
        position = read.position
    data = {"rule": rule.model_dump(mode="json"), "would": [asdict(w) for w in would], "position": position}
    values = {**rule.model_dump(), **said} if fault is not None else rule.model_dump()
    form = _form(hands, view, rule, values)
    return answer(request, "badcases/alarm_rule.html", data, **form, fault=fault, raised=would)


@page(router, "/rules/{rule_id}")
def show_rule(request: Request, hands: Hands, rule_id: str) -> Response:
    """One rule, the alarms that it raised, and those that it would have raised in the last 12 weeks."""
    with hands.read() as read:
        view = there_is(alarms.rule(read, rule_id), "rule", rule_id)
        would = [] if wants_json(request) else alarms_preview.preview(read, view.rule, now=hands.now)
        real = alarms.alarms_of_rule(read, rule_id)
        position = read.position
    data = {**told_rule(view), "alarms": [asdict(a) for a in real], "position": position}
    if wants_json(request):
        return answer(request, "badcases/alarm_rule.html", data)
    form = {**_form(hands, view, view.rule, view.rule.model_dump()), "real": real}
    return answer(request, "badcases/alarm_rule.html", {"position": position}, **form, fault=None, raised=would)


def _form(hands: Doing, view: RuleView | None, rule: Rule, values: Mapping[str, Any]) -> dict[str, Any]:
    deliver = values.get("deliver") or ()
    history = [] if view is None else history_of(hands, f"rule/{view.rule_id}", say=rule_in_words)
    return {
        "view": view,
        "text": rule,
        "values": {**values, "deliver": deliver if isinstance(deliver, str) else ",".join(deliver) or NOBODY},
        "kinds": KINDS,
        "says": says,
        "tomorrow": f"{hands.now + timedelta(days=7):%Y-%m-%d}",
        "history": history,
        "real": [],
    }


def rule_in_words(event: Any) -> str:
    """What an event of a rule says."""
    definition = getattr(event, "definition", None)
    if definition is not None:
        return f"{definition.get('title', '')}: {says(Rule.model_validate(definition))}"
    bundle = getattr(event, "bundle", None)
    return " ".join(part for part in (f"about {bundle}" if bundle else "", in_words(event)) if part)


@router.post("/api/v1/rules")
@router.post("/rules", include_in_schema=False)
def create_rule(request: Request, hands: Hands, said: Said) -> Response:
    """Create a rule: title, kind, and what is not to have its default."""
    made = hands.do(commands.create_rule, rule=rule_of(said, now=hands.now))
    rule_id = made.first(RuleCreated).rule_id
    undo = f"/rules/{rule_id}/undo"
    return done(request, made, f"/rules/{rule_id}", "the rule watches from now on", undo=undo, rule_id=rule_id)


@router.post("/api/v1/rules/{rule_id}/change")
@router.post("/rules/{rule_id}/change", include_in_schema=False)
def change_rule(request: Request, hands: Hands, rule_id: str, said: Said) -> Response:
    """Change a rule; a program gives the fields that change, the page's form has them all."""
    with hands.read() as read:
        before = there_is(alarms.rule(read, rule_id), "rule", rule_id).rule
    whole = is_form(request)  # what is empty there is meant to be
    said.pop("rule_id", None)  # the form carries it for its preview
    rule = rule_of({"kind": before.kind, **said}, now=hands.now, before=None if whole else before)
    made = hands.edit(f"rule/{rule_id}", commands.change_rule, rule_id=rule_id, rule=rule)
    words = "the rule is changed" if made.events else "the rule is as it was"
    return done(request, made, f"/rules/{rule_id}", words, undo=f"/rules/{rule_id}/undo", rule_id=rule_id)


ACTIONS: Mapping[str, tuple[Any, str]] = {
    "pause": (commands.pause_rule, "is paused"),
    "resume": (commands.resume_rule, "watches"),
    "delete": (commands.delete_rule, "is deleted; its alarms stay"),
    "mute": (commands.mute_rule, "is muted"),
    "unmute": (commands.unmute_rule, "is no longer muted"),
    "undo": (commands.undo_rule, "is as it was before"),
}
"""What can be done to a rule beside changing it: the command, and what is said afterwards."""


@router.post("/api/v1/rules/{rule_id}/{action}")
@router.post("/rules/{rule_id}/{action}", include_in_schema=False)
def act_on_rule(request: Request, hands: Hands, rule_id: str, action: str, said: Said) -> Response:
    """Pause, resume, delete, mute (`until`, `reason`, perhaps `bundle`), unmute, or undo the last of these."""
    command, words = there_is(ACTIONS.get(action), "action", action)
    made = hands.edit(f"rule/{rule_id}", command, **check_input(command, {**said, "rule_id": rule_id}))
    undo = "" if action in ("undo", "unmute") else f"/rules/{rule_id}/undo"
    to = "/rules" if action == "delete" else f"/rules/{rule_id}"
    return done(request, made, to, f"{rule_id} {words}", undo=undo, rule_id=rule_id)
