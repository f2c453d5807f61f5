"""The report form: every type, files, the function's own fields, and what a report looks like before it is sent."""

from __future__ import annotations

import json
import re

import pytest
from starlette.testclient import TestClient

from mlife.badcases import commands
from mlife.badcases.intake.report import check_annotation
from mlife.badcases.intake.typed import TYPES, annotation_of, typed
from mlife.badcases.views import lists
from mlife.core.annotation import EXAMPLES
from mlife.core.command import check_input
from tests.badcases.conftest import NOW, Field, report

TYPED = {
    "class": ("sad", "happy"), "labels": ("night, rain", "-"), "boxes": ("mask 4 7.5 20 12\nbelt 1 2 3 4", "-"),
    "polygons": ("mask 0 0 9 0 9 7", "-"), "points": ("left eye 4 7.5", "left eye 5 7.5"), "scalar": ("3.5", "4"),
    "vector": ("0.5 -1.25", "1 2"), "text": ("turn left", "turn right"), "segments": ("cough 1.5 2.25", "-"),
}  # fmt: skip
SENT = {"system": "digits", "function": "digit", "version": "1.0", "uri": "s3://cam/1.png"}


@pytest.mark.parametrize("kind", TYPES)
def test_what_is_typed_is_read_and_shown_as_it_was_typed(kind: str) -> None:
    for text in (*TYPED[kind], EXAMPLES[kind]):
        annotation = annotation_of(kind, text)
        assert check_annotation("truth", annotation)["type"] == kind
        bare = {k: v for k, v in annotation.items() if k != "score"}
        assert annotation_of(kind, typed(annotation)) == (bare if kind == "class" else annotation)


@pytest.mark.parametrize("kind", TYPES)
def test_a_report_of_each_type_is_taken_from_the_form(field: Field, client: TestClient, kind: str) -> None:
    prediction, truth = TYPED[kind]
    sent = {**SENT, "type": kind, "prediction": prediction, "truth": truth, "function": kind}
    done = client.post("/badcases/report", data=sent, follow_redirects=False)
    assert done.status_code == 303, done.text
    field.settle()
    (badcase,) = field.read(lists.badcases, f"function:{kind}", now=NOW).items
    assert badcase.badcase_id in done.headers["location"]
    drawn = client.get("/badcases/report", params={**sent, "uri": ""}).text
    assert prediction.partition("\n")[0] in drawn


def test_the_form_is_open_to_programs_too(field: Field, client: TestClient) -> None:
    said = {**SENT, "prediction": "4", "truth": 9, "score": 0.5, "description": None, "model_id": ["mdl-1", "mdl-2"]}
    assert client.post("/badcases/report", json=said, follow_redirects=False).status_code == 303
    field.settle()
    (taken,) = field.read(lists.reports, "truth:9 score:0.5", now=NOW).items
    assert taken.model_ids == ("mdl-1",)


def test_what_does_not_fit_its_type_is_said_beside_the_field(field: Field, client: TestClient) -> None:
    sent = {**SENT, "type": "boxes", "prediction": "mask 4 x 20 12"}
    refused = client.post("/badcases/report", data=sent)
    assert (refused.status_code, field.home.ports.store.head()) == (422, 0)
    assert re.search(r'id="f-prediction-error">.*is no number but text', refused.text, re.DOTALL)
    assert "mask 4 x 20 12</textarea>" in refused.text


def test_files_are_sent_with_the_form_and_kept_once(field: Field, client: TestClient) -> None:
    png = b"\x89PNG\r\n\x1a\n" + b"0" * 40
    files = [("file", ("a.png", png, "image/png")), ("file", ("b.txt", b"hello", "text/plain"))]
    sent = {k: v for k, v in SENT.items() if k != "uri"} | {"prediction": "4", "truth": "9"}
    done = client.post("/badcases/report", data=sent, files=files, follow_redirects=False)
    assert done.status_code == 303, done.text
    field.settle()
    stored = next(r.event for r in field.home.ports.store.read(0) if hasattr(r.event, "report_id"))
    links = field.home.sealer.open(stored.data)
    assert [field.home.ports.blobs.has(link["sha256"]) for link in links] == [True, True]
    assert client.get(f"/api/v1/files/{links[0]['sha256']}").status_code == 200


