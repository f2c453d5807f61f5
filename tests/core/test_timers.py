"""Timers: what a moment that has come causes, once."""

import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from mlife.core import timekeeping
from mlife.core.handler import Do, timer
from mlife.core.ports import iterate
from mlife.runtime import Home
from tests.conftest import drain
from tests.toys import (
    ToyMade,
    due,
    make,
    wake,
)


def woken(home: Home) -> int:
    return sum(r.draft.type == "mlife.toy.woken.v1" for r in iterate(home.ports.store))


def timer_of_toys() -> list[str]:
    calls: list[str] = []

    @timer("toys.wake", due=due)
    def wake_up(row: Any, do: Do) -> None:
        calls.append(row.toy_id)
        if len(calls) == 1 and row.toy_id.startswith("toy-flaky"):
            raise KeyError(row.toy_id)
        do(wake, toy_id=row.toy_id)

    return calls


def test_a_moment_that_has_come_is_acted_upon_once(toy_home: Home) -> None:
    calls = timer_of_toys()
    toy_home.do(make, name="early", wake_at=datetime(2020, 1, 1, tzinfo=UTC))
    toy_home.do(make, name="late", wake_at=datetime(2999, 1, 1, tzinfo=UTC))
    drain(toy_home)
    drain(toy_home)
    toy_home.runner._forget()
    drain(toy_home)

    assert len(calls) == 1
    assert woken(toy_home) == 1


def test_a_timer_killed_before_its_row_is_gone_acts_once(toy_home: Home) -> None:
    timer_of_toys()
    toy_home.do(make, name="early", wake_at=datetime(2020, 1, 1, tzinfo=UTC))
    toy_home.runner.project(limit=10)
    for _ in range(3):
        toy_home.runner._forget()  # the next process, before the projection has folded what the timer did
        toy_home.runner._timekeeper.run(toy_home.do)
    drain(toy_home)
    assert woken(toy_home) == 1


def test_a_timer_that_fails_is_tried_again_and_harms_nobody(
    toy_home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(timekeeping, "TIMER_REST", (60.0, 0.0))
    timer_of_toys()
    timer("toys.broken", due=lambda now: 1 / 0)(lambda row, do: None)  # type: ignore[arg-type,return-value]
    toy_home.do(lambda given: [ToyMade(toy_id="toy-flaky", name="x", wake_at=datetime(2020, 1, 1, tzinfo=UTC))])
    with caplog.at_level(logging.ERROR):
        drain(toy_home)
        drain(toy_home)

    assert woken(toy_home) == 1
    assert "timer toys.wake failed" in caplog.text
    assert "timer toys.broken can't tell what is due" in caplog.text
