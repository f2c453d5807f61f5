"""Completion in the box: fields, then the values that there are with their counts, the same for every list."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from mlife.badcases import commands
from mlife.badcases.views.search import searchable_badcases, searchable_reports
from mlife.core.command import check_input
from mlife.core.query import compile_query, parse
from mlife.core.query.counting import values_of
from mlife.ui.completing import _askings
from tests.badcases.conftest import NOW, Field, report

HTML = {"accept": "text/html"}


@pytest.fixture
def filled(field: Field) -> Field:
    """Reports from two fleets and two places, with a declared field."""
    given = {"system": "digits", "function": "digit", "fields": [{"name": "lamp", "type": "text"}]}
    field.do(commands.describe_function, **check_input(commands.describe_function, given))
    field.send(*sent())
    return field


def sent() -> list[dict[str, Any]]:
    return [
        report("9" if n % 3 else "8", picture=n, client=f"fleet-{n % 2}", place="the tunnel" if n < 4 else "street",
               version=f"1.{n % 2}", fields={"lamp": "on" if n < 5 else "off"})
        for n in range(6)
    ]  # fmt: skip


def offered(client: TestClient, q: str, of: str = "badcases", **more: Any) -> dict[str, int | None]:
    got = client.get("/api/v1/query", params={"of": of, "q": q, **more})
    assert got.status_code == 200, got.text
    return {c["insert"]: c["count"] for c in got.json()["completions"]}


def test_fields_are_offered_and_then_their_values_most_first(filled: Field, client: TestClient) -> None:
    assert "place:" in offered(client, "pl")
    assert "field.lamp:" in offered(client, "field.")
    assert list(offered(client, "place:").items())[:2] == [('"the tunnel"', 2), ("street", 1)]
    assert offered(client, "open:yes place:st")["street"] == 1
    assert list(offered(client, "place:", "reports").items())[:2] == [('"the tunnel"', 4), ("street", 2)]
    assert offered(client, "client:fleet-0,FLEET") == {"fleet-0": 2, "fleet-1": 2}
    assert offered(client, "field.lamp:o") == {"on": 2, "off": 1}
    assert offered(client, "field.lamp:o", "reports") == {"on": 5, "off": 1}
    assert offered(client, "status:ne")["new"] == 2
    assert offered(client, "version:1.", "reports") == {"1.0": 3, "1.1": 3}
    assert offered(client, "truth:", "reports")["9"] == 4
    assert offered(client, "device:", "reports") == {"any": None, "none": None}, "no flood is read to count"


def test_what_is_offered_can_be_asked_wherever_the_caret_is(filled: Field, client: TestClient) -> None:
    q = "pla open:yes"
    (c,) = client.get("/api/v1/query", params={"q": q, "caret": 3}).json()["completions"][:1]
    q = q[: c["start"]] + c["insert"] + q[c["end"] :]
    c = client.get("/api/v1/query", params={"q": q, "caret": len("place:")}).json()["completions"][0]
    made = q[: c["start"]] + c["insert"] + q[c["end"] :]
    assert made == 'place:"the tunnel" open:yes'
    compile_query(parse(made), searchable_badcases, NOW)


def test_a_box_of_one_fields_values_gets_values_alone(filled: Field, client: TestClient) -> None:
    got = client.get("/api/v1/query", params={"of": "badcases", "field": "place", "q": "str"}).json()["completions"]
    assert [(c["start"], c["end"], c["insert"]) for c in got] == [(0, 3, "street")]


def test_values_are_counted_alike_on_both_databases(either: Field) -> None:
    either.send(*sent())
    for searchable in (searchable_badcases, searchable_reports):
        for one in searchable.fields:
            told = either.read(values_of, searchable, one, "")
            assert all(n > 0 and text for text, n in told), one.name
    place = searchable_reports.field("place")
    assert place is not None
    assert either.read(values_of, searchable_reports, place, "THE t") == [("the tunnel", 4)]
    assert either.read(values_of, searchable_reports, place, "%") == []


def test_every_list_has_its_box_and_every_box_asks_for_what_there_is(filled: Field, client: TestClient) -> None:
    lists = (
        "badcases",
        "reports",
        "alarms",
        "documents",
        "files",
        "groups",
        "requests",
        "tasks",
        "models",
        "deployments",
    )
    assert {*lists, "rows"} <= _askings.keys()
    (cause,) = filled.do(
        commands.name_cause, system="digits", function="digit", title="t", badcase_ids=[
            b["badcase_id"] for b in client.get("/api/v1/badcases").json()["badcases"]
        ],
    ).events[:1]  # fmt: skip
    others = ("badcases/statistics", "reports/statistics", "badcases/search", "reports/search", "rules/preview",
              f"causes/{cause.cause_id}")  # fmt: skip
    for at in (*lists, *others):
        page = client.get(f"/{at}", headers=HTML)
        boxes = {b.replace("&amp;", "&") for b in re.findall(r'data-complete="([^"]*)"', page.text)}
        assert boxes, at
        for box in boxes:
            told = client.get(f"{box}&q=&caret=0")
            assert told.status_code == 200, (at, box)
            assert told.json()["fields"], (at, box)
    assert client.get("/api/v1/query?of=nothing").status_code == 404