def test_the_form_asks_for_the_fields_of_the_function(field: Field, client: TestClient) -> None:
    declared = [
        {"name": "place", "type": "choice", "choices": ["tunnel", "street"], "required": True, "label": "Where"},
        {"name": "speed", "type": "number"},
    ]
    given = {"system": "digits", "function": "digit", "fields": declared, "template": "in the {place}"}
    field.do(commands.describe_function, **check_input(commands.describe_function, given))
    assert "Where" not in client.get("/badcases/report").text
    drawn = client.get("/badcases/report?system=digits&function=digit").text
    assert 'name="fields.place"' in drawn
    assert "Where" in drawn
    sent = {**SENT, "prediction": "4", "truth": "9"}
    missing = client.post("/badcases/report", data=sent)
    assert (missing.status_code, "is missing" in missing.text) == (422, True)
    wrong = client.post("/badcases/report", data={**sent, "fields.place": "tunnel", "fields.speed": "fast"})
    assert "is no number, as which it is declared" in wrong.text
    client.post("/badcases/report", data={**sent, "fields.place": "tunnel", "fields.speed": "50"})
    field.settle()
    (taken,) = field.read(lists.reports, "field.place:tunnel field.speed:50", now=NOW).items
    assert taken.description == "in the tunnel"


def test_what_is_typed_looks_like_what_it_will_be_counted_in(field: Field, client: TestClient) -> None:
    field.send(report("9", "4"))
    (badcase,) = field.read(lists.badcases, "", now=NOW).items
    typed_so_far = {"system": "digits", "function": "digit", "prediction": "4", "truth": "9"}
    like = client.post("/badcases/report/look", data=typed_so_far).text
    assert f'href="/badcases/{badcase.badcase_id}"' in like
    assert "would be a new badcase" in client.post("/badcases/report/look", data={**typed_so_far, "truth": "3"}).text
    assert "Say system" in client.post("/badcases/report/look", data={"system": "digits"}).text
    assert "told yet" in client.post("/badcases/report/look", data={**typed_so_far, "truth": "4"}).text
    without_script = client.post("/badcases/report", data={**typed_so_far, "look": "1"})
    assert (without_script.status_code, badcase.badcase_id in without_script.text) == (200, True)
    sent = client.post("/badcases/report", data={**SENT, **typed_so_far}, follow_redirects=False)
    assert badcase.badcase_id in sent.headers["location"]


def test_functions_are_declared_on_their_page_and_restored(field: Field, client: TestClient) -> None:
    field.send(report("9", "4", fields={"place": "tunnel"}))
    (system,) = client.get("/api/v1/functions").json()["systems"]
    name = system["functions"][0]["function_id"]
    page = f"/functions/{name}"
    assert "digit" in client.get("/functions").text
    form = {
        "system": "digits",
        "function": "digit",
        "name.1": "place",
        "type.1": "choice",
        "choices.1": "tunnel, street",
    }
    assert client.post("/functions", data=form, follow_redirects=False).status_code == 303
    field.settle()
    assert client.get(f"/api/v1{page}").json()["fields"][0]["choices"] == ["tunnel", "street"]
    body = {"system": "digits", "function": "digit", "fields": []}
    assert client.post("/api/v1/functions", json=body).json()["function_id"] == name
    assert client.post(f"/api/v1{page}/restore", json={"revision": 1}).status_code == 200
    field.settle()
    shown = client.get(page).text
    assert "revision 3" in shown
    assert 'value="place"' in shown
    wrong = client.post("/api/v1/functions", json={**body, "fields": [{"name": "a b", "type": "text"}]})
    assert wrong.status_code == 422
    assert json.loads(wrong.text)["errors"]
    assert client.get("/functions/fn-nothing").status_code == 404


def test_a_report_shows_its_fields_and_what_is_missing_and_what_nobody_declared(
    field: Field, client: TestClient
) -> None:
    position = field.send(report("9", "4", fields={"Speed": 50.0, "colour": "red"})).position
    assert "colour" in client.get(f"/reports/{position}").text
    declared = [
        {"name": "place", "type": "text", "required": True},
        {"name": "Speed", "type": "number", "label": "km/h"},
    ]
    given = {"system": "digits", "function": "digit", "fields": declared}
    field.do(commands.describe_function, **check_input(commands.describe_function, given))
    shown = client.get(f"/reports/{position}").text
    assert "colour (undeclared)" in shown
    assert "Missing: place" in shown
    told = client.get(f"/api/v1/reports/{position}").json()
    assert (told["missing"], told["undeclared"]) == (["place"], ["colour"])
