"""Pages and HTTP: every room draws, every write answers with ids and position, everything can be done from a form."""

from __future__ import annotations

import io
import re
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from mlife.badcases import commands
from mlife.badcases.fingerprint import badcase_id
from mlife.badcases.pages.box import steps_of
from mlife.badcases.views import details, lists, turns
from mlife.badcases.views.rows import Fact, IterationView
from mlife.data.events import FileStored
from tests.badcases.conftest import NOW, Field, report, traffic
from tests.badcases.test_life import activated, judged, trained

NINE = badcase_id('["class","digits","digit","9","4"]')
HTML = {"accept": "text/html"}


@pytest.fixture
def filled(field: Field) -> Field:
    """Reports of two badcases on a deployed model; 9 read as 4 has a picture in the store."""
    from PIL import Image

    out = io.BytesIO()
    Image.new("L", (28, 28), 90).save(out, "PNG")
    stored = field.home.ports.blobs.put(out.getvalue())
    field.happen(
        trained("mdl-1"),
        activated("mdl-1", "1.0"),
        FileStored(sha256=stored.sha256, md5=stored.md5, size=stored.size, media_type="image/png"),
    )
    field.count(traffic(1_000))
    sent = [report(picture=n, client=f"fleet-{n % 3}", description="<script>alert(1)</script>") for n in range(15)]
    sent.append({**report(report_id="last"), "data": [{"sha256": stored.sha256}]})
    field.send(*sent, report("7", "1", picture="x"))
    return field


def page(client: TestClient, path: str, code: int = 200) -> str:
    got = client.get(path, headers=HTML)
    assert got.status_code == code, got.text[-600:]
    return got.text


EMPTY = {
    "/badcases": "mlife badcase report failures.ndjson",
    "/reports": "No report yet",
    "/badcases/statistics": "Nothing to count",
    "/causes": "No cause is named",
    "/alarms": "No alarm",
    "/iterations": "mlife iteration open",
    "/badcases/report": "What the model said",
}


@pytest.mark.parametrize("path", EMPTY)
def test_an_empty_room_says_how_to_fill_it(field: Field, client: TestClient, path: str) -> None:
    field.settle()

    assert EMPTY[path] in page(client, path)


def test_every_room_draws_what_is_there_and_nothing_that_was_sent_becomes_markup(
    filled: Field, client: TestClient
) -> None:
    filled.do(commands.name_cause, system="digits", function="digit", title="<i>open</i>", badcase_ids=[NINE])
    done = filled.do(commands.open_iteration, system="digits", function="digit", title="turn", badcase_ids=[NINE])
    iteration_id = done.events[0].iteration_id
    filled.happen(trained("mdl-2", "mdl-1", iteration_id=iteration_id), judged("mdl-2", NINE, "fixed"))
    (cause,) = filled.read(turns.causes)
    place = filled.read(lists.reports, "truth:9", now=NOW).items[0].position
    for path in (
        "/", "/badcases", "/badcases?q=function:digit", "/badcases?selected=*", "/badcases?sort=-reports", "/reports",
        "/badcases/statistics", f"/badcases/{NINE}", f"/reports/{place}", "/causes", f"/causes/{cause.cause_id}",
        "/alarms", "/iterations", f"/iterations/{iteration_id}",
    ):  # fmt: skip
        drawn = page(client, path)
        assert "<script>alert" not in drawn
        assert "<i>open" not in drawn
    assert "/thumbnail?size=96" in page(client, "/badcases")
    assert "This iteration" in page(client, "/badcases")


def test_a_mistyped_query_is_shown_to_people_and_refused_to_programs(filled: Field, client: TestClient) -> None:
    assert "did you mean status?" in page(client, "/badcases?q=statos:new")
    refused = client.get("/api/v1/badcases?q=statos:new")
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"


