"""The demo told in the cluster size, by processes on real servers, is the demo that was told in the embedded one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from infra.local.program import Program
from mlife.core.projection import projections
from mlife.core.rebuild import verify
from mlife.core.tables import Moment
from mlife.runtime import Home, open_home, settings
from tests.e2e.conftest import ROOT, Told

if TYPE_CHECKING:
    from sqlalchemy import Table

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

SAME_IN_BOTH = {"events", "seconds"}
"""What may differ: when handlers look at a flood depends on the moment, and so do a few events that say nothing new."""


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, postgres_shared: Any, kafka_broker: Any, s3_shared: Any
) -> Iterator[dict[str, str]]:
    """The settings of a cluster with relay and workers at work, and the demo told in it."""
    folder = tmp_path_factory.mktemp("both")
    yield from _running(folder, postgres_shared.url, f"{kafka_broker.url}?prefix=both.", s3_shared.bucket("both"))


def _running(folder: Path, store: str, bus: str, files: str) -> Iterator[dict[str, str]]:
    import psycopg

    with psycopg.connect(store, autocommit=True) as db:
        db.execute("CREATE SCHEMA both_sizes")
    told = {
        "MLIFE_HOME": str(folder / "home"),
        "MLIFE_STORE": f"{store}?options=-csearch_path%3Dboth_sizes",
        "MLIFE_BUS": bus,
        "MLIFE_FILES": files,
    }
    with Program(told, folder):
        yield told


def told_there(cluster: dict[str, str]) -> dict[str, Any]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MLIFE_")}
    ran = subprocess.run(
        [sys.executable, "-m", "mlife", "demo", "--json"],
        cwd=ROOT / "tests", env={**clean, **cluster}, capture_output=True, text=True, check=False, timeout=420,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    result: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return result


def at(cluster: dict[str, str], tmp_path: Path) -> Any:
    return settings(
        cluster["MLIFE_HOME"],
        config=tmp_path / "no.toml",
        store=cluster["MLIFE_STORE"],
        bus=cluster["MLIFE_BUS"],
        files=cluster["MLIFE_FILES"],
    )


def test_the_same_input_gives_the_same_figures_and_the_same_tables(
    cluster: dict[str, str], told: Told, tmp_path: Path
) -> None:
    result = told_there(cluster)
    here = {k: v for k, v in told.result.items() if k not in SAME_IN_BOTH}
    there = {k: v for k, v in result.items() if k not in SAME_IN_BOTH}
    assert there == here

    with open_home(settings(told.home, config=tmp_path / "no.toml")) as one, open_home(at(cluster, tmp_path)) as other:
        other.runner.settle(60)
        assert [d for p in projections.values() for d in verify(other.ports, p)] == []
        tables = [t for p in projections.values() for t in p.tables if t.name not in BY_OCCASION]
        different = [d for t in tables for d in apart(other, one, t)]
    assert different == [], "\n".join(different)


BY_OCCASION = {"iteration_facts", "timeline_rows", "badcase_statuses"}
"""Tables of what has an iteration's id or its time: in a flood a badcase closes by whichever fact is looked at last."""

OF_THE_LOG = re.compile(r"(^|_)(number|place|position)$")
OF_THE_RUN = {
    "worker",
    "actor",
    "made_by",
    "seconds",
    "sentence",
    "metrics",
    "stream_version",
    "row_key",
    "checked_at",
    "seen_at",
    "first_event",
}
"""Columns that say where in the log something was said, by which process, and how long it took; keys made of those."""


def apart(one: Home, other: Home, table: Table) -> list[str]:
    """The first rows that only one of them has, as sentences."""
    here, there = rows(one, table), rows(other, table)
    mine, theirs = ([r for r in some if r not in others] for some, others in ((here, there), (there, here)))
    if len(mine) == len(theirs):
        return [
            f"{table.name}: {a} is {b}"
            for m, t in zip(mine, theirs, strict=True)
            for a, b in zip(m, t, strict=True)
            if a != b
        ]
    return [f"{table.name}: only in the cluster: {r}" for r in mine] + [
        f"{table.name}: only in the file: {r}" for r in theirs
    ]


def rows(home: Home, table: Table) -> list[tuple[Any, ...]]:
    """What the table says, but for when and where in the log it was said."""
    told = [
        c
        for c in table.columns
        if not (isinstance(c.type, Moment) or OF_THE_LOG.search(c.name) or c.name in OF_THE_RUN)
    ]
    with home.ports.views.read() as read:
        return sorted((tuple(r) for r in read.all(select(*told))), key=repr)


def test_a_log_that_was_moved_gives_equal_tables_to_the_last_value(
    told: Told, postgres_url: str, s3_url: str, tmp_path: Path
) -> None:
    shutil.copytree(told.home, tmp_path / "home")
    (tmp_path / "there.toml").write_text(
        f'home = "{tmp_path / "there"}"\nstore = "{postgres_url}"\nfiles = "{s3_url}"\n'
    )
    words = ["migrate", "--home", str(tmp_path / "home"), "--to", str(tmp_path / "there.toml")]
    ran = subprocess.run(
        [sys.executable, "-m", "mlife", *words],
        cwd=ROOT / "tests", capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]

    here, there = settings(told.home, config=tmp_path / "no.toml"), settings(config=tmp_path / "there.toml")
    with open_home(here) as one, open_home(there) as other:
        other.runner.catch_up(one.ports.store.head())
        different = [t.name for p in projections.values() for t in p.tables if whole(other, t) != whole(one, t)]
    assert different == []


def whole(home: Home, table: Table) -> list[tuple[Any, ...]]:
    with home.ports.views.read() as read:
        return sorted((tuple(r) for r in read.all(select(*table.columns))), key=repr)
