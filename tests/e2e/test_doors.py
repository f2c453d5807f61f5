"""Who is let in: tokens, other sites' pages, names that were pointed to this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from starlette.testclient import TestClient

from mlife.runtime import Home
from mlife.server import make_app

Opener = Callable[..., TestClient]


@pytest.fixture
def opened(home: Home) -> Iterator[Opener]:
    """Make a client of a server on `home`, with `make_app`'s arguments."""
    clients: list[TestClient] = []

    def make(base_url: str = "http://127.0.0.1:8000", **how: object) -> TestClient:
        made = TestClient(make_app(home, **how), base_url=base_url, follow_redirects=False)
        clients.append(made)
        return made

    yield make
    for made in clients:
        made.close()


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "", "@", "[", "2130706433"]
)
def test_a_name_that_was_pointed_to_this_machine_is_not_answered(opened: Opener, host: str) -> None:
    answer = opened(names=["127.0.0.1"]).get("/api/v1/badcases", headers={"Host": host})

    assert answer.status_code == 421
    assert answer.json()["title"] == "Not this server's name"
    assert "mlife up --token" in answer.json()["remedy"]


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "[::1]:8000", "box.lan", "192.168.1.5:80"]
)
def test_own_names_and_addresses_are_answered(opened: Opener, host: str) -> None:
    assert opened(names=["Box.lan"]).get("/healthz", headers={"Host": host}).status_code == 200


def test_a_health_check_that_says_no_host_is_answered(opened: Opener) -> None:
    client = opened(names=["127.0.0.1"])
    asked = client.build_request("GET", "/healthz")
    del asked.headers["host"]

    assert client.send(asked).status_code == 200


def test_without_the_token_nothing_is_told_but_health(opened: Opener) -> None:
    client = opened(token="s3cret")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "s3cret"}, {"Cookie": "mlife_token=x"}):
        answer = client.get("/api/v1/badcases", headers=headers)
        assert answer.status_code == 401, headers
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert client.get("/api/v1/badcases?token=wrong").status_code == 401
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/api/v1/badcases", headers={"Authorization": "Bearer s3cret"}).status_code == 200


def test_a_token_in_the_address_is_kept_once_and_leads_nowhere_else(opened: Opener) -> None:
    client = opened(token="s3cret")
    answer = client.get("/badcases?q=status:open&token=s3cret")
    assert answer.headers["location"] == "/badcases?q=status%3Aopen"
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert client.get("http://127.0.0.1:8000//evil.example/?token=s3cret").headers["location"] == "/"


def test_a_write_with_the_token_in_its_address_is_refused_and_not_sent_to_read(opened: Opener) -> None:
    answer = opened(token="s3cret").post("/api/v1/reports?token=s3cret", json={})

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
def test_what_another_sites_page_posts_is_refused(opened: Opener, headers: dict[str, str]) -> None:
    answer = opened().post("/api/v1/reports", content=b"{}", headers=headers)

    assert answer.status_code == 403
    assert answer.json()["remedy"] == "open MLife's own page and do it there"
