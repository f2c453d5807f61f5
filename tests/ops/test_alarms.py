"""What is late, stopped, parked or unreadable is told: on the home page, in the log of the server, once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from starlette.testclient import TestClient

from mlife.core.errors import Unavailable
from mlife.core.handler import DeadLetter
from mlife.core.health import following, watch
from mlife.core.health.watch import BusSeen, Watch
from mlife.core.ports import SystemClock
from mlife.runtime import Home
from tests.conftest import drain
from tests.ops.conftest import take


class Later(SystemClock):
    """A clock that is two minutes ahead: what is in the log has been waiting for so long."""

    def now(self) -> datetime:
        return super().now() + timedelta(minutes=2)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten events are many."""
    monkeypatch.setattr(following, "LATE_EVENTS", 10)


def watched(home: Home, **more: object) -> Watch:
    return Watch(home.ports.store, home.ports.views, home.book, Later(), **more)  # type: ignore[arg-type]


def alarms(home: Home, **more: object) -> set[str]:
    return {f.what for f in watched(home, **more).latest().alarms}


def test_who_is_far_behind_for_long_is_late(home: Home, few: None) -> None:
    take(home, 0)
    drain(home)
    assert alarms(home) == set()
    take(home, *range(1, 10))
    assert alarms(home) == set()  # not many
    take(home, *range(10, 20))
    assert {"projection badcases", "handler badcases.settle"} <= alarms(home)
    assert alarms(home, relay=lambda: 0) - alarms(home) == {"relay"}
    fresh = Watch(home.ports.store, home.ports.views, home.book, SystemClock()).latest()
    assert fresh.alarms == []  # not for long
    drain(home)
    assert alarms(home) == set()


def test_a_stopped_projection_and_a_parked_fact_are_alarms_at_once(home: Home) -> None:
    take(home, 0)
    drain(home)
    (standing,) = [s for s in home.ports.views.standings() if s.name == "data"]
    home.ports.views.stop(standing, "it can't fold this")
    home.book.park(DeadLetter("serving.judge", "mdl-1", 3, 3, "no"))

    assert alarms(home) == {"projection data", "dead letters"}


def test_unreadable_feedback_is_an_alarm_while_it_comes_and_a_note_when_it_is_old(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.0)
    count = 4
    own = watched(home, bus=lambda: BusSeen({}, count))

    def state() -> str:
        (found,) = [f for f in own.latest().findings() if f.what == "unreadable feedback"]
        return found.state

    assert state() == "note"  # it was there when this process began
    count = 6
    assert state() == "wrong"
    monkeypatch.setattr(watch, "GROWTH_SECONDS", 0.0)
    assert state() == "note"


def test_a_store_of_files_that_is_away_is_an_alarm(home: Home) -> None:
    def ask() -> None:
        raise Unavailable("the files' server is away")

    assert alarms(home, files=ask) == {"files"}
    assert alarms(home, files=lambda: home.ports.blobs.has("0" * 64)) == set()


def test_the_home_page_says_what_is_late_before_everything_else(
    home: Home, client: TestClient, few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LATE_SECONDS", 0.0)
    take(home, 0)
    drain(home)
    take(home, *range(1, 30))

    page = client.get("/", headers={"accept": "text/html"}).text

    first = page.index("Waits for you")
    assert "Projection badcases: 29 events behind, the first for" in page[first : first + 3_000]
    assert 'href="/system"' in page


@contextmanager
def running(own: Watch) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=own.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_the_log_of_the_server_says_once_that_something_is_wrong_and_once_that_it_is_well_again(
    home: Home, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.01)
    away = True

    def ask() -> BusSeen:
        if away:
            raise Unavailable("kafka://k:9092 can't be used now", remedy="start it")
        return BusSeen()

    def said(words: str) -> int:
        return sum(words in r.getMessage() for r in caplog.records)

    def until(words: str) -> None:
        deadline = time.monotonic() + 10
        while not said(words):
            assert time.monotonic() < deadline, caplog.text
            time.sleep(0.01)

    with caplog.at_level(logging.WARNING, "mlife.watch"), running(watched(home, bus=ask)):
        until("bus: kafka://k:9092 can't be used now: start it")
        time.sleep(0.2)
        away = False
        until("bus: well again")
    assert (said("can't be used now"), said("well again")) == (1, 1)


def test_many_who_ask_at_once_cost_one_look(home: Home) -> None:
    looks: list[float] = []

    def ask() -> BusSeen:
        looks.append(time.monotonic())
        time.sleep(0.2)
        return BusSeen()

    own = watched(home, bus=ask)
    threads = [threading.Thread(target=own.latest) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(looks) == 1
