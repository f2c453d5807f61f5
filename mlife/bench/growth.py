"""Cost per event and of a page at 1,000,000 events against 10,000."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from mlife.badcases.views import lists
from mlife.bench.figures import Bench, Figure, figure, take_turns, timed
from mlife.bench.homes import checkpointed, copied, filled, opened, take
from mlife.bench.rebuilding import PROJECTION
from mlife.bench.reports import batches
from mlife.core.projection import projections
from mlife.core.rebuild import rebuild
from mlife.runtime import Home

GOAL = 1.3
ROUND = 10_000
"""Events that one turn adds."""


@figure("growth")
def growth(bench: Bench) -> Iterator[Figure]:
    """A small and a large log take turns."""
    few, many = bench.size(10_000, 2_000), bench.size(1_000_000, 20_000)
    bench.say(f"growth: filling a log with {many:,} reports")
    small = filled(bench.folder / "small", few)
    large = filled(bench.folder / "large", many)
    yield _intake(bench, small, large, many)
    yield _rebuilds(bench, small, large)
    yield _pages(small, large)


def _intake(bench: Bench, small: Path, large: Path, many: int) -> Figure:
    """The sum of ten turns, so that each merge of ids and each checkpoint of the WAL is in it."""
    rounds = bench.size(10, 2)

    def add(folder: Path, turn: int) -> float:
        bench.say(f"growth: intake, round {turn + 1}")
        some = batches(ROUND, start=many + turn * ROUND)
        with opened(folder) as home:
            return timed(lambda: take(home, some)) + timed(lambda: checkpointed(folder))

    little, much = take_turns(
        [lambda turn: add(copied(small, bench.folder / "copy"), turn), lambda turn: add(large, turn)], rounds
    )
    cost, base = (1e6 * sum(seconds) / rounds / ROUND for seconds in (much, little))
    return Figure(
        "growth_intake", "intake's cost per event in a large log, checkpoints included; baseline: at 10,000 events",
        cost, "µs", many + rounds * ROUND, 0, base, cost / base, GOAL, "ratio",
    )  # fmt: skip


def _rebuilds(bench: Bench, small: Path, large: Path) -> Figure:
    """The large one once, between turns of the small one."""

    def cost(folder: Path) -> tuple[float, int]:
        bench.say("growth: rebuilding")
        with opened(folder) as home:
            events = home.ports.store.head()
            return 1e6 * timed(lambda: rebuild(home.ports, projections[PROJECTION])) / events, events

    before = [cost(small)[0] for _ in range(3)]
    much, events = cost(large)
    little = statistics.median(before + [cost(small)[0] for _ in range(3)])
    return Figure(
        "growth_rebuild", "cost per event of a rebuild of the badcase projection; baseline: at 10,000 events",
        much, "µs", events, 1, little, much / little, GOAL, "ratio",
    )  # fmt: skip


def _pages(small: Path, large: Path) -> Figure:
    """The first page of the badcases as anybody opens it, without HTML."""
    now = datetime(2026, 4, 1, tzinfo=UTC)
    with opened(small) as few, opened(large) as many:

        def page(home: Home) -> float:
            with home.ports.views.read() as read:
                return 1_000 * timed(lambda: lists.badcases(read, now=now))

        little, much = take_turns([lambda _: page(few), lambda _: page(many)], 40)
        events = many.ports.store.head()
    cost, base = statistics.median(much), statistics.median(little)
    return Figure(
        "growth_first_page", "first page of badcases with its total; baseline: at 10,000 events",
        cost, "ms", events, 1, base, cost / base, GOAL, "ratio",
    )  # fmt: skip
