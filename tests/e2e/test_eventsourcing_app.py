"""The example application lives in the same log as MLife's events: one order, MLife's tools, one projection of both."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import select

pytest.importorskip("eventsourcing")

from mlife.core.command import Given
from mlife.core.events import Event
from mlife.core.ports import iterate
from mlife.core.projection import projections
from mlife.core.rebuild import verify
from mlife.core.tables import metadata
from mlife.data.events import CollectionRequested
from mlife.runtime import Home
from tests.conftest import drain
from tests.toys import only_toys, wire_toys

EXAMPLE = Path(__file__).parents[2] / "examples" / "eventsourcing_app.py"


@pytest.fixture(scope="module")
def example() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("eventsourcing_app", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # the library finds classes by their module's name
    spec.loader.exec_module(module)
    projections.pop("rota_board")
    yield module
    metadata.remove(module.rota_rows)
    del sys.modules[spec.name]


@pytest.fixture
def home(tmp_path: Path, example: ModuleType) -> Iterator[Home]:
    with only_toys():
        projections["rota_board"] = example.rota_board
        opened = wire_toys(tmp_path / "home")
        yield opened
        opened.close()


def request(given: Given, *, request_id: str, rows: int) -> list[Event]:
    return [CollectionRequested(request_id=request_id, system="dms", function="emotion", what="", wanted={"sad": rows})]


def test_the_rota_and_mlife_share_one_order_and_one_projection_folds_both(home: Home, example: ModuleType) -> None:
    with example.open_rota(home.settings.home) as rota:
        rota.sign_up("req-1", "ada")  # before MLife knows of it, as it happens
        home.do(request, request_id="req-1", rows=30)
        rota.sign_up("req-1", "bob")
        home.do(request, request_id="req-2", rows=5)
        assert rota.sign_up("req-1", "ada") == ["ada", "bob"]
        drain(home)
        assert [n.id for n in rota.recorder.select_notifications(None, 10)] == [1, 2, 4]

    with home.ports.views.read() as read:
        table = example.rota_rows
        columns = (table.c.request_id, table.c.wanted, table.c.labellers)
        rows = read.all(select(*columns).order_by(table.c.request_id))
    assert [tuple(r) for r in rows] == [("req-1", 30, 2), ("req-2", 5, 0)]
    assert verify(home.ports, example.rota_board) == []
    assert [r.position for r in iterate(home.ports.store)] == [1, 2, 3, 4, 5]


def test_its_events_are_shown_as_cloud_events_of_its_own_streams(home: Home, example: ModuleType) -> None:
    with example.open_rota(home.settings.home) as rota:
        rota.sign_up("req-1", "ada")
    opened, signed = (r.as_cloud_event() for r in iterate(home.ports.store))

    assert opened["subject"] == signed["subject"] == f"es/{example.Rota.create_id('req-1')}"
    assert (opened["type"], opened["source"]) == ("mlife.application.recorded.v1", "/mlife/LabellingRota")
    assert (opened["streamversion"], signed["streamversion"]) == (1, 2)
    assert json.loads(signed["data"]["state"])["labeller"] == "ada"


def test_the_application_s_projection_can_follow_a_subscription(home: Home, example: ModuleType) -> None:
    with example.open_rota(home.settings.home) as rota:
        rota.sign_up("req-1", "ada")
        home.do(request, request_id="req-1", rows=30)
        rota.sign_up("req-1", "bob")
        with rota.recorder.subscribe() as subscription:
            topics = [next(subscription).topic.rpartition(".")[2] for _ in range(3)]
    assert topics == ["Opened", "SignedUp", "SignedUp"]


def test_it_runs_as_a_program_of_its_own_beside_an_open_home(home: Home) -> None:
    for labeller, shown in (("ada", "req-1: ada\n"), ("bob", "req-1: ada, bob\n")):
        ran = subprocess.run(
            [sys.executable, EXAMPLE, home.settings.home, labeller, "req-1"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (ran.stdout, ran.stderr) == (shown, "")
    drain(home)
    assert home.ports.store.head() == 3
