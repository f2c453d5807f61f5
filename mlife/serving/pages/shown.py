"""What pages of models and deployments share: charts, and events in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlife.core.errors import there_is
from mlife.core.events import Event
from mlife.core.judgement import Policy
from mlife.core.projection import Reader
from mlife.core.statistics import wilson_interval
from mlife.serving import views
from mlife.ui import Interval, comparison
from mlife.ui.charts import Comparison

ORDER = {"broken": 0, "failing": 1, "unproven": 2, "fixed": 3}
"""Of badcases in a verdict: what is wrong first."""


def the_model(read: Reader, model_id: str) -> views.ModelView:
    """
    The model.

    Raises:
        NotFound: there is none.
    """
    return there_is(views.model(read, model_id), "model", model_id)


def the_deployment(read: Reader, deployment_id: str) -> views.DeploymentView:
    """
    The deployment.

    Raises:
        NotFound: there is none.
    """
    return there_is(views.deployment(read, deployment_id), "deployment", deployment_id)


def sets_chart(verdict: views.VerdictView, policy: Policy) -> Comparison:
    """Each test set as an interval, the opponent's above the model's."""
    results: dict[tuple[str, str], Interval] = {}
    names = []
    for row in verdict.test_sets:
        names.append(row["name"])
        if verdict.opponent_id and row["opponent_right"] is not None:
            results[row["name"], verdict.opponent_id] = interval(
                row["opponent_right"], row["n"], policy, f"/models/{verdict.opponent_id}"
            )
        word = "passed" if row["ok"] else "refused"
        results[row["name"], verdict.model_id] = interval(row["right"], row["n"], policy, verdict=word)
    models = [m for m in (verdict.opponent_id, verdict.model_id) if m]
    return comparison("Test sets", names, models, results)


def badcases_chart(badcases: Sequence[Mapping[str, Any]], policy: Policy) -> Comparison:
    """Each badcase as an interval of the share of its evidence that passes, what is wrong first."""
    ordered = sorted(badcases, key=lambda b: (ORDER["broken" if b["broken"] else b["verdict"]], b["badcase_id"]))
    results = {
        ("badcases", b["badcase_id"]): Interval(
            b["passes"] / b["evidence"] if b["evidence"] else 0.0,
            b["lower"],
            b["upper"],
            b["evidence"],
            f"/badcases/{b['badcase_id']}",
            "broken" if b["broken"] else b["verdict"],
        )
        for b in ordered
    }
    return comparison("Badcases", ["badcases"], [b["badcase_id"] for b in ordered], results, policy.fixed_from)


def interval(right: int, size: int, policy: Policy, href: str | None = None, verdict: str = "") -> Interval:
    """The share that is right, with its interval."""
    low, high = wilson_interval(right, size, policy.confidence)
    return Interval(right / size if size else 0.0, low, high, size, href, verdict)


def in_words(event: Event) -> str:
    """What an event of a model or a deployment says, in a few words."""
    say = _SAYS.get(event.declared.name.removeprefix("mlife."))
    return say(event) if say else ""


def _created(e: Any) -> str:
    signed = f"; overridden by {e.override['by']}: {e.override['reason']}" if e.override else ""
    return f"version {e.version} for {e.target}{signed}"


def _annotated(e: Any) -> str:
    return ", ".join([f"{k} {v}" for k, v in e.metrics.items()] + list(e.badcase_ids) + [e.note] * bool(e.note))


_SAYS: dict[str, Callable[[Any], str]] = {
    "model.trained": lambda e: f"by {e.task_id}",
    "model.added": lambda e: f"{e.name}, made elsewhere",
    "model.noted": lambda e: str(e.note),
    "model.judgement_asked": lambda e: str(e.reason),
    "model.judged": lambda e: str(e.sentences[0]),
    "deployment.created": _created,
    "deployment.activated": lambda e: f"{e.target} answers with {e.answered_by} ({e.reason})",
    "deployment.failed": lambda e: str(e.error),
    "deployment.rolled_back": lambda e: f"to {e.to}: {e.reason}",
    "deployment.annotated": _annotated,
}
"""Events of the streams shown here, in a few words."""
