"""A runner whose round was cut short to let projections have their turn goes on at once."""

from pathlib import Path
from typing import Any

import pytest

from mlife.core import runner as running
from mlife.core.events import Recorded
from mlife.core.handler import Do
from tests.toys import ToyMade, handles, made, only_toys, wire_toys


def test_facts_that_are_left_keep_it_busy_though_nothing_follows_from_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "ACT_SECONDS", 0.0)  # one fact a round
    seen: list[int] = []
    with only_toys():
        home = wire_toys(tmp_path / "home")

        @handles("toys.look")
        def look(fact: Recorded[ToyMade], _do: Do) -> Any:
            seen.append(fact.position)

        made(home, *"abcde")
        rounds = [home.runner.step() for _ in range(5)]
        home.close()

    assert seen == [1, 2, 3, 4, 5]
    assert rounds == [True] * 5
