"""Data by HTTP: streamed in, never active content out, the same for programs and people."""

import hashlib
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from mlife.runtime import Home
from tests.data.conftest import picture, row

if TYPE_CHECKING:
    from starlette.testclient import TestClient

pytestmark = pytest.mark.usefixtures("running_home")


def put(client: "TestClient", content: bytes, name: str = "a.png") -> dict[str, Any]:
    answer = client.post("/api/v1/files", params={"name": name}, content=content)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["files"][0])


def imported(client: "TestClient", *rows: dict[str, Any], **said: str) -> dict[str, Any]:
    body = b"\n".join(json.dumps(r).encode() for r in rows)
    answer = client.post("/api/v1/documents", params={"name": "field", "form": "ndjson", **said}, content=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.fixture
def document(client: "TestClient") -> dict[str, Any]:
    """A document of 12 stored pictures in three classes."""
    client.post("/api/v1/files", files=[("file", (f"{n}.png", picture(n))) for n in range(12)])
    return imported(client, *(row(picture(n), str(n % 3), lux=n) for n in range(12)), system="dms", function="digit")


def test_a_file_comes_back_as_a_download_and_never_as_active_content(client: "TestClient") -> None:
    content = b"<html><script>alert(1)</script></html>"
    sha256 = put(client, content, name='we"ird/ü.html')["sha256"]

    answer = client.get(f"/api/v1/files/{sha256}")

    assert answer.content == content
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert "%C3%BC.html" in answer.headers["content-disposition"]
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert client.get(f"/api/v1/files/{sha256}", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_many_files_come_in_one_form_and_known_ones_are_told(client: "TestClient") -> None:
    put(client, picture(1))
    answer = client.post("/api/v1/files", files=[("file", (f"{n}.png", picture(n))) for n in range(3)]).json()

    assert (answer["accepted"], answer["known"]) == (2, 1)
    assert [f["name"] for f in answer["files"]] == ["0.png", "1.png", "2.png"]


def test_a_thumbnail_is_drawn_once_and_kept(home: Home, client: "TestClient") -> None:
    sha256 = put(client, picture(1, 300))["sha256"]

    first = client.get(f"/files/{sha256}/thumbnail?size=90")
    kept = list(home.settings.home.joinpath("cache/thumbnails").rglob("*-96"))
    again = client.get(f"/files/{sha256}/thumb?size=96")

    assert first.headers["content-type"] in {"image/png", "image/webp"}
    assert "immutable" in first.headers["cache-control"]
    assert len(kept) == 1
    assert again.content == first.content


@pytest.mark.parametrize("content", [b"just text", b"<svg onload='alert(1)'/>", b"\x89PNG\r\n\x1a\nbroken"])
def test_what_is_no_picture_gets_a_card_that_names_its_type(client: "TestClient", content: bytes) -> None:
    answer = client.get(f"/files/{put(client, content)['sha256']}/thumbnail")

    assert answer.headers["content-type"] == "image/svg+xml"
    assert b"onload" not in answer.content
    assert b"<title>" in answer.content


@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "0" * 64, "Z" * 64, "sha256:"])
def test_a_file_that_is_not_there_is_not_found(client: "TestClient", name: str) -> None:
    for path in (f"/api/v1/files/{name}", f"/api/v1/files/{name}/thumbnail", f"/api/v1/files/{name}/about"):
        assert client.get(path).status_code == 404


def test_a_document_with_a_bad_row_keeps_the_rest_and_says_which(client: "TestClient") -> None:
    told = imported(client, row(b"a"), {"path": "../x", "md5": "0" * 32, "annotation": "1"})

    assert (told["accepted"], told["known"], told["missing"]) == (1, 0, 1)
    assert [(r["line"], r["field"]) for r in told["refused"]] == [(2, "path")]
    assert imported(client, row(b"a"), {"path": "../x", "md5": "0" * 32, "annotation": "1"})["known"] == 1


def test_a_workbook_is_refused_as_what_it_is(client: "TestClient") -> None:
    packed = io.BytesIO()
    zipfile.ZipFile(packed, "w").close()
    body = b"PK\x03\x04" + packed.getvalue()

    answer = client.post("/api/v1/documents?name=book.csv", content=body)

    assert answer.status_code == 422
    assert "Excel workbook" in answer.text


def test_a_document_is_listed_with_what_its_rows_are_made_of(client: "TestClient", document: dict[str, Any]) -> None:
    listed = client.get(
        "/api/v1/documents", params={"q": "function:digit", "min_position": document["position"]}
    ).json()

    assert [d["document_id"] for d in listed["documents"]] == [document["document_id"]]
    assert listed["statistics"]["classes"] == {"0": 4, "1": 4, "2": 4}
    assert listed["statistics"]["missing"] == 0


def test_people_see_the_sentence_the_pictures_and_the_form(client: "TestClient", document: dict[str, Any]) -> None:
    where = f"/documents/{document['document_id']}?min_position={document['position']}"

    page = client.get(f"{where}&q=class:2").text
    gallery = client.get(f"{where}&view=gallery").text

    assert "<b>4</b> of 12 rows match" in page
    assert page.count('class="thumb"') == 4
    assert 'formaction="/groups"' in page
    assert gallery.count('class="thumb"') == 12
    assert "12 labelled files" in client.get("/documents").text


def test_a_query_that_cannot_be_read_is_marked_for_people_and_refused_for_programs(
    client: "TestClient", document: dict[str, Any]
) -> None:
    where = f"/documents/{document['document_id']}?min_position={document['position']}&q=colour:red"

    assert "have no field colour" in client.get(where).text
    assert client.get(f"/api/v1{where}").status_code == 422


