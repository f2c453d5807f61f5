"""The whole server under bad input: every refusal says what was wrong, and nothing is a fault of the program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from mlife.runtime import Home

HUGE = "9" * 30


@pytest.fixture
def asking(running_home: Home, client: TestClient) -> Iterator[TestClient]:
    """A client whose server's projections follow."""
    client.raise_server_exceptions = False
    yield client


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
