"""What the story of the masks ends with: one object for machines, one table for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlife.core.judgement import Policy
from mlife.core.judgement.verdicts import compare
from mlife.demo.drivers import EXPRESSION
from mlife.demo.faces import MASKS
from mlife.demo.masks import NAMES, PROMISED, Masks
from mlife.demo.result import Counts
from mlife.serving.views import verdict

if TYPE_CHECKING:
    from rich.console import Group

LEARNED = {"v1": "bare faces", "with": "and all collected", "without": "and half-worn masks"}


def result_of(story: Masks, seconds: float) -> dict[str, Any]:
    """The object that `mlife demo --scenario masks --json` ends with; docs/masks.md says what is in it."""
    told, home = story.told, story.hands.home
    counts = Counts.of(home.ports.store)
    right = {name: story.right(name) for name in told.models}
    return {
        "scenario": "masks",
        "events": home.ports.store.head(),
        "reports": counts.reports,
        "pictures": len(counts.pictures),
        "field": told.met,
        "alarms": told.alarms,
        "statistics": told.statistics,
        "dominating_function": max(told.statistics["function"], key=lambda f: told.statistics["function"][f]),
        "badcases_split": told.split,
        "causes": {
            title: {"cause_id": c.cause_id, "function": c.function, "title": c.title, "badcases": len(c.badcase_ids)}
            for title, c in told.causes.items()
        },
        "rows": told.rows,
        "accuracy": {
            name: {kind: round(sum(rows.values()) / len(rows), 4) for kind, rows in by_kind.items() if rows}
            for name, by_kind in right.items()
        },
        "collected": _compared(right["v1"], right[told.shipped]),
        "excluded": _compared(right["with"], right["without"]),
        "gate": told.gate,
        "shipped": told.shipped,
        "served_by": story.hands.served_by(),
        **_judged(story),
        "badcases_closed": len(counts.closed),
        "iteration_id": told.iteration,
        "task_ids": told.tasks,
        "model_ids": list(told.models.values()),
        "deployment_ids": list(told.deployments.values()),
        "seconds": round(seconds, 1),
    }


def _judged(story: Masks) -> dict[str, int]:
    """How many badcases are what, by the gate's word on the shipped model."""
    home, model_id = story.hands.home, story.told.models[story.told.shipped]
    with home.ports.views.read(min_position=home.ports.store.head()) as read:
        last = verdict(read, model_id)
    assert last is not None  # the gate has judged it
    judged = Counter(str(b["verdict"]) for b in last.badcases)
    return {f"badcases_{word}": judged[word] for word in ("fixed", "unproven", "failing")}


def _compared(
    before: Mapping[str, Mapping[str, bool]], now: Mapping[str, Mapping[str, bool]]
) -> dict[str, dict[str, float]]:
    """Slice → rows that were `fixed` and `broken`, and the `p` of the exact McNemar test; `promised`: together."""
    found = {kind: compare(before[kind], now[kind], now[kind]) for kind in MASKS}
    promised = {kind: rows for kind, rows in now.items() if kind in PROMISED}
    found["promised"] = compare(
        {row: ok for kind in promised for row, ok in before[kind].items()},
        {row: ok for rows in promised.values() for row, ok in rows.items()},
        [row for rows in promised.values() for row in rows],
    )
    return {kind: {"fixed": c.fixed, "broken": c.broken, "p": float(f"{c.p:.2g}")} for kind, c in found.items()}


def table_of(result: Mapping[str, Any]) -> Group:
    """The closing table, and the sentences below it."""
    from rich.console import Group
    from rich.text import Text

    r = result
    met = sum(kind["met"] for kind in r["field"]["1.0"].values())
    missed = {kind: f"{c['missed']} of {c['met']}" for kind, c in r["field"]["1.0"].items() if c["missed"]}
    functions = r["statistics"]["function"]
    causes = ", ".join(f"{c['title']} ({c['badcases']})" for c in r["causes"].values())
    found = ", ".join(f"{count} with a {kind} mask" for kind, count in missed.items())
    most = ", ".join(f"{function} {count}" for function, count in functions.items())
    helped = f"{_words(r['collected']['half-worn'])} on half-worn, {_words(r['collected']['promised'])} on all promised"
    judged = f"{r['badcases_fixed']} badcases fixed, {r['badcases_unproven']} unproven, {r['badcases_failing']} failing"
    lines = [
        f"{met} drivers were met. OpenCV's detector found no face in {found}.",
        *(f"Alarm: {sentence}." for sentence in r["alarms"].values()),
        f"Most reports are about {r['dominating_function']}: {most}.",
        f"{r['badcases_split']} badcases were split off by the kind of mask. Causes, with badcases: {causes}.",
        f"Collecting half-worn masks: {helped}.",
        exclusion(r),
        f"v2 {r['shipped']} fully worn masks was shipped. {_field(r)}",
        f"{judged}; {r['badcases_closed']} closed. {r['events']} events, {r['seconds']:.0f} s.",
    ]
    return Group(_scores(r), Text(""), *(Text(f"• {line}") for line in lines))


def exclusion(result: Mapping[str, Any]) -> str:
    """Did it help to leave the fully worn masks out? As the numbers have it."""
    c = result["excluded"]["promised"]
    gained = c["fixed"] - c["broken"]
    told_apart = c["p"] < Policy().significance
    word = "helped" if gained > 0 else "hurt"
    said = word if told_apart else "made no difference that could be told from chance"
    left_out = result["rows"]["with training"] - result["rows"]["without training"]
    return f"Leaving {left_out} fully worn rows out of training {said}: {_words(c)} on all that is promised."


def _words(c: Mapping[str, float]) -> str:
    return f"{c['fixed']:.0f} rows better, {c['broken']:.0f} worse (p = {c['p']:.2g})"


def _field(result: Mapping[str, Any]) -> str:
    """What the field said of half-worn masks before and after, and of the second detector."""
    before, after = (
        c["wrong"] / max(1, c["met"] - c["missed"]) for c in (result["field"][v]["half-worn"] for v in ("1.0", "2.0"))
    )
    missed, rescued = (sum(c[what] for c in result["field"]["2.0"].values()) for what in ("missed", "rescued"))
    return (
        f"Of half-worn masks in the field {before:.0%} were read wrong, now {after:.0%}. The second cascade found "
        f"{rescued} of the {missed + rescued} faces that the first one missed."
    )


def _scores(result: Mapping[str, Any]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title=f"Share of {EXPRESSION}s read right, by model and mask",
        title_justify="left",
    )  # fmt: skip
    for column in ("model", "learned from", *(f"{kind}\n{result['rows'][kind]} rows" for kind in MASKS)):
        table.add_column(column, justify="left" if column in ("model", "learned from") else "right")
    table.add_column("the gate says")
    for name, shares in result["accuracy"].items():
        word = result["gate"][name] + (", shipped" if name == result["shipped"] else "")
        table.add_row(NAMES[name], LEARNED[name], *(f"{shares[kind]:.1%}" for kind in MASKS), word)
    return table