def test_from_badcases_to_their_reports_the_query_comes_along_or_it_is_said_what_does_not(
    filled: Field, client: TestClient
) -> None:
    few = page(client, "/badcases?q=status:new function:digit".replace(" ", "%20"))
    none = page(client, "/badcases?q=status:closed%20function:digit%20client:fleet-1")
    left = page(client, "/reports?q=function:digit&left=status:closed")

    assert re.search(r'href="/reports\?q=badcase%3Abc-\w+%2Cbc-\w+"', few)
    assert 'href="/reports?q=function%3Adigit%20client%3Afleet-1&amp;left=status%3Aclosed"' in none
    assert "<code>status:closed</code>, so that was left out" in left
    assert 'href="/badcases?q=function%3Adigit"' in left


def test_a_split_is_called_by_its_title_and_what_is_done_is_not_triaged_again(
    filled: Field, client: TestClient
) -> None:
    number = filled.read(lists.reports_of, NINE)[-1].position
    client.post(f"/api/v1/badcases/{NINE}/split", json={"reports": [number], "title": "thin stroke"})
    filled.settle()
    told = page(client, "/badcases")
    new = page(client, f"/badcases/{NINE}")
    filled.do(commands.triage, badcase_id=NINE)

    assert re.search(r"read as <b [^>]*>4</b></span>: thin stroke</a>", told)
    assert f'action="/badcases/{NINE}/triage"' in new
    assert f'action="/badcases/{NINE}/triage"' not in page(client, f"/badcases/{NINE}")


def test_the_gate_of_an_iteration_is_passed_when_one_of_two_models_passed() -> None:
    def judged_as(position: int, model: str, word: str) -> Fact:
        return Fact(position, word, model, f"/models/{model}", "mira", NOW)

    aimed = {"badcases": 2, "reports": 9, "by_status": {}, "query": "", "frozen_at": None}
    unknown = dict.fromkeys(("alarm_id", "cause_id", "opened_by", "outcome", "deployment_id", "note", "closed_at"))
    turn = IterationView("itr-1", "digits", "digit", "thin", opened_at=NOW, **unknown, **aimed)
    facts = [judged_as(1, "mdl-1", "gate passed"), judged_as(2, "mdl-2", "gate refused")]
    later = [*facts, judged_as(3, "mdl-1", "gate refused")]

    assert {s.word: s.state for s in steps_of(turn, facts)}["gate"] == "done"
    assert {s.word: s.state for s in steps_of(turn, later)}["gate"] == "wrong"


def test_a_list_answers_programs_with_cursor_facets_and_position(filled: Field, client: TestClient) -> None:
    told = client.get("/api/v1/badcases?limit=1&facets=true").json()

    assert (told["total"], told["reports"], len(told["badcases"])) == (2, 17, 1)
    assert told["facets"]["status"] == {"new": 2}
    after = client.get(f"/api/v1/badcases?limit=1&after={told['after']}").json()
    assert [told["badcases"][0]["badcase_id"], after["badcases"][0]["badcase_id"]] == [
        b.badcase_id for b in filled.read(lists.badcases, "", now=NOW).items
    ]
    assert after["after"] is None


def test_one_badcase_says_why_it_is_one_and_what_its_reports_are_against(filled: Field, client: TestClient) -> None:
    filled.send(report(picture="who", version="9.9"))
    told = client.get(f"/api/v1/badcases/{NINE}").json()

    assert told["why"]["sentence"] == "same system digits, same function digit, and 9 read as 4"
    assert {v["version"]: v["word"] for v in told["versions"]} == {"1.0": "active model", "9.9": "unknown model"}
    assert told["badcase"]["pictures"] == 17
    assert client.get("/api/v1/badcases/bc-none").status_code == 404


