"""Rules by which a function's reports are told apart: looked at first, applied when wanted, taken back."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from mlife.badcases import commands
from mlife.badcases.fingerprint import Groupings, Rule, badcase_id, explain, fingerprint, version_of
from mlife.badcases.places import rule_of
from mlife.badcases.ruling import effect_of
from mlife.badcases.views import lists
from mlife.core.errors import Refused
from mlife.core.projection import projections
from mlife.core.rebuild import verify
from tests.badcases.conftest import NOW, Field, report
from tests.badcases.test_grouping import correct, merged, split_off
from tests.conftest import drain

ABOUT = {"system": "digits", "function": "digit"}
PLACES = [{"name": "place"}, {"name": "driver", "personal": True}]
PLAIN_ID = badcase_id('["class","digits","digit","9","4"]')
TUNNEL = '["class","digits","digit","9","4",{"place":"tunnel"}]'


@pytest.fixture
def placed(field: Field) -> Field:
    """9 read as 4: twice in a tunnel, once at night, once nowhere; the fields are declared."""
    field.do(commands.describe_function, **ABOUT, fields=PLACES, template="Seen in the {place}")
    field.send(
        report("9", picture=1, fields={"place": "tunnel"}),
        report("9", picture=2, fields={"place": " tunnel"}),
        report("9", picture=3, fields={"place": "night"}),
        report("9", picture=4),
    )
    return field


def counts(field: Field) -> dict[str, int]:
    return {b.title: b.reports for b in field.read(lists.badcases, now=NOW).items}


def effect(field: Field, rule: Rule | None = None) -> Any:
    store = field.home.ports.store
    return field.read(
        lambda read: effect_of(
            store, read, field.home.sealer.open, "digits", "digit", rule or rule_of(store, "digits", "digit")
        )
    )


def applied(field: Field) -> str:
    moved = [m.model_dump() for m in effect(field).as_moved()]
    done = field.do(commands.apply_grouping, **ABOUT, revision=1, moved=moved)
    return str(done.events[0].application_id)


def test_a_rule_is_for_new_reports_and_moves_no_old_one(placed: Field) -> None:
    placed.do(commands.rule_grouping, **ABOUT, fields=["place"])
    placed.send(report("9", picture=5, fields={"place": "tunnel"}))

    assert counts(placed) == {"9 read as 4": 4, "9 read as 4, tunnel": 1}


def test_looking_says_what_would_split_and_changes_nothing(placed: Field) -> None:
    before = placed.home.ports.store.head()
    told = effect(placed, Rule(0, None, ("place",))).told()

    assert (told["reports"], told["same"], told["moved"]) == (4, 1, 3)
    (split,) = told["splits"]
    assert [(n["title"], n["reports"]) for n in split["into"]] == [
        ("9 read as 4, night", 1),
        ("9 read as 4, tunnel", 2),
    ]
    assert placed.home.ports.store.head() == before


def test_applying_counts_old_reports_by_the_rule_and_taking_it_back_is_the_start(placed: Field) -> None:
    start = counts(placed)
    placed.do(commands.rule_grouping, **ABOUT, fields=["place"])
    application_id = applied(placed)
    assert counts(placed) == {"9 read as 4": 1, "9 read as 4, tunnel": 2, "9 read as 4, night": 1}
    assert placed.read(lists.badcase, badcase_id(TUNNEL, 2)).truth == "9"

    placed.do(commands.unapply_grouping, **ABOUT, application_id=application_id)
    assert counts(placed) == start
    assert verify(placed.home.ports, projections["badcases"]) == []


def test_looking_again_after_applying_finds_nothing_left_and_another_rule_starts_from_there(placed: Field) -> None:
    placed.do(commands.rule_grouping, **ABOUT, fields=["place"])
    applied(placed)
    assert effect(placed).told()["moved"] == 0

    back = effect(placed, Rule()).told()
    assert back["moved"] == 3
    assert {s["badcase_id"] for s in back["splits"]} >= {badcase_id(TUNNEL, 2)}
    placed.do(commands.rule_grouping, **ABOUT, fields=[])
    moved = [m.model_dump() for m in effect(placed).as_moved()]
    placed.do(commands.apply_grouping, **ABOUT, revision=2, moved=moved)
    assert counts(placed)["9 read as 4"] == 4
    assert effect(placed).told()["moved"] == 0
    assert verify(placed.home.ports, projections["badcases"]) == []


def test_a_rule_of_nothing_looks_back_what_would_merge(placed: Field) -> None:
    placed.do(commands.rule_grouping, **ABOUT, fields=["place"])
    placed.send(*(report("9", picture=n, fields={"place": p}) for n, p in enumerate(("tunnel", "night"), 5)))
    (merge,) = effect(placed, Rule()).told()["merges"]

    assert merge["badcase_id"] == PLAIN_ID
    assert [of["reports"] for of in merge["of"]] == [1, 1]


def test_the_description_of_a_template_is_compared_normalised(placed: Field) -> None:
    placed.do(commands.rule_grouping, **ABOUT, description=True)
    placed.send(
        report("9", picture=6, fields={"place": "Tunnel"}), report("9", picture=7, fields={"place": "tunnel  "})
    )

    assert counts(placed)["9 read as 4, seen in the tunnel"] == 2


def test_what_people_split_stays_where_they_put_it(placed: Field) -> None:
    tunnel = sorted(r.position for r in placed.read(lists.reports_of, PLAIN_ID))[:2]
    new = split_off(placed, PLAIN_ID, tunnel[:1])
    placed.do(commands.rule_grouping, **ABOUT, fields=["place"])
    applied(placed)
    assert placed.read(lists.badcase, new).reports == 1

    placed.do(commands.rejoin, badcase_id=new)
    assert placed.read(lists.badcase, badcase_id(TUNNEL, 2)).reports == 2


def test_a_correction_is_fingerprinted_by_the_rule(placed: Field) -> None:
    position = min(r.position for r in placed.read(lists.reports_of, PLAIN_ID))
    placed.do(commands.rule_grouping, **ABOUT, fields=["place"])
    correct(placed, position, "7")

    assert counts(placed)["7 read as 4, tunnel"] == 1


@pytest.mark.parametrize(
    ("wish", "why"),
    [({"fields": ["colour"]}, "no field colour"), ({"fields": ["driver"]}, "may name a person")],
)
def test_only_declared_fields_that_name_nobody_are_compared(
    placed: Field, client: TestClient, wish: dict[str, Any], why: str
) -> None:
    with pytest.raises(Refused, match=why) as refused:
        placed.do(commands.rule_grouping, **ABOUT, **wish)
    assert refused.value.remedy
    looked = client.get("/api/v1/grouping/digits/digit", params={"look": "this", "field": wish["fields"]})
    assert looked.status_code == 409
    assert why in looked.json()["detail"]


def test_a_rule_that_was_changed_since_the_look_is_not_applied(placed: Field) -> None:
    placed.do(commands.rule_grouping, **ABOUT, fields=["place"])
    moved = [m.model_dump() for m in effect(placed).as_moved()]
    placed.do(commands.rule_grouping, **ABOUT, fields=[])
    with pytest.raises(Refused, match="at revision 2, not 1"):
        placed.do(commands.apply_grouping, **ABOUT, revision=1, moved=moved)


def test_a_fingerprint_with_parts_explains_them_and_one_without_is_as_it_always_was() -> None:
    said = {**ABOUT, "truth": {"type": "class", "label": "9"}, "prediction": {"type": "class", "label": "4"}}
    rule = Rule(3, None, ("place",))
    with_place = fingerprint({**said, "fields": {"place": "tunnel"}}, rule)

    assert with_place == TUNNEL
    assert explain(with_place, version_of(with_place)).sentence.endswith("and 9 read as 4, place tunnel")
    assert badcase_id(fingerprint(said, rule), version_of(fingerprint(said, rule))) == PLAIN_ID


def test_pages_show_the_rule_look_and_apply_it(placed: Field, client: TestClient) -> None:
    at = "/grouping/digits/digit"
    assert "digit" in client.get("/grouping").text
    looked = client.get(f"{at}?look=this&field=place")
    assert "3</b> of 4 reports would be counted elsewhere" in looked.text
    client.post(f"{at}/rule", data={"fields": "place"})
    drain(placed.home)
    assert "Apply to old reports" in client.get(f"{at}?look=now").text
    made = client.post(f"/api/v1{at}/apply", json={"revision": 1}).json()
    drain(placed.home)
    assert counts(placed)["9 read as 4, tunnel"] == 2
    assert client.get(f"/api/v1{at}").json()["applications"][0]["reports"] == 3

    client.post(f"{at}/unapply", data={"application_id": made["application_id"]})
    drain(placed.home)
    assert counts(placed) == {"9 read as 4": 4}


def test_merged_badcases_stay_merged_when_a_rule_is_applied(placed: Field) -> None:
    placed.send(report("7", picture=9))
    seven = badcase_id('["class","digits","digit","7","4"]')
    merged(placed, seven, PLAIN_ID)
    placed.do(commands.rule_grouping, **ABOUT, fields=["place"])
    applied(placed)

    assert counts(placed) == {"9 read as 4": 2, "9 read as 4, tunnel": 2, "9 read as 4, night": 1}


@pytest.mark.parametrize("rule", [Rule(), Rule(1, None, ("place", "dark")), Rule(2, "in the {place}", ("dark",))])
def test_groupings_that_are_remembered_are_those_that_are_computed(rule: Rule) -> None:
    groupings = Groupings()
    groupings.look_again(lambda _system, _function: rule)
    said = {**ABOUT, "truth": {"type": "class", "label": "9"}, "prediction": {"type": "class", "label": "4"}}
    for place in ("tunnel", None, 1, True, 1.0, ["a", "b"], "  tunnel"):
        for dark in (True, 1, False, 0, None):
            asked = {**said, "fields": {"place": place, "dark": dark}}
            for _ in range(2):
                assert groupings.of(asked).fingerprint == fingerprint(asked, rule)
