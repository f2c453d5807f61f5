"""What operators read names everything that there is to set and to watch, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from mlife.adapters.kafka_connection import PARAMETERS
from mlife.core import metrics
from mlife.core.metrics import Metric
from mlife.runtime.configuration import KNOWN
from mlife.runtime.moving import FILES_NAMED
from tests.ops.conftest import ROOT

DOCS = ROOT / "docs"


def text(name: str) -> str:
    return (DOCS / name).read_text()


def test_every_setting_and_every_parameter_of_kafka_is_explained() -> None:
    settings = re.findall(r"^\| `(\w+)` \| `MLIFE_(\w+)`", text("configuration.md"), re.MULTILINE)
    assert [(name, name.upper()) for name in KNOWN] == settings
    kafka = text("configuration.md").partition("## Kafka")[2].partition("##")[0]
    told = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", kafka, re.MULTILINE)
    assert {name for cell in told for name in re.findall(r"\w+", cell)} == PARAMETERS.keys()


def test_every_metric_is_explained_and_none_that_is_not_there() -> None:
    ends = {"counter": "_total", "info": "_info"}
    named = {m.name + ends.get(m.kind, "") for m in vars(metrics).values() if isinstance(m, Metric)}
    assert set(re.findall(r"`(mlife_(?!problem|field|value|expected)\w+)`", text("cluster.md"))) == named


def test_events_that_name_files_are_declared_with_these_fields() -> None:
    from mlife.core.events import registry
    from mlife.runtime import load_features

    load_features(("events",))
    for name, field in FILES_NAMED.items():
        kind = registry.find(name)
        assert kind is not None
        assert field in kind.cls.model_fields


def test_links_in_what_operators_read_lead_somewhere() -> None:
    for page in ("cluster.md", "configuration.md"):
        for link in re.findall(r"\]\(([^)#]+)", text(page)):
            assert (DOCS / link).exists(), link
    assert Path(ROOT / "docs/cluster.md").exists()
