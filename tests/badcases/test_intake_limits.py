"""What each sender may bring; and that the same reports in any order and batching are the same tables."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from mlife.badcases.views.tables import TABLES
from mlife.core.allowance import Allowance, Allowances, Turnstile
from mlife.core.errors import Misconfigured, TooMany, Unavailable
from mlife.runtime import open_home, settings
from mlife.server import make_app
from tests.badcases.conftest import Field, report, traffic


class Time:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def clock(self) -> float:
        return self.seconds

    def today(self) -> datetime:
        return datetime(2026, 11, 24, 12, tzinfo=UTC) + timedelta(seconds=self.seconds)


def stile(time: Time, each: Allowance, **more: Any) -> Turnstile:
    return Turnstile(Allowances(each, **more), clock=time.clock, today=time.today)


def bring(turnstile: Turnstile, sender: str, items: int) -> None:
    with turnstile.turn(sender) as charge:
        charge(items)


def test_who_brings_more_than_allowed_waits_until_it_is_paid_off() -> None:
    time = Time()
    turnstile = stile(time, Allowance(rate=10, burst=20))
    bring(turnstile, "a", 50)  # taken whole: no batch is cut
    with pytest.raises(TooMany) as told:
        bring(turnstile, "a", 1)
    assert told.value.retry_after == 4
    bring(turnstile, "b", 1)
    time.seconds += told.value.retry_after
    bring(turnstile, "a", 1)


def test_a_quota_ends_with_the_day() -> None:
    time = Time()
    turnstile = stile(time, Allowance(quota=10))
    bring(turnstile, "a", 10)
    with pytest.raises(TooMany) as told:
        bring(turnstile, "a", 1)
    assert told.value.retry_after == 12 * 3600
    time.seconds += told.value.retry_after
    bring(turnstile, "a", 1)


def test_no_more_are_served_at_once_than_may_be_and_a_failure_makes_room() -> None:
    turnstile = stile(Time(), Allowance(), at_once=1)
    with turnstile.turn("a"), pytest.raises(Unavailable, match="as many as may be"):
        bring(turnstile, "b", 1)
    with pytest.raises(RuntimeError), turnstile.turn("a"):
        raise RuntimeError
    assert turnstile.inside == 0


def test_many_threads_are_counted_exactly() -> None:
    time = Time()
    turnstile = stile(time, Allowance(rate=1, burst=10_000))
    threads = [threading.Thread(target=lambda: [bring(turnstile, "a", 1) for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bring(turnstile, "a", 8_000)
    with pytest.raises(TooMany):
        bring(turnstile, "a", 1)


@pytest.mark.parametrize(
    "text",
    ["[intake]\nrates = 5", "[intake]\nrate = -1", '[intake]\nrate = "5"', "[intake]\nat_once = 0", "intake = 5",
     "[intake.clients]\na = 5", "[intake.clients.a]\nquota = 1.5"],
)  # fmt: skip
def test_limits_that_can_not_be_meant_are_refused(tmp_path: Path, text: str) -> None:
    config = tmp_path / "mlife.toml"
    config.write_text(text)
    with pytest.raises(Misconfigured):
        settings(tmp_path, config=config)


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[TestClient]:
    """A server on which each sender may bring three reports at once, and fleet-7 a thousand."""
    config = tmp_path / "mlife.toml"
    config.write_text("[intake]\nrate = 0.01\nburst = 3\n[intake.clients.fleet-7]\nrate = 1000\n")
    with open_home(settings(tmp_path / "home", config=config)) as home, TestClient(make_app(home)) as client:
        yield client


def test_a_sender_is_told_to_come_back_and_nothing_of_it_is_taken(limited: TestClient) -> None:
    lines = b"\n".join(orjson.dumps(report(picture=n)) for n in range(5))
    assert limited.post("/api/v1/reports", content=lines).json()["accepted"] == 5
    told = limited.post("/api/v1/reports", json=report(picture=9))
    assert (told.status_code, int(told.headers["retry-after"]) > 100) == (429, True)
    assert told.json()["title"] == "Too much at once"
    assert limited.post("/api/v1/traffic", json=traffic(1)).status_code == 429
    table = {"file": ("a.csv", "system,function\ndigits,digit\n")}
    for page, body in ("/badcases/report", {"data": {"system": "digits"}}), ("/badcases/import", {"files": table}):
        shown = limited.post(page, follow_redirects=False, **body)
        assert (shown.status_code, "retry-after" in shown.headers) == (429, True)
    named = limited.post("/api/v1/reports", json=report(picture=9), headers={"X-Actor": "fleet-7"})
    assert named.json()["accepted"] == 1
    figures = limited.get("/metrics").text
    assert 'mlife_intake_turned_away_total{why="rate"}' in figures
    assert 'mlife_intake_limit{limit="burst"} 3' in figures


# --- the same reports, in any order ---


def _reports(count: int) -> list[dict[str, Any]]:
    chance = random.Random(7)
    return [
        report(
            str(chance.randrange(10)) if n % 3 else None,
            str(chance.randrange(10, 20)),
            picture=chance.randrange(count),
            client=f"fleet-{n % 50}",
            version=f"1.{n % 7}",
            observed_at=f"2026-10-{1 + n % 28:02}T03:00:00Z",
            description=f"seen {n % 11}",
            fields={"place": ("tunnel", "street")[n % 2], "n": n},
        )
        for n in range(count)
    ]


def _rows(field: Field) -> dict[str, list[Any]]:
    with field.home.ports.views.read() as read:
        return {t.name: list(read.all(select(t).order_by(*t.primary_key))) for t in TABLES}


@pytest.mark.parametrize(
    ("store", "count"),
    [
        ("sqlite", 3_000),
        pytest.param("sqlite", 100_000, marks=pytest.mark.slow),
        pytest.param("postgres", 5_000, marks=[pytest.mark.cluster, pytest.mark.slow]),
    ],
)
def test_a_resend_in_another_order_and_batching_changes_no_row(
    request: pytest.FixtureRequest, tmp_path: Path, store: str, count: int
) -> None:
    url = request.getfixturevalue("postgres_url") if store == "postgres" else None
    reports = _reports(count)
    with open_home(settings(tmp_path / "home", config=tmp_path / "no.toml", store=url)) as home:
        field = Field(home)
        assert field.intake.reports(reports).accepted == count
        field.settle()
        before, head = _rows(field), home.ports.store.head()
        random.Random(8).shuffle(reports)
        sizes = iter(random.Random(9).choices((1, 7, 1_000, 4_321), k=count))
        known = at = 0
        while at < count:
            size = next(sizes) if at else 4_321
            known += field.intake.reports(reports[at : at + size]).known
            at += size
        field.settle()
        assert (known, home.ports.store.head()) == (count, head)
        assert _rows(field) == before
