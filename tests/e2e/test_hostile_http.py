"""The whole server under bad input: every refusal says what was wrong, and nothing is a fault of the program."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from mlife.runtime import Home

HUGE = "9" * 30


@pytest.fixture
def asking(running_home: Home, client: TestClient) -> TestClient:
    """A client whose server's projections follow."""
    client.raise_server_exceptions = False
    return client


@pytest.mark.parametrize("tag", ["9" * 5_000, "garbage", "-1", ""])
def test_an_if_match_that_names_no_version_is_refused_by_its_name(client: TestClient, tag: str) -> None:
    answer = client.post("/api/v1/alarms/alm-1/acknowledge", json={}, headers={"If-Match": tag})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "If-Match"


@pytest.mark.parametrize("word", ["decide", "stream", "key", "self", "versions", "args"])
def test_a_field_that_is_called_as_the_program_calls_its_own_is_an_unknown_field(client: TestClient, word: str) -> None:
    answer = client.post("/api/v1/tasks", json={"kind": "training", "group_ids": ["grp-1"], word: 1})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == word


@pytest.mark.parametrize(
    "address",
    [
        f"/api/v1/events/{HUGE}",
        f"/api/v1/events?after={HUGE}",
        f"/api/v1/history/bc-1?before={HUGE}",
        f"/api/v1/verdicts?before={HUGE}",
        f"/api/v1/reports/{HUGE}",
    ],
)
def test_a_number_of_more_than_64_bits_is_no_fault_of_the_program(asking: TestClient, address: str) -> None:
    assert asking.get(address).status_code in (404, 422)


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("name", ["mlife.deployment.activatd", "mlife.deployment.activated.v99", "nope"])
def test_a_subscriber_to_an_event_type_that_is_none_is_told_so_and_not_sent_everything(
    asking: TestClient, name: str, accept: str
) -> None:
    answer = asking.get("/api/v1/events", params={"type": name}, headers={"Accept": accept})

    assert answer.status_code == 404
    assert name in answer.json()["detail"]
    assert "did you mean" in answer.json()["remedy"]


@pytest.mark.parametrize("chosen", [[{}], {}, [[1]], True])
@pytest.mark.parametrize(
    "door", ["/api/v1/badcases/bulk/triage", "/api/v1/groups", "/api/v1/documents/doc-1/remove-rows"]
)
def test_a_selection_that_is_no_list_of_ids_is_refused(client: TestClient, door: str, chosen: object) -> None:
    answer = client.post(door, json={"selected": chosen, "name": "x", "purpose": "training", "reason": "x"})

    assert 400 <= answer.status_code < 500
    assert answer.json()["detail"]


@pytest.mark.parametrize("place", ["garbage", "-1", "1.5", "9" * 40, "٣²"])
def test_a_stream_that_can_t_go_on_where_it_was_says_so(client: TestClient, place: str) -> None:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": place.encode()}
    answer = client.get("/api/v1/events", headers=headers)  # type: ignore[arg-type]

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Last-Event-ID"


def test_a_history_of_an_unknown_type_is_not_the_history_of_all(client: TestClient) -> None:
    assert client.get("/history?type=nonsense").status_code == 404


def test_what_is_allowed_stands_in_the_refusal(client: TestClient) -> None:
    answer = client.put("/api/v1/reports", content=b"")

    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]


def test_an_encoded_body_is_refused_as_such(client: TestClient) -> None:
    answer = client.post("/api/v1/reports", content=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"})

    assert answer.status_code == 415
    assert answer.json()["remedy"] == "send it without Content-Encoding"


HELD = ["/api/v1/causes", "/api/v1/deployments", "/api/v1/tasks", "/badcases/report"]


@pytest.mark.parametrize("door", HELD)
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
def test_a_body_that_memory_would_hold_has_a_limit(
    client: TestClient, door: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlife.ui.limits.MOST_BODY", 1_000)

    def pieces() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    announced = client.post(door, content=b"x" * 2_000, headers={"Content-Type": kind})
    in_pieces = client.post(door, content=pieces(), headers={"Content-Type": kind})

    for answer in (announced, in_pieces):
        assert answer.status_code == 413
        assert "1,000 bytes" in answer.text
    assert client.post("/api/v1/reports", content=b"\n" * 5_000).json()["refused"] == []


KEYED = {
    "a cause": (
        "/api/v1/causes",
        {"system": "s", "function": "f", "title": "one", "explanation": "e", "badcase_ids": []},
        {"title": "two"},
    ),
    "a request": (
        "/api/v1/requests",
        {"system": "s", "function": "f", "what": "masks", "wanted": {"9": 40}},
        {"what": "gloves"},
    ),
}


@pytest.mark.parametrize("thing", KEYED)
def test_a_key_answers_the_same_request_again_and_no_other(asking: TestClient, thing: str) -> None:
    door, said, other = KEYED[thing]
    key = {"Idempotency-Key": "k-1"}
    first = asking.post(door, json=said, headers=key)
    again = asking.post(door, json=said, headers=key)
    changed = asking.post(door, json={**said, **other}, headers=key)

    assert first.status_code == 200, first.text
    assert again.json() == first.json()
    assert changed.status_code == 422
    assert changed.json()["title"] == "Same key, other content"
    assert repr(next(iter(other.values()))) in changed.json()["detail"]


def test_a_key_that_comes_with_a_name_left_blank_is_the_same(asking: TestClient) -> None:
    said = {"system": "s", "function": "f", "what": "masks ", "wanted": {"9": 40}, "cause_id": " "}
    first, again = (asking.post("/api/v1/requests", json=said, headers={"Idempotency-Key": "k-3"}) for _ in range(2))

    assert first.json() == again.json()
    assert again.status_code == 200


def test_a_key_of_one_document_is_not_the_answer_to_another(asking: TestClient) -> None:
    def send(path: str) -> Any:
        rows = [{"path": path, "md5": "0" * 32, "annotation": "x"}]
        where = {"form": "json", "name": "d"}
        return asking.post("/api/v1/documents", params=where, json=rows, headers={"Idempotency-Key": "k-2"})

    first, again, other = send("a.png"), send("a.png"), send("b.png")

    assert (first.json()["accepted"], again.json()["known"]) == (1, 1)
    assert first.json()["document_id"] == again.json()["document_id"]
    assert other.status_code == 422
    assert first.json()["document_id"] in other.json()["detail"]
