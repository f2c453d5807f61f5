"""Intake against raw SQLite and against the `eventsourcing` library."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from mlife.bench.figures import Bench, Figure, figure, median_ratio, take_turns, timed
from mlife.bench.homes import intake, opened, raw_file, raw_insert, raw_rows, stream, take
from mlife.bench.reports import batches
from mlife.core.errors import Misconfigured

CALLERS = 32


@figure("intake")
def batched(bench: Bench) -> Iterator[Figure]:
    """100,000 reports in batches of 1,000, into a fresh log each turn."""
    library, count = yardstick(), bench.size(100_000, 10_000)
    some = batches(count)
    first = bench.folder / "intake-first"
    with opened(first) as home:
        take(home, some)
    ddl, events, ids = raw_rows(first)

    def ours(turn: int, send: Callable[..., int]) -> float:
        bench.say(f"intake: round {turn + 1}")
        with opened(bench.folder / f"{send.__name__}-{turn}") as home:
            return count / timed(lambda: send(home, some))

    def raw_sqlite(turn: int) -> float:
        with raw_file(bench.folder / f"raw-{turn}.db", ddl) as db:
            return count / timed(lambda: raw_insert(db, events, ids))

    def by_library(turn: int) -> float:
        with library.application(bench.folder / f"library-{turn}.db") as app:
            return count / timed(lambda: library.save(app, some))

    streamed, called, plain, lib = take_turns(
        [lambda turn: ours(turn, stream), lambda turn: ours(turn, take), raw_sqlite, by_library], bench.size(5, 2)
    )
    value, baseline = statistics.median(streamed), statistics.median(plain)
    yield Figure(
        "intake_vs_raw_sqlite",
        "Python API, a stream in batches of 1,000; baseline: raw executemany of the same bytes",
        value, "events/s", count, 0, baseline, median_ratio(streamed, plain), 0.6, "ratio", "high",
    )  # fmt: skip
    yield Figure(
        "intake_by_calls_vs_raw_sqlite",
        "the same with one call for each 1,000, which waits for its answer",
        statistics.median(called), "events/s", count, 0, baseline, median_ratio(called, plain),
    )  # fmt: skip
    yield Figure(
        "intake_vs_eventsourcing",
        "Python API, a stream in batches of 1,000; baseline: eventsourcing's Application.save, 1,000 each",
        value, "events/s", count, 0, statistics.median(lib), median_ratio(streamed, lib), 1.5, "ratio", "high",
    )  # fmt: skip


@figure("single")
def single(bench: Bench) -> Iterator[Figure]:
    """32 callers at once, each sending one report at a time and waiting for the answer."""
    library, count = yardstick(), bench.size(6_400, 1_280)
    some = [r for batch in batches(count, seed=2) for r in batch]

    def ours(turn: int) -> float:
        bench.say(f"single reports: round {turn + 1}")
        with opened(bench.folder / f"single-{turn}") as home:
            door = intake(home)
            return count / timed(lambda: at_once(some, lambda r: door.reports([r]), CALLERS))

    def by_library(turn: int) -> float:
        path: Path = bench.folder / f"single-library-{turn}.db"
        with library.application(path) as app:
            return count / timed(lambda: at_once(some, lambda r: app.save(*library.events_of([r])), CALLERS))

    own, lib = take_turns([ours, by_library], bench.size(3, 2))
    yield Figure(
        "intake_32_callers_vs_eventsourcing",
        "single reports of 32 concurrent callers; baseline: the same through Application.save",
        statistics.median(own), "events/s", count, 0,
        statistics.median(lib), median_ratio(own, lib), 4, "ratio", "high",
    )  # fmt: skip


def yardstick() -> ModuleType:
    """
    The yardstick written with `eventsourcing`.

    Raises:
        Misconfigured: the library is not installed.
    """
    try:
        from mlife.bench import library
    except ModuleNotFoundError as e:
        raise Misconfigured(
            f"the yardstick needs a package that is not installed: {e.name}",
            remedy="pip install 'mlife[eventsourcing]', or choose other groups: mlife bench --help",
        ) from e
    return library


def at_once(items: Sequence[Any], send: Callable[[Any], object], callers: int) -> None:
    """Share *items* among *callers* threads."""
    faults: list[BaseException] = []

    def caller(mine: Sequence[Any]) -> None:
        try:
            for item in mine:
                send(item)
        except BaseException as e:  # noqa: BLE001 - a thread's fault must end the run
            faults.append(e)

    threads = [threading.Thread(target=caller, args=(items[at::callers],)) for at in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
