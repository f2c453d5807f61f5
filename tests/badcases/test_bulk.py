"""Bulk jobs: one mechanism for few and many, nothing done twice, and a way back that takes back only what it did."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import uuid
from typing import Any

import pytest
from starlette.testclient import TestClient

from mlife.badcases import commands
from mlife.badcases.commands.bulk import STEP
from mlife.badcases.events import BadcaseTriaged, BulkStarted
from mlife.badcases.regrouping import to_merge
from mlife.badcases.stepping import job_in_log, next_step
from mlife.badcases.views import lists
from mlife.badcases.views.bulk import bulk_job, bulk_jobs, bulk_refusals_of
from mlife.badcases.views.saved import badcases_of_view
from mlife.core.errors import Invalid, NotFound, Refused
from tests.badcases.conftest import NOW, Field, report

MANY = 2 * STEP + 30
HTML = {"accept": "text/html"}


def ids_of(field: Field, q: str = "") -> list[str]:
    return list(field.read(lists.matching_ids, q, now=NOW))


def statuses(field: Field) -> set[str]:
    return {row.status for row in field.read(lists.badcases, "", now=NOW, limit=500).items}


@pytest.fixture
def three(field: Field) -> Field:
    """Three badcases."""
    field.send(*(report(str(n), "x", picture=n) for n in range(3)))
    return field


@pytest.fixture
def many(field: Field) -> Field:
    """More badcases than two steps deal with."""
    field.send(*(report(str(n), "x", picture=n) for n in range(MANY)))
    return field


def begin(field: Field, action: str = "triage", **more: Any) -> str:
    """Start a job over everything, and let nothing follow yet."""
    made = field.home.do.as_(actor="ann")(
        commands.start_bulk, action=action, query="", badcase_ids=ids_of(field), input=more
    )
    return str(made.events[0].bulk_id)  # type: ignore[attr-defined]


def step(field: Field, bulk_id: str) -> Any:
    """One step, as somebody beside the handler would take it."""
    with field.home.ports.views.read() as read:
        due = next_step(field.home.ports.store, read, bulk_id)
    return None if due is None else field.home.do.under(uuid.uuid4().hex, commands.take_step, **due)


def test_a_job_goes_on_by_itself_until_its_list_is_through(many: Field) -> None:
    bulk_id = begin(many)
    many.settle()
    job = many.read(bulk_job, bulk_id)

    assert (job.state, job.total, job.done, job.changed, job.refused) == ("finished", MANY, MANY, MANY, 0)
    assert job.started_by == "ann"
    assert statuses(many) == {"triaged"}


def test_nothing_is_done_twice_whoever_takes_the_steps(many: Field) -> None:
    bulk_id = begin(many)
    first = step(many, bulk_id)
    again = many.home.do.under("again", commands.take_step, bulk_id=bulk_id, at=0, items=[{"badcase_id": "bc-x"}])
    many.settle()  # the handler meets the same facts, and the step that was taken

    assert first.events
    assert again.events == ()
    for badcase_id in ids_of(many):
        events = [r.event for r in many.home.ports.store.read_stream(f"badcase/{badcase_id}")]
        assert [type(e) for e in events] == [BadcaseTriaged]
        assert events[0].by == "ann"  # type: ignore[attr-defined]


def test_what_comes_after_the_start_is_not_touched(three: Field) -> None:
    bulk_id = begin(three)
    three.send(report("late", "x", picture="late"))

    assert three.read(bulk_job, bulk_id).changed == 3
    assert statuses(three) == {"triaged", "new"}


def test_a_refused_badcase_is_named_with_the_reason_and_the_others_are_done(three: Field) -> None:
    one, *others = ids_of(three)
    three.do(commands.reject, badcase_id=one, reason="not_a_failure")
    started = three.do(commands.start_bulk, action="triage", badcase_ids=[one, *others, "bc-none"])
    refusals = {r["badcase_id"]: r["problem"] for r in three.read(bulk_refusals_of, started.events[0].bulk_id)}

    assert refusals.keys() == {one, "bc-none"}
    assert "reopen it first" in refusals[one]
    assert three.read(bulk_job, started.events[0].bulk_id).changed == 2


def test_a_badcase_that_was_merged_meanwhile_is_left_alone_and_its_home_is_named(three: Field) -> None:
    ids = ids_of(three)
    bulk_id = begin(three, "assign", owner="ana")
    with three.home.ports.views.read() as read:
        given = to_merge(read, ids[:1], ids[1])
    merged = three.home.do(commands.merge, **given)
    three.home.see(merged.position)
    three.settle()

    job = three.read(bulk_job, bulk_id)
    assert (job.changed, job.refused) == (2, 1)
    assert [r["problem"] for r in three.read(bulk_refusals_of, bulk_id)] == [f"{ids[0]} is merged into {ids[1]}"]
    three.do(commands.unmerge, badcase_id=ids[0])
    assert three.read(lists.badcase, ids[0]).owner is None


def test_a_change_of_a_badcase_that_was_merged_since_is_taken_back_with_the_others(three: Field) -> None:
    ids, bulk_id = ids_of(three), begin(three, "assign", owner="ana")
    three.settle()
    three.do(commands.merge, **three.read(to_merge, ids[:1], ids[1]))
    three.do(commands.undo_bulk, bulk_id=bulk_id)
    three.do(commands.unmerge, badcase_id=ids[0])

    assert {three.read(lists.badcase, i).owner for i in ids} == {None}


def test_input_that_fits_no_badcase_is_refused_before_anything_is_done(three: Field) -> None:
    ids = ids_of(three)
    with pytest.raises(Invalid):
        three.do(commands.start_bulk, action="mute", badcase_ids=ids, input={"reason": "no until"})
    with pytest.raises(NotFound):
        three.do(commands.start_bulk, action="paint", badcase_ids=ids)
    with pytest.raises(Refused):
        three.do(commands.start_bulk, action="triage", badcase_ids=[])
    assert three.read(bulk_jobs) == []


def test_undo_takes_back_what_the_job_changed_and_only_that(three: Field) -> None:
    one, two, three_ = ids_of(three)
    three.do(commands.assign, badcase_id=one, owner="cleo")
    started = three.do(commands.start_bulk, action="assign", badcase_ids=[one, two, three_], input={"owner": "bob"})
    bulk_id = started.events[0].bulk_id
    three.do(commands.assign, badcase_id=two, owner="dora")
    three.do(commands.triage, badcase_id=three_)
    three.do(commands.undo_bulk, bulk_id=bulk_id)
    job = three.read(bulk_job, bulk_id)
    undoing = three.read(bulk_job, job.undone_by)

    assert [three.read(lists.badcase, b).owner for b in (one, two, three_)] == ["cleo", "dora", None]
    assert three.read(lists.badcase, three_).status == "triaged"
    assert (undoing.changed, undoing.refused, undoing.undoes) == (2, 1, bulk_id)
    (kept,) = three.read(bulk_refusals_of, undoing.bulk_id)
    assert kept["badcase_id"] == two
    assert "changed since" in kept["problem"]
    assert three.do(commands.undo_bulk, bulk_id=bulk_id).events == ()


ACTIONS = {
    "triage": {},
    "assign": {"owner": "bob"},
    "prioritise": {"priority": 99, "reason": "a customer"},
    "mute": {"until": "2026-12-01T00:00:00Z", "reason": "next release"},
    "reject": {"reason": "wont_fix"},
}


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_can_be_taken_back(three: Field, action: str) -> None:
    before = three.read(lists.badcases_by_id, ids_of(three))
    started = three.do(commands.start_bulk, action=action, badcase_ids=ids_of(three), input=ACTIONS[action])
    bulk_id = started.events[0].bulk_id
    changed = three.read(lists.badcases_by_id, ids_of(three))
    three.do(commands.undo_bulk, bulk_id=bulk_id)

    assert changed != before
    assert three.read(lists.badcases_by_id, ids_of(three)) == before


def test_a_stopped_job_leaves_the_rest_alone_and_what_it_did_can_be_taken_back(many: Field) -> None:
    bulk_id = begin(many)
    step(many, bulk_id)
    with pytest.raises(Refused, match="still running"):
        many.home.do(commands.undo_bulk, bulk_id=bulk_id)
    many.home.do(commands.stop_bulk, bulk_id=bulk_id)
    many.settle()
    job = many.read(bulk_job, bulk_id)
    assert (job.state, job.done, job.changed) == ("stopped", STEP, STEP)
    many.do(commands.undo_bulk, bulk_id=bulk_id)

    assert statuses(many) == {"new"}
    assert many.do(commands.stop_bulk, bulk_id=bulk_id).events == ()


def test_a_job_and_its_undoing_run_on_both_databases(either: Field) -> None:
    either.send(*(report(str(n), "x", picture=n) for n in range(STEP + 5)))
    either.do(commands.save_view, name="new", query="status:new")
    bulk_id = begin(either)
    either.settle()
    assert statuses(either) == {"triaged"}
    assert either.read(badcases_of_view, "new", now=NOW) == []
    either.do(commands.undo_bulk, bulk_id=bulk_id)

    assert statuses(either) == {"new"}
    assert [j.changed for j in either.read(bulk_jobs)] == [STEP + 5, STEP + 5]


def test_a_rebuild_gives_the_same_jobs(three: Field) -> None:
    from mlife.core import rebuild
    from mlife.core.projection import projections

    bulk_id = begin(three)
    three.settle()
    three.do(commands.undo_bulk, bulk_id=bulk_id)

    assert rebuild.verify(three.home.ports, projections["badcases"]) == []


def test_few_are_answered_at_once_and_many_with_a_place_to_look(many: Field, client: TestClient) -> None:
    some = ids_of(many)[:2]
    few = client.post("/api/v1/badcases/bulk/triage", json={"selected": some})
    told = client.post("/api/v1/badcases/bulk/triage", json={"selected": "*", "q": "status:new,triaged"})
    where = told.json()

    assert (few.status_code, few.json()["state"], few.json()["touched"]) == (200, "finished", 2)
    assert (told.status_code, where["state"], where["done"], where["total"]) == (202, "running", 0, MANY)
    many.settle()
    job = client.get(told.headers["location"]).json()
    assert (job["state"], job["changed"], job["unchanged"], job["query"]) == (
        "finished", MANY - 2, 2, "status:new,triaged",
    )  # fmt: skip
    assert client.get("/api/v1/bulk").json()["jobs"][0]["bulk_id"] == where["bulk_id"]
    assert client.get("/api/v1/bulk/blk-none").status_code == 404
    assert client.post("/api/v1/badcases/bulk/triage", json={"selected": "*", "q": "colour:red"}).status_code == 422


def test_a_form_leads_to_the_job_which_moves_stops_and_undoes(many: Field, client: TestClient) -> None:
    sent = client.post("/badcases/bulk/triage", data={"selected": "*", "q": ""}, follow_redirects=False)
    where = sent.headers["location"].partition("?")[0]
    many.home.runner.catch_up(many.home.ports.store.head())
    drawn = client.get(where, headers=HTML).text
    assert 'hx-get="' in drawn
    assert f"{where}/stop" in drawn
    assert "dealt with" in client.get(f"{where}/live", headers=HTML).text
    many.settle()
    assert client.get(f"{where}/live").headers["hx-refresh"] == "true"
    assert f"{where}/undo" in client.get(where, headers=HTML).text
    undone = client.post(f"{where}/undo", follow_redirects=False)
    many.settle()

    assert undone.headers["location"].startswith(f"{where}u")
    assert statuses(many) == {"new"}
    assert "taken back by" in client.get(where, headers=HTML).text
    assert client.get("/bulk", headers=HTML).status_code == 200


def test_the_form_of_the_list_may_hold_the_fields_of_every_action(three: Field, client: TestClient) -> None:
    drawn = client.get("/badcases", headers=HTML).text
    names = set(re.findall(r'<(?:input|select|textarea)[^>]* name="([^"]+)"', drawn)) - {"selected", "q"}
    filled = dict.fromkeys(names, "x") | {"until": "2026-12-01", "owner": "bob", "reason": "next release"}
    for action in ("triage", "assign", "mute"):
        sent = client.post(f"/badcases/bulk/{action}", data={**filled, "selected": "*"}, follow_redirects=False)
        assert sent.status_code == 303, sent.text
    three.settle()

    assert {b.owner for b in three.read(lists.badcases, "", now=NOW).items} == {"bob"}
    assert statuses(three) == {"muted"}


def test_a_process_that_is_killed_leaves_a_job_that_goes_on(many: Field) -> None:
    folder = many.home.settings.home
    command = [sys.executable, "-m", "mlife", "bulk", "start", "triage", "--query", "", "--home", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        started = [r for r in many.home.ports.store.read(MANY, 10_000) if isinstance(r.event, BulkStarted)]
        if started:
            break
        time.sleep(0.01)
    process.kill()
    process.wait()
    many.settle()
    (job,) = many.read(bulk_jobs)

    assert (job.state, job.done, job.changed) == ("finished", MANY, MANY)
    for badcase_id in ids_of(many):
        assert len(list(many.home.ports.store.read_stream(f"badcase/{badcase_id}"))) == 1


def test_a_few_from_a_form_are_said_with_a_way_back(three: Field, client: TestClient) -> None:
    sent = client.post(
        "/badcases/bulk/triage", data={"selected": "*"}, headers={"referer": "http://testserver/badcases?q=status:new"}
    )
    assert "3 of 3 badcases triaged" in sent.text
    assert 'action="/bulk/blk-' in sent.text
    three.settle()
    assert job_in_log(three.home.ports.store, three.read(bulk_jobs)[0].bulk_id).running is False
    again = client.post(
        "/badcases/bulk/triage", data={"selected": "*"}, headers={"referer": "http://testserver/badcases"}
    )
    assert "0 of 3 badcases triaged, 3 were so already" in again.text
