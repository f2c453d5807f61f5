"""Alarms and rules at every door (pages, API, terminal), and the same on both databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from mlife.badcases import commands
from mlife.badcases.alarms import NEW_BADCASES, Rule
from mlife.badcases.alarms_rules import rule_of
from mlife.badcases.fingerprint import badcase_id
from mlife.badcases.views import alarms, turns
from mlife.badcases.views.alarms_preview import preview
from mlife.cli.alarm import command as alarm_command
from mlife.cli.rule import command as rule_command
from mlife.core import rebuild
from mlife.core.errors import Invalid, NotFound
from mlife.core.projection import projections
from mlife.runtime import open_home
from mlife.runtime import settings as home_settings
from tests.badcases.conftest import NOW, Field, report
from tests.badcases.test_alarms_rules import RATE, calm, on, raised
from tests.badcases.test_life import activated, judged, trained

HTML = {"accept": "text/html"}
NINE = badcase_id('["class","digits","digit","9","4"]')


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.cluster)])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Field]:
    """A home of either size."""
    store = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    with open_home(home_settings(tmp_path / "home", config=tmp_path / "no.toml", store=store)) as home:
        yield Field(home)


def pin(field: Field) -> None:
    row = {"uid": "x", "sha256": "0" * 64, "annotation": {"type": "class", "label": "9"}}
    field.do(commands.pin, badcase_id=NINE, system="digits", function="digit", rows=[row])


def test_every_kind_of_rule_is_the_same_on_both_databases_and_a_replay_gives_the_same_rows(anywhere: Field) -> None:
    field = anywhere
    for rule_id in (RATE, "rul-test-data"):
        field.do(commands.resume_rule, rule_id=rule_id)
    calm(field)
    field.happen(trained("mdl-1"), activated("mdl-1", "1.0"), judged("mdl-1", NINE, "fixed"))
    pin(field)
    quota = rule_of({"kind": "open_cost", "title": "quota", "measure": "priority", "line": 1, "lower": 0.5}, now=NOW)
    field.do(commands.create_rule, rule=quota)
    field.send(*on(0, 60), report("7", "1", picture="seven"))

    found = {a.kind: a.sentence for a in field.read(turns.alarms)}
    assert found["rate_change"].startswith("digit fails more often: 61 reports in 7 days, 9.4 a day, usually 2.0 a day")
    assert found["pinned_again"] == "1 badcase of digit in the test data fails again in the field"
    assert found["new_badcase"].startswith("1 new badcase of digit in version 1.0: 58 reports")
    assert found["open_cost"].startswith("digit has ")
    now = field.clock.now()
    listed = field.read(alarms.list_alarms, "firing:yes kind:rate_change fails raised>1d", now=now)
    assert [a.kind for a in listed.items] == ["rate_change"]
    assert field.read(preview, Rule(title="x", kind="rate_change"), now=now)[0].until is None
    assert field.read(preview, Rule(title="x", kind="new_badcase", least=5), now=now)
    assert field.read(preview, quota, now=now)

    field.clock.move(days=10)
    field.settle()
    assert all(a.ended for a in raised(field))
    assert rebuild.verify(field.home.ports, projections["badcases"]) == []


def test_test_data_that_fails_again_is_over_when_it_does_not_any_more(field: Field) -> None:
    field.do(commands.resume_rule, rule_id="rul-test-data")
    field.send(report(picture=1))
    field.happen(trained("mdl-1"), activated("mdl-1", "1.0"), judged("mdl-1", NINE, "fixed"))
    pin(field)
    field.send(report(picture=2))
    assert raised(field, "pinned_again")[0].firing
    field.happen(judged("mdl-1", NINE, "fixed"))
    field.clock.move(hours=2)
    field.settle()

    assert raised(field, "pinned_again")[0].ended == "over: none of them fails in the field any more"


# --- pages and API ---


def test_the_pages_of_alarms_and_rules_draw_and_name_each_other(field: Field, client: TestClient) -> None:
    field.send(*on(0, 20))
    alarm_id = field.read(turns.alarms)[0].alarm_id

    listed = client.get("/alarms", headers=HTML).text
    assert f"/alarms/{alarm_id}" in listed
    one = client.get(f"/alarms/{alarm_id}", headers=HTML).text
    assert f"/rules/{NEW_BADCASES}" in one
    assert "Nobody outside" in one
    rules = client.get("/rules", headers=HTML).text
    assert rules.count("Resume") == 3
    rule = client.get(f"/rules/{NEW_BADCASES}", headers=HTML).text
    assert f"/alarms/{alarm_id}" in rule
    assert "1 new badcase of digit in version 1.0: 20 reports" in rule
    for kind in ("new_badcase", "rate_change", "pinned_again", "open_cost"):
        assert client.get(f"/rules/preview?kind={kind}", headers=HTML).status_code == 200


def test_a_form_creates_changes_mutes_and_takes_back(field: Field, client: TestClient) -> None:
    form = {"title": "sevens", "kind": "rate_change", "q": "truth:7", "line": "3", "lower": "1.5", "deliver": "nobody"}
    numbers = {"least": "5", "significance": "0.05", "window_days": "3", "past_days": "9"}
    made = client.post("/rules", data={**form, **numbers}, headers=HTML, follow_redirects=False)
    assert made.status_code == 303
    rule_id = made.headers["location"].split("/")[2].partition("?")[0]
    field.settle()
    rule = field.read(alarms.rule, rule_id).rule
    assert (rule.q, rule.line, rule.least, rule.deliver) == ("truth:7", 3.0, 5, ())

    changed = {**form, **numbers, "rule_id": rule_id, "line": "4"}
    del changed["q"]  # an empty field of a form is not sent on
    client.post(f"/rules/{rule_id}/change", data=changed, headers=HTML, follow_redirects=False)
    field.settle()
    view = field.read(alarms.rule, rule_id)
    assert (view.version, view.rule.line, view.rule.q) == (2, 4.0, "")
    for action, more in (("mute", {"until": "2026-12-24", "reason": "x"}), ("undo", {}), ("delete", {}), ("undo", {})):
        assert client.post(f"/rules/{rule_id}/{action}", data=more, follow_redirects=False).status_code == 303
        field.settle()
    view = field.read(alarms.rule, rule_id)
    assert (view.state, view.mutes) == ("active", ())


def test_a_preview_with_a_mistake_says_so_beside_the_field(field: Field, client: TestClient) -> None:
    page = client.get("/rules/preview?kind=rate_change&line=1.5&lower=2&title=x", headers=HTML)
    assert page.status_code == 200
    assert "must be below line" in page.text
    page = client.get("/rules/preview?kind=open_cost&q=nonsense:1&title=x", headers=HTML)
    assert "no field nonsense" in page.text
    assert client.get("/api/v1/rules/preview?kind=open_cost&q=nonsense:1").status_code == 422


def test_programs_do_the_same_by_the_api(field: Field, client: TestClient) -> None:
    refused = client.post("/api/v1/rules", json={"kind": "open_cost", "title": "x", "line": 1, "lower": 2})
    assert refused.status_code == 422
    assert "must be below line" in refused.text
    made = client.post("/api/v1/rules", json={"kind": "open_cost", "title": "x", "line": 2, "lower": 1}).json()
    field.send(report("1", "2", picture=1), report("3", "4", picture=2))
    listed = client.get("/api/v1/alarms", params={"q": f"rule:{made['rule_id']}"}).json()
    (alarm,) = listed["alarms"]
    assert (listed["total"], alarm["rule_version"], alarm["kind"]) == (1, 1, "open_cost")

    one = client.get(f"/api/v1/alarms/{alarm['alarm_id']}").json()
    assert (one["alarm"]["bundle"], one["deliveries"]) == ("digits/digit", [])
    muted = client.post(f"/api/v1/alarms/{alarm['alarm_id']}/mute", json={"until": "2026-12-24", "reason": "x"})
    assert muted.json()["bundle"] == "digits/digit"
    change = client.post(f"/api/v1/rules/{made['rule_id']}/change", json={"line": 9}, headers={"If-Match": '"1"'})
    assert change.status_code == 412  # the mute came in between
    assert client.post(f"/api/v1/rules/{made['rule_id']}/change", json={"line": 9}).status_code == 200
    field.settle()
    rules = {r["rule_id"]: r for r in client.get("/api/v1/rules").json()["rules"]}
    assert (rules[made["rule_id"]]["line"], rules[made["rule_id"]]["lower"]) == (9.0, 1.0)
    assert rules[made["rule_id"]]["mutes"][0]["reason"] == "x"
    assert client.post("/api/v1/rules/rul-0/pause", json={}).status_code == 404
    assert client.post(f"/api/v1/rules/{made['rule_id']}/shout", json={}).status_code == 404
    would = client.get("/api/v1/rules/preview", params={"rule_id": RATE, "line": 5}).json()
    assert (would["rule"]["line"], would["would"]) == (5.0, [])


def test_badcases_that_were_merged_since_are_shown_where_they_are_counted_now(field: Field, client: TestClient) -> None:
    field.send(*on(0, 10), *on(0, 4, truth="5"))
    (alarm,) = field.read(turns.alarms)
    assert alarm.badcases == 2
    merged, into = alarm.badcase_ids[1], alarm.badcase_ids[0]
    assert client.post(f"/api/v1/badcases/{merged}/merge", json={"into": into, "reason": "one"}).status_code == 200
    field.settle()

    one = client.get(f"/api/v1/alarms/{alarm.alarm_id}").json()
    assert [b["badcase_id"] for b in one["badcases"]] == [into]
    assert one["alarm"]["badcase_ids"] == [into, merged]  # what was said stays said


# --- the terminal ---


def test_the_terminal_does_the_same(field: Field) -> None:
    today = datetime.now(UTC)  # the terminal has the real clock
    field.send(*(report(picture=n, observed_at=today.isoformat()) for n in range(20)))
    alarm_id = field.read(turns.alarms)[0].alarm_id
    home = str(field.home.settings.home)

    def run(command: Any, *args: str, fails: type[Exception] | None = None) -> str:
        result = CliRunner().invoke(command, [*args, "--home", home])
        if fails is None:
            assert result.exit_code == 0, (result.output, result.exception)
        else:
            assert isinstance(result.exception, fails), result.output
        return result.output

    assert alarm_id in run(alarm_command, "list", "--waiting", "--json")
    assert json.loads(run(alarm_command, "show", alarm_id, "--json"))["rule_id"] == NEW_BADCASES
    assert "nobody saw it yet" in run(alarm_command, "show", alarm_id)
    run(alarm_command, "acknowledge", alarm_id)
    until = f"{today + timedelta(days=1_000):%Y-%m-%d}"
    muted = CliRunner().invoke(alarm_command, ["mute", alarm_id, "--until", until, "--reason", "x", "--home", home])
    assert "no time to mute until" in str(muted.exception)
    assert run(alarm_command, "list", "waiting:yes", "--json") == ""
    rule_id = json.loads(run(rule_command, "add", "open_cost", "--title", "q", "--line", "9", "--lower", "8", "--json"))
    run(rule_command, "change", rule_id["rule_id"], "--line", "10")
    listed = [json.loads(line) for line in run(rule_command, "list", "--json").splitlines()]
    assert [r["line"] for r in listed if r["rule_id"] == rule_id["rule_id"]] == [10.0]
    for verb in ("pause", "resume", "delete"):
        assert rule_id["rule_id"] in run(rule_command, verb, rule_id["rule_id"])
    run(rule_command, "undo", rule_id["rule_id"])
    soon = f"{today + timedelta(days=5):%Y-%m-%d}"
    run(rule_command, "mute", rule_id["rule_id"], "--until", soon, "--reason", "winter")
    assert f"until {soon}" in run(rule_command, "list", "--json")
    assert "no longer muted" in run(rule_command, "unmute", rule_id["rule_id"])
    assert f"until {soon}" not in run(rule_command, "list", "--json")
    both = run(rule_command, "add", "open_cost", "--title", "q", "--line", "1", "--lower", "2", fails=Invalid)
    assert "Traceback" not in both
    run(rule_command, "pause", "rul-0", fails=NotFound)
    assert "1 new badcase" in run(rule_command, "preview", NEW_BADCASES)
    assert "none" in run(rule_command, "preview", "rate_change", "truth:9", "--line", "3")
