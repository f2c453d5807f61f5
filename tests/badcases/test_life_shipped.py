"""How far a fix has come: the share of the traffic that has it, taken back by a rollback; and the whole timeline."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from mlife.badcases import commands
from mlife.badcases.views.standing import shipped
from mlife.runtime import Home
from tests.badcases.conftest import Field, report, traffic
from tests.badcases.test_life import activated, judged, only, status, trained


@pytest.fixture
def home(either_home: Home) -> Home:
    """Every test on both databases."""
    return either_home


def fixed(field: Field) -> str:
    """9 read as 4 on version 1.0, fixed by mdl-2, which answers as version 2.0."""
    field.happen(trained("mdl-1"), activated("mdl-1", "1.0"))
    field.count(traffic(1_000))
    field.send(*(report(picture=n) for n in range(12)))
    badcase_id = only(field)
    assert field.read(shipped, badcase_id) is None
    field.happen(trained("mdl-2", "mdl-1"), judged("mdl-2", badcase_id, "fixed"))
    assert field.read(shipped, badcase_id) is None
    field.happen(activated("mdl-2", "2.0"))
    return badcase_id


def test_shipped_says_to_what_share_of_the_traffic(field: Field, client: TestClient) -> None:
    badcase_id = fixed(field)
    fix = field.read(shipped, badcase_id)
    assert (fix.models, fix.versions, fix.share) == (("mdl-2",), ("2.0",), None)
    assert "no traffic was counted since" in fix.sentence
    field.count(traffic(60, hour=1), traffic(40, version="2.0", hour=1))
    fix = field.read(shipped, badcase_id)
    assert (fix.requests, fix.with_fix, fix.share) == (100, 40, 0.4)
    assert "to 40% of traffic" in client.get(f"/badcases/{badcase_id}", headers={"accept": "text/html"}).text
    assert client.get(f"/api/v1/badcases/{badcase_id}").json()["shipped"]["share"] == 0.4


def test_a_descendant_that_was_not_judged_has_the_fix_and_one_that_broke_it_has_not(field: Field) -> None:
    badcase_id = fixed(field)
    field.happen(trained("mdl-3", "mdl-2"), activated("mdl-3", "3.0"))
    field.count(traffic(30, version="2.0", hour=1), traffic(70, version="3.0", hour=1))
    assert field.read(shipped, badcase_id).share == 1.0
    field.happen(judged("mdl-3", badcase_id, "failing"))

    assert field.read(shipped, badcase_id) is None


def test_a_rollback_un_ships(field: Field) -> None:
    badcase_id = fixed(field)
    assert status(field, badcase_id) == "shipped"
    field.happen(activated("mdl-1", "1.0", reason="rollback of dep-2.0"))

    assert field.read(shipped, badcase_id) is None
    assert status(field, badcase_id) == "verified"


def test_the_timeline_has_every_kind_of_event_in_order_with_a_sentence(field: Field, client: TestClient) -> None:
    badcase_id = fixed(field)
    field.do(commands.triage, badcase_id=badcase_id, note="a real one")
    field.do(commands.write_comment, badcase_id=badcase_id, system="digits", text="open tops")
    about = {"system": "digits", "function": "digit", "badcase_ids": [badcase_id]}
    field.do(commands.name_cause, title="thin strokes", **about)
    field.do(commands.open_iteration, title="turn", **about)
    field.do(commands.take_back, badcase_id=badcase_id)
    lines = client.get(f"/api/v1/badcases/{badcase_id}").json()["timeline"]

    assert [line["word"] for line in lines] == [
        "taken back", "iteration opened", "cause named", "comment written", "triaged", "deployment active",
        "judged fixed", "first reported",
    ]  # fmt: skip
    positions = [line["position"] for line in lines]
    assert positions == sorted(positions, reverse=True)
    assert all(line["text"] for line in lines)
