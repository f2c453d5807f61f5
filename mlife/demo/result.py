"""What the demo ends with: one object for machines, one table that a newcomer understands in ten seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlife.badcases.events import BadcaseClosed, BadcaseRegressed, BadcaseReopened, BadcaseReported
from mlife.badcases.views.details import confusions, verdicts
from mlife.core.ports import EventStore, iterate
from mlife.demo.field import FUNCTION, SYSTEM
from mlife.demo.hands import Hands
from mlife.demo.loop import COLLECTED, Told
from mlife.serving.events import DeploymentActivated
from mlife.serving.views import verdict
from mlife.training.views import accuracy, compare_models

if TYPE_CHECKING:
    from rich.console import Group

DOMAINS = {"digits": "home", "field": "field", "masked": "covered"}
"""Names of the test sets in the JSON → in the table."""


@dataclass
class Counts:
    """What the log says by itself, counted event by event: no query table is believed."""

    reports: int = 0
    pictures: set[str] = field(default_factory=set)
    badcases: Counter[str] = field(default_factory=Counter)
    closed: dict[str, bool] = field(default_factory=dict)
    regressed: dict[str, BadcaseRegressed] = field(default_factory=dict)
    active: str = ""
    old_model_reports: int = 0

    @classmethod
    def of(cls, store: EventStore) -> Counts:
        """Replay the whole log."""
        counts = cls()
        for recorded in iterate(store):
            counts.take(recorded.event)
        return counts

    def take(self, event: Any) -> None:
        """Count one event."""
        match event:
            case BadcaseReported():
                self.reports += 1
                self.pictures.add(str(event.data[0]["sha256"]))
                self.badcases[event.badcase_id] += 1
                self.old_model_reports += bool(self.active) and event.version != self.active
            case DeploymentActivated():
                self.active = event.version
            case BadcaseClosed():
                self.closed[event.badcase_id] = True
            case BadcaseReopened():
                self.closed.pop(event.badcase_id, None)
            case BadcaseRegressed():
                self.regressed[event.badcase_id] = event


def result_of(hands: Hands, told: Told, seconds: float) -> dict[str, Any]:
    """The object that `mlife demo --json` ends with (see the contract), and a few more figures for the table."""
    home, models, groups = hands.home, told.models, told.groups
    counts = Counts.of(home.ports.store)
    with home.ports.views.read(min_position=home.ports.store.head()) as read:
        scores = {(s.model_id, s.group_id): s.accuracy for s in accuracy(read, model_ids=list(models.values()))}
        last = verdict(read, models["v4"])
        assert last is not None  # the gate has judged it
        rows = {c.group_id: c for c in compare_models(read, models["v4"], models["v1"])}[groups["field"]]
        words = {b["badcase_id"]: str(b["verdict"]) for b in last.badcases}
        followed = _most_telling(counts, words)
        names = {model_id: name for name, model_id in models.items()}
        said = {names[v.model_id]: v.verdict for v in verdicts(read, followed) if v.model_id in names}
        pair = confusions(read, SYSTEM, FUNCTION)[followed]
    judged = Counter(words.values())
    return {
        "events": home.ports.store.head(),
        "sends": told.sends,
        "reports": counts.reports,
        "pictures": len(counts.pictures),
        "badcases": len(counts.badcases),
        "badcases_fixed": judged["fixed"],
        "badcases_unproven": len(counts.badcases) - judged["fixed"] - judged["failing"],
        "badcases_failing": judged["failing"],
        "badcases_closed": len(counts.closed),
        "regressed": len(counts.regressed),
        "old_model_reports": counts.old_model_reports,
        "accuracy": {
            name: {d: round(scores[model_id, groups[d]], 4) for d in DOMAINS if (model_id, groups[d]) in scores}
            for name, model_id in models.items()
        },
        "gate": told.gate,
        "field_random_baseline": round(told.random_baseline, 4),
        "fixed": rows.fixed,
        "broken": rows.broken,
        "still_failing": rows.still_failing,
        "task_ids": told.tasks,
        "model_ids": list(models.values()),
        "deployment_ids": list(told.deployments.values()),
        "seconds": round(seconds, 1),
        "served_by": hands.served_by(),
        "followed": {
            "badcase_id": followed,
            "truth": pair[0],
            "prediction": pair[1],
            "reports": counts.badcases[followed],
            "verdicts": said,
            "regressed": _by_name(counts.regressed[followed].sentence, names) if followed in counts.regressed else None,
            "closed": followed in counts.closed,
        },
    }


def _by_name(sentence: str, names: Mapping[str, str]) -> str:
    """*sentence* with models by their names instead of their ids."""
    for model_id, name in names.items():
        sentence = sentence.replace(model_id, name)
    return sentence


def _most_telling(counts: Counts, words: Mapping[str, str]) -> str:
    """The badcase that went furthest: came back, is fixed, is closed; of those the one with most reports."""

    def rank(badcase_id: str) -> tuple[bool, bool, bool, int]:
        fixed = words.get(badcase_id) == "fixed"
        came_back = badcase_id in counts.regressed
        return came_back and fixed, fixed, badcase_id in counts.closed, counts.badcases[badcase_id]

    return max(counts.badcases, key=rank)


def table_of(result: Mapping[str, Any], told: Told) -> Group:
    """The closing table, and the sentences below it."""
    from rich.console import Group
    from rich.text import Text

    r = result
    held_out = r["fixed"] + r["broken"] + r["still_failing"]
    badcases = (
        f"{r['sends']} sends → {r['reports']} reports → {r['pictures']} pictures → {r['badcases']} badcases: "
        f"{r['badcases_fixed']} fixed, {r['badcases_unproven']} unproven (too few rows to say), "
        f"{r['badcases_failing']} failing; {r['badcases_closed']} closed by themselves."
    )
    stale = f"{r['old_model_reports']} reports came from devices on an older version: old model, not a regression."
    beside = (
        f"Of {held_out} held-out field rows that v1 or v4 reads wrong, v4 fixed {r['fixed']}, broke {r['broken']}, "
        f"and {r['still_failing']} still fail."
    )
    honest = (
        f"{COLLECTED} random field items instead of those asked for would have read "
        f"{r['field_random_baseline']:.1%} of the field right, v2 reads {r['accuracy']['v2']['field']:.1%}: about as "
        "much. Badcases say what is broken, and prove it fixed."
    )
    end = (
        f"Asked which model answers, the served one says {r['served_by']}. {r['events']} events, {r['seconds']:.0f} s."
    )
    lines = [badcases, _followed(r["followed"]), stale, beside, honest, end]
    return Group(_scores(r, told), Text(""), *(Text(f"• {line}") for line in lines))


def _scores(result: Mapping[str, Any], told: Told) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title="Share read right, by model and test set", title_justify="left"
    )
    for column in ("model", *DOMAINS.values()):
        table.add_column(column, justify="left" if column == "model" else "right")
    table.add_column("the gate says")
    remarks = {
        "v1": "learned at home",
        "v2": "learned from 450 field items",
        "v3": f"{told.broken} badcases break; overridden by mira, then rolled back" if told.broken else "a hotfix",
        "v4": "learned from both",
    }
    for name, shares in result["accuracy"].items():
        cells = [f"{shares[d]:.1%}" if d in shares else "–" for d in DOMAINS]
        table.add_row(name, *cells, f"{result['gate'][name]}: {remarks[name]}")
    return table


def _followed(story: Mapping[str, Any]) -> str:
    steps = ["v1 fails"] + [f"{name} {word}" for name, word in sorted(story["verdicts"].items()) if name != "v1"]
    ends = ", closed" if story["closed"] else ""
    back = f" It came back: {story['regressed']}" if story["regressed"] else ""
    what = f"{story['truth']} read as {story['prediction']} ({story['badcase_id']}, {story['reports']} reports)"
    return f"One badcase, {what}: {' → '.join(steps)}{ends}.{back}"
