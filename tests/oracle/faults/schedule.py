"""
What goes wrong, when, and to whom: a schedule that follows from the seed alone.

Each fault is a function of the world and of `which` in [0, 1), which picks the victim among those that are there. One
that lasts returns what ends it.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.oracle.processes import SLOTS, World

End = Callable[[], None] | None


@dataclass(frozen=True)
class Fault:
    """
    One kind of mishap.

    Args:
        weight: how often, against the others.
        kills: processes that it kills, if they are there.
        lasts: seconds (from, to) until what it returned is called.
        sizes: where it can happen.
    """

    name: str
    do: Callable[[World, float], End]
    weight: int
    kills: int
    lasts: tuple[float, float]
    sizes: frozenset[str]


@dataclass(frozen=True)
class Step:
    """A fault of the schedule: in which second, to whom, for how long."""

    second: float
    fault: str
    which: float
    lasts: float


FAULTS: dict[str, Fault] = {}
EVERYWHERE = frozenset(SLOTS)
ALL = frozenset({"embedded", "postgres", "cluster"})
SERVED = frozenset({"postgres", "cluster"})
CLUSTER = frozenset({"cluster"})


def fault(
    weight: int, *, kills: int = 0, lasts: tuple[float, float] = (0.0, 0.0), sizes: frozenset[str] = ALL
) -> Callable[[Callable[[World, float], End]], Callable[[World, float], End]]:
    """Register a function as a fault, by its name."""

    def declare(do: Callable[[World, float], End]) -> Callable[[World, float], End]:
        FAULTS[do.__name__] = Fault(do.__name__, do, weight, kills, lasts, sizes)
        return do

    return declare


def schedule(seed: str, size: str, kills: int, gap: float) -> list[Step]:
    """
    Faults until at least *kills* kills.

    Args:
        gap: mean seconds between two faults.
    """
    chance = random.Random(f"schedule {seed}")
    possible = [f for f in FAULTS.values() if size in f.sizes]
    steps: list[Step] = []
    second, killed = 0.0, 0
    deck: list[Fault] = []
    while killed < kills:
        if not deck:  # dealt from a deck, so that a short run meets each kind too
            deck = [f for f in possible for _ in range(f.weight)]
            chance.shuffle(deck)
        chosen = deck.pop()
        second += chance.uniform(0.2, 2 * gap - 0.2)
        killed += chosen.kills
        steps.append(
            Step(round(second, 2), chosen.name, round(chance.random(), 4), round(chance.uniform(*chosen.lasts), 2))
        )
    return steps


def kill_one(world: World, which: float, *kinds: str) -> None:
    """`kill -9` for one of *kinds*, if any lives."""
    if victims := world.living(*kinds):
        world.kill(pick(victims, which))


def pick(of: Sequence[Any], which: float) -> Any:
    """The one that *which* in [0, 1) picks."""
    return of[int(which * len(of))]
