"""Reports, and a home into which the other features' facts can be written as if they had happened."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlife.badcases.intake.taking import Answer, Intake
from mlife.core.command import Given
from mlife.core.events import Event
from mlife.runtime import Home, open_home, settings
from tests.conftest import drain
from tests.embedders import site

__all__ = ["site"]

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class FixedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)


def report(truth: str | None = "9", prediction: str = "4", *, picture: object = 1, **other: Any) -> dict[str, Any]:
    """A report as a client sends it; the same *picture* is the same file."""
    digest = hashlib.sha256(str(picture).encode()).hexdigest()
    said: dict[str, Any] = {
        "system": "digits",
        "function": "digit",
        "version": "1.0",
        "data": [{"uri": f"s3://cam/{digest[:8]}.png", "media_type": "image/png", "sha256": digest}],
        "prediction": {"type": "class", "label": prediction, "score": 0.7},
        "client": "fleet-7",
        "observed_at": "2026-11-20T03:00:00Z",
    }
    if truth is not None:
        said["truth"] = {"type": "class", "label": truth}
    return {**said, **other}


def traffic(count: int, *, version: str = "1.0", hour: int = 0, **other: Any) -> dict[str, Any]:
    """A traffic count of one hour."""
    start = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=hour)
    return {
        "system": "digits",
        "function": "digit",
        "version": version,
        "from": start.isoformat(),
        "to": (start + timedelta(hours=1)).isoformat(),
        "count": count,
        **other,
    }


class Field:
    """A home, its intake, and facts of other features."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.clock = FixedClock()
        home.do = replace(home.do, clock=self.clock)
        home.runner.executor = replace(home.runner.executor, clock=self.clock)
        self.intake = Intake(home.ports.store, home.sealer, self.clock)

    def send(self, *reports: dict[str, Any]) -> Answer:
        """Take reports in, and let everything follow."""
        answer = self.intake.reports(list(reports))
        assert answer.refused == []
        self.settle()
        return answer

    def count(self, *counts: dict[str, Any]) -> None:
        """Take traffic in, and let everything follow."""
        answer = self.intake.traffic(list(counts))
        assert answer.refused == []
        self.settle()

    def happen(self, *events: Event) -> None:
        """Write facts as their own features would, one append each, and let everything follow."""
        for event in events:

            def decide(given: Given) -> list[Event]:
                return [event]  # noqa: B023 - carried out at once

            self.home.do.under(uuid.uuid4().hex, decide)
        self.settle()

    def do(self, command: Callable[..., list[Event]], **input: Any) -> Any:
        """Carry out a command, and let everything follow."""
        done = self.home.do.as_(actor="ann")(command, **input)
        self.settle()
        return done

    def settle(self) -> None:
        """Projections, handlers and timers do all they have to do."""
        drain(self.home)

    def read(self, query: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """The answer of a query function now."""
        with self.home.ports.views.read() as read:
            return query(read, *args, **named)


@pytest.fixture
def field(home: Home) -> Field:
    """A home in which nothing happened yet."""
    return Field(home)


@pytest.fixture
def clock() -> FixedClock:
    """A clock that stands still."""
    return FixedClock()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.cluster)])
def either_home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """A home on SQLite, and one on PostgreSQL: a module whose `home` is this one runs on both."""
    store = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    with open_home(settings(tmp_path / "home", config=tmp_path / "no.toml", store=store)) as home:
        yield home


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Field]:
    """A home on either database in which nothing happened yet."""
    chosen = settings(tmp_path / "home", config=tmp_path / "no.toml")
    if request.param == "postgres":
        chosen = replace(chosen, store=request.getfixturevalue("postgres_url"))
    with open_home(chosen) as home:
        yield Field(home)