def test_everything_can_be_done_from_a_form_and_by_a_program(filled: Field, client: TestClient) -> None:
    def form(path: str, **data: Any) -> str:
        got = client.post(path, data=data, follow_redirects=False)
        assert got.status_code == 303, got.text[-400:]
        filled.settle()
        return str(got.headers["location"])

    def status() -> str:
        return str(filled.read(lists.badcase, NINE).status)

    form(f"/badcases/{NINE}/triage", note="real")
    assert status() == "triaged"
    form(f"/badcases/{NINE}/mute", until="2026-12-01", reason="next release")
    assert status() == "muted"
    form(f"/badcases/{NINE}/unmute")
    form(f"/badcases/{NINE}/reject", reason="not_a_failure")
    assert status() == "rejected"
    form(f"/badcases/{NINE}/reopen", reason="it is one")
    form(f"/badcases/{NINE}/assign", owner="AK")
    form(f"/badcases/{NINE}/prioritise", priority="77", reason="a customer")
    b = filled.read(lists.badcase, NINE)
    assert (b.status, b.owner, b.priority) == ("triaged", "AK", 77)
    cause = form("/causes", title="open tops", system="digits", function="digit", badcase_ids=NINE)
    form(cause.partition("?")[0] + "/remedy", remedy="collect", note="400 rows")
    turn = form("/iterations", title="turn", system="digits", function="digit", q="open:yes")
    form(turn.partition("?")[0] + "/close", outcome="abandoned")
    (iteration,) = filled.read(turns.iterations)
    assert (iteration.badcases, iteration.outcome) == (2, "abandoned")

    told = client.post(f"/api/v1/badcases/{NINE}/assign", json={"owner": "ML"}).json()
    assert told == {"position": filled.home.ports.store.head(), "badcase_id": NINE}
    refused = client.post(f"/api/v1/badcases/{NINE}/mute", json={"until": "2020-01-01", "reason": "x"})
    assert (refused.status_code, refused.json()["title"]) == (409, "Refused")
    assert client.post(f"/api/v1/badcases/{NINE}/mute", json={"reason": "x"}).status_code == 422
    assert client.post(f"/api/v1/badcases/{NINE}/paint", json={}).status_code == 404


def test_an_edit_of_a_stale_version_is_refused_and_a_key_is_carried_out_once(filled: Field, client: TestClient) -> None:
    path = f"/api/v1/badcases/{NINE}/triage"
    first = client.post(path, json={"note": "a"}, headers={"idempotency-key": "k1"})
    again = client.post(path, json={"note": "a"}, headers={"idempotency-key": "k1"})
    stale = client.post(path, json={"note": "b"}, headers={"if-match": '"0"'})

    assert first.json() == again.json()
    assert stale.status_code == 412
    assert client.post(path, json={"note": "b"}, headers={"if-match": '"1"'}).status_code == 200


def test_add_to_test_data_twice_changes_nothing_and_the_document_grows(filled: Field, client: TestClient) -> None:
    path = f"/api/v1/badcases/{NINE}/pin"
    first, again = client.post(path, json={}).json(), client.post(path, json={}).json()
    filled.settle()

    assert first["pinned"] == 16
    assert again == {"position": 0, "badcase_id": NINE}
    assert len(filled.read(details.pins, [NINE])) == 16
    filled.send(report(picture="new one"))
    assert client.post(path, json={"must_pass": True}).json()["pinned"] == 1
    filled.settle()
    assert [p.must_pass for p in filled.read(details.pins, [NINE])].count(True) == 1


def test_boxes_are_pinned_with_the_truth_that_the_log_has(field: Field, client: TestClient) -> None:
    box = {"label": "mask", "x": 1, "y": 2, "width": 3, "height": 4}
    truth = {"type": "boxes", "boxes": [box]}
    sent = {**report(), "prediction": {"type": "boxes", "boxes": []}, "truth": truth}
    field.send(sent)
    (b,) = field.read(lists.badcases, "", now=NOW).items
    client.post(f"/api/v1/badcases/{b.badcase_id}/pin", json={})
    field.settle()

    assert b.title == "missed mask"
    assert [p.annotation for p in field.read(details.pins)] == [truth]


