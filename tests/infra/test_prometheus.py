"""The alert rules speak of metrics that `/metrics` has, with labels that they have, and of MLife's own thresholds."""

import re
from typing import Any

import pytest
import yaml

from mlife.core import metrics
from mlife.core.health.following import LATE_EVENTS, LATE_SECONDS
from mlife.core.metrics import Metric
from tests.infra.commands import understood
from tests.processes import ROOT

FOLDER = ROOT / "infra" / "prometheus"
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "info": ("_info",)}
SERIES = {
    f"{metric.name}{suffix}": metric
    for metric in vars(metrics).values()
    if isinstance(metric, Metric)
    for suffix in SUFFIXES.get(metric.kind, ("",))
}
ADDED = {"instance", "job", "le"}  # by Prometheus, and by what a histogram is


@pytest.mark.parametrize("alert", RULES)
def test_an_alert_speaks_of_metrics_and_labels_that_there_are(alert: str) -> None:
    expression = RULES[alert]["expr"]
    names = re.findall(r"\bmlife_\w+", re.sub(r"\{[^}]*\}", "", expression))

    assert names or alert == "MLifeDown"
    assert [name for name in names if name not in SERIES] == []
    for name, chosen in re.findall(r"\b(mlife_\w+)\{([^}]*)\}", expression):
        metric = SERIES[name]
        assert set(re.findall(r"(\w+)\s*[=!]", chosen)) <= {*metric.labels, *ADDED, metric.name}


@pytest.mark.parametrize("alert", RULES)
def test_an_alert_says_what_happened_and_what_to_do(alert: str) -> None:
    rule = RULES[alert]

    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "do"}
    for command in re.findall(r"`mlife ([^`]+)`", rule["annotations"]["do"]):
        assert understood(command.split()), command


@pytest.mark.parametrize("kind", ["relay", "projection", "handler"])
def test_what_is_late_is_what_doctor_calls_late(kind: str) -> None:
    expression = RULES[f"MLife{kind.title()}Late"]["expr"]

    assert f'{metrics.FOLLOWER_LAG.name}{{kind="{kind}"}} > {LATE_EVENTS} and' in expression
    assert f'{metrics.FOLLOWER_LATE.name}{{kind="{kind}"}} > {LATE_SECONDS:.0f}' in expression


def test_whatever_doctor_alarms_of_is_alarmed() -> None:
    said = " ".join(rule["expr"] for rule in RULES.values())

    for metric in (
        metrics.REACHABLE,
        metrics.FOLLOWER_STATE,
        metrics.DEAD_LETTERS,
        metrics.UNREADABLE,
        metrics.GROUP_LAG,
    ):
        assert metric.name in said


def test_prometheus_asks_where_the_figures_are_and_reads_the_rules() -> None:
    told = yaml.safe_load((FOLDER / "scrape.yaml").read_text(encoding="utf-8"))

    assert {job["job_name"] for job in told["scrape_configs"]} == {"mlife"}
    assert told["scrape_configs"][0]["metrics_path"] == "/metrics"
    assert [(FOLDER / file).exists() for file in told["rule_files"]] == [True]
