"""What a figure is, how figures are found, and how two ways take turns."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Figure:
    """
    One row of the table.

    Args:
        name: its key in `build/bench.json`; never rename it.
        says: what was measured, in a few words.
        value, unit: what was reached.
        baseline: what it is held against, in the same unit; None for a plain number.
        ratio: value over baseline, the median of the turns.
        goal: what must be reached; None for a row that is only shown.
        judged: which of the two the goal is about.
        better: `high` if more is better.
        events: length of the log (at the end, where it grows).
        projections: how many follow the log meanwhile.
    """

    name: str
    says: str
    value: float
    unit: str
    events: int
    projections: int = 0
    baseline: float | None = None
    ratio: float | None = None
    goal: float | None = None
    judged: Literal["value", "ratio"] = "value"
    better: Literal["high", "low"] = "low"

    @property
    def ok(self) -> bool | None:
        """Is the goal reached? None where there is none."""
        reached = self.ratio if self.judged == "ratio" else self.value
        if self.goal is None or reached is None:
            return None
        return reached >= self.goal if self.better == "high" else reached <= self.goal

    def as_json(self) -> dict[str, Any]:
        """As `build/bench.json` has it."""
        return {
            "value": round(self.value, 4),
            "unit": self.unit,
            "baseline": None if self.baseline is None else round(self.baseline, 4),
            "ratio": None if self.ratio is None else round(self.ratio, 4),
            "goal": self.goal,
            "judged": self.judged,
            "better": self.better,
            "ok": self.ok,
            "events": self.events,
            "projections": self.projections,
            "says": self.says,
        }


@dataclass(frozen=True)
class Bench:
    """
    One run.

    Args:
        folder: where its homes are; removed at the end.
        quick: a tenth of the sizes or less, to see that everything works; its figures mean little.
        say: tells a person how far it is.
    """

    folder: Path
    quick: bool
    say: Callable[[str], None]

    def size(self, full: int, quick: int) -> int:
        """The size of this run."""
        return quick if self.quick else full


Measure = Callable[[Bench], Iterator[Figure]]
measures: dict[str, Measure] = {}
"""Every group of figures by its name, in the order of the table."""


def figure(group: str) -> Callable[[Measure], Measure]:
    """Register a function that yields the figures of *group*."""

    def declare(measure: Measure) -> Measure:
        measures[group] = measure
        return measure

    return declare


def timed(run: Callable[[], object]) -> float:
    """Seconds that *run* takes, with what earlier turns left behind collected before."""
    gc.collect()
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def take_turns(ways: Sequence[Callable[[int], float]], rounds: int) -> list[list[float]]:
    """
    What each way answers in each round. Who begins changes from round to round.

    Args:
        ways: from the round's number to the measured number.
    """
    answers: list[list[float]] = [[] for _ in ways]
    for turn in range(rounds):
        order = list(range(len(ways)))
        for way in order if turn % 2 == 0 else reversed(order):
            answers[way].append(ways[way](turn))
    return answers


def median_ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that *share* of all do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]