def test_a_bulk_action_says_how_many_it_touched_and_goes_on_where_it_stopped(filled: Field, client: TestClient) -> None:
    path = "/api/v1/badcases/bulk/triage"
    body = {"selected": "*", "q": "function:digit"}
    first = client.post(path, json=body, headers={"idempotency-key": "b"}).json()
    filled.settle()
    again = client.post(path, json=body, headers={"idempotency-key": "b"}).json()
    mixed = client.post("/api/v1/badcases/bulk/assign", json={"selected": [NINE, "bc-none"], "owner": "AK"}).json()

    assert (first["touched"], first["refused"]) == (2, [])
    assert (again["bulk_id"], again["touched"]) == (first["bulk_id"], 2)
    assert (mixed["touched"], [r["badcase_id"] for r in mixed["refused"]]) == (1, ["bc-none"])
    assert client.post(path, json={"selected": []}).status_code == 409


def test_the_truth_of_a_report_is_corrected_from_its_page(filled: Field, client: TestClient) -> None:
    place = filled.read(lists.reports, "truth:9", now=NOW).items[0].position
    done = client.post(f"/reports/{place}/correct", data={"label": "5", "reason": "looked"}, follow_redirects=False)
    filled.settle()

    assert done.status_code == 303
    assert filled.read(lists.badcase, NINE).reports == 15
    assert client.get(f"/api/v1/reports/{place}").json()["now_in"] == badcase_id('["class","digits","digit","5","4"]')
    wrong = client.post(
        f"/api/v1/reports/{place}/correct", json={"truth": {"type": "scalar", "value": 1}, "reason": "x"}
    )
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "truth.type")
    assert client.get("/api/v1/reports/1").status_code == 404


def test_the_report_form_is_filled_from_the_address_and_says_what_is_wrong(filled: Field, client: TestClient) -> None:
    drawn = page(client, "/badcases/report?system=digits&truth=9&sha256=" + "a" * 64)
    assert 'value="digits"' in drawn
    sent = {
        "system": "digits", "function": "digit", "version": "1.0", "prediction": "4", "truth": "9",
        "uri": "s3://cam/1.png", "observed_at": "2026-11-20T03:00", "score": "0.5",
    }  # fmt: skip
    taken = client.post("/badcases/report", data=sent, follow_redirects=False)
    assert taken.headers["location"].startswith(f"/badcases/{NINE}?min_position=")
    wrong = client.post("/badcases/report", data={**sent, "uri": "file:///etc/passwd"})
    assert wrong.status_code == 422
    assert "is not allowed" in wrong.text


def test_reports_come_in_as_one_as_lines_and_as_cloud_events(field: Field, client: TestClient) -> None:
    one = client.post("/api/v1/reports?ids=true", json=report()).json()
    event = {"specversion": "1.0", "id": "1", "source": "/x", "type": "t", "data": report("7", "1")}
    kinds = {"content-type": "application/cloudevents+json"}
    two = client.post("/api/v1/reports", content=orjson.dumps(event), headers=kinds).json()
    lines = orjson.dumps(report()) + b"\n{}\n"
    three = client.post("/api/v1/reports", content=lines, headers={"content-type": "application/x-ndjson"}).json()
    bad = client.post("/api/v1/reports", json={"system": "x"})

    assert (one["accepted"], one["ids"][0]["badcase_id"]) == (1, NINE)
    assert (two["accepted"], three["known"], three["refused"][0]["line"]) == (1, 1, 2)
    assert (bad.status_code, bad.json()["errors"][0]["field"]) == (422, "function")
    counted = client.post("/api/v1/traffic", json=traffic(10))
    assert counted.json()["accepted"] == 1
    assert client.post("/api/v1/traffic", json=traffic(11)).status_code == 422


def test_the_python_client_and_the_server_understand_each_other(running_home: Any, client: TestClient) -> None:
    import httpx

    from mlife.sdk import Client

    class ByTestClient(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            path, headers = request.url.raw_path.decode(), dict(request.headers)
            got = client.request(request.method, path, content=request.read(), headers=headers)
            return httpx.Response(got.status_code, content=got.content)

    with Client("http://test", transport=ByTestClient()) as sender:
        answer = sender.report_many([report(), report(), report("7", "1"), {"system": "x"}])

    assert (answer.accepted, answer.known, [r["line"] for r in answer.refused]) == (2, 1, [4])