@pytest.mark.parametrize(("form", "begins"), [("csv", b"path,"), ("json", b"["), ("ndjson", b"{"), ("xml", b"<")])
def test_a_document_is_exported_as_a_download(
    client: "TestClient", document: dict[str, Any], form: str, begins: bytes
) -> None:
    where = f"/api/v1/documents/{document['document_id']}/export"
    answer = client.get(where, params={"form": form, "min_position": document["position"]})

    assert answer.content.startswith(begins)
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="field.{form}"')


def test_rows_are_grouped_by_a_program_and_the_guard_answers_with_reasons(
    client: "TestClient", document: dict[str, Any]
) -> None:
    said = {"name": "g", "purpose": "training", "documents": [document["document_id"]], "q": "class:1"}

    made = client.post("/api/v1/groups", json=said, headers={"Idempotency-Key": "k"}).json()
    again = client.post("/api/v1/groups", json=said, headers={"Idempotency-Key": "k"}).json()
    refused = client.post("/api/v1/groups", json={**said, "purpose": "testing"})
    head = client.get(f"/api/v1/groups/{made['group_id']}?min_position={made['position']}").json()
    rows = client.get(f"/api/v1/groups/{made['group_id']}/rows").json()["rows"]

    assert again["group_id"] == made["group_id"]
    assert (head["rows"], head["by_class"], head["system"]) == (4, {"1": 4}, "dms")
    assert [r["lux"] for r in rows] == [1, 4, 7, 10]
    assert refused.status_code == 409
    assert "was trained on in" in refused.json()["detail"]


def test_rows_are_grouped_by_a_person_who_selected_some(client: "TestClient", document: dict[str, Any]) -> None:
    said = {"name": "mine", "purpose": "training", "documents": document["document_id"], "selected": ["2", "3"]}

    answer = client.post("/groups", data=said, follow_redirects=True)

    assert answer.status_code == 200
    assert "<b>2 rows</b> for <b>training</b>" in answer.text.replace("\u202f", " ")
    assert "/tasks/tsk-" in answer.text


def test_rows_are_removed_only_at_the_version_that_was_seen(client: "TestClient", document: dict[str, Any]) -> None:
    where = f"/api/v1/documents/{document['document_id']}"
    seen = client.get(where, params={"min_position": document["position"]}).headers["etag"]

    first = client.post(f"{where}/remove-rows", json={"q": "class:2", "reason": "x"}, headers={"If-Match": seen})
    late = client.post(f"{where}/remove-rows", json={"numbers": [1], "reason": "x"}, headers={"If-Match": seen})

    assert first.json()["removed"] == 4
    assert late.status_code == 412
    assert client.get(where, params={"min_position": first.json()["position"]}).json()["total"] == 8


def test_a_person_who_selected_nothing_removes_nothing(client: "TestClient", document: dict[str, Any]) -> None:
    where = f"/documents/{document['document_id']}/remove-rows"

    nothing = client.post(where, data={"q": "class:2", "reason": "x"})
    all_that_match = client.post(where, data={"q": "class:2", "selected": "*", "reason": "x"})

    assert nothing.status_code == 409
    assert "no row is selected" in nothing.text
    assert "4 rows removed" in all_that_match.text


def test_a_request_is_asked_answered_and_closed(home: Home, client: "TestClient") -> None:
    said = {"system": "dms", "function": "digit", "what": "thin nines", "wanted": "9=2, 4=1"}
    asked = client.post("/requests", data=said, follow_redirects=False)
    request_id = asked.headers["location"].split("/")[-1].partition("?")[0]
    imported(client, row(b"a"), row(b"b"), request=request_id)
    home.runner.settle()

    told = client.get(f"/api/v1/requests/{request_id}").json()
    page = client.get(f"/requests/{request_id}").text
    closed = client.post(f"/api/v1/requests/{request_id}/close", json={"complete": False, "note": "enough"}).json()
    after = client.get(f"/api/v1/requests/{request_id}", params={"min_position": closed["position"]}).json()

    assert told["still_wanted"] == {"4": 1}
    assert "Still wanted: 1 row of 4." in page.replace("\u202f", " ")
    assert (after["state"], after["note"]) == ("given up", "enough")


@pytest.mark.parametrize("path", ["/documents", "/groups", "/requests", "/files"])
def test_an_empty_room_says_how_to_fill_it(client: "TestClient", path: str) -> None:
    empty = client.get(path)
    nothing_found = client.get(f"{path}?q=nothing")

    assert empty.status_code == 200
    assert 'class="empty"' in empty.text
    assert "mlife " in empty.text
    assert "No " in nothing_found.text


@pytest.mark.parametrize("path", ["documents/doc-x", "groups/grp-x", "requests/req-x", "documents/doc-x/rows/1"])
def test_what_is_not_there_is_not_found(client: "TestClient", path: str) -> None:
    assert client.get(f"/api/v1/{path}").status_code == 404
    assert client.get(f"/{path}").status_code == 404


def test_a_file_page_tells_every_use(client: "TestClient", document: dict[str, Any]) -> None:
    sha256 = hashlib.sha256(picture(1)).hexdigest()

    about = client.get(f"/api/v1/files/{sha256}/about", params={"min_position": document["position"]}).json()

    assert about["uses"] == [{"kind": "row", "used_in": document["document_id"], "name": "field"}]
    assert document["document_id"] in client.get(f"/files/{sha256}").text
    assert client.get(f"/documents/{document['document_id']}/rows/2").status_code == 200
