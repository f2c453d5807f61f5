"""Runs groups of figures in a folder that is gone afterwards."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path

from mlife.bench import following, growth, intake, overhttp, pages, rebuilding, retrieval, starting
from mlife.bench.figures import Bench, Figure, measures
from mlife.runtime import needing

MODULES = (intake, overhttp, following, rebuilding, growth, retrieval, pages, starting)
GROUPS = tuple(
    name for module in MODULES for name, measure in measures.items() if measure.__module__ == module.__name__
)
"""Every group in the order of the table; what is sensitive to a busy disk comes before what fills it."""

CLUSTER = {
    "cluster-single": "store",
    "cluster-batches": "store",
    "cluster-relay": "relaying",
    "cluster-worker": "folding",
    "cluster-delivery": "delivery",
    "cluster-rebuild": "rebuilding",
    "cluster-catch-up": "folding",
    "cluster-growth": "store",
    "cluster-retrieval": "retrieval",
}
"""Groups of the cluster size, and the modules of `mlife.bench.cluster` that have them: loaded when asked for."""


def run(chosen: Sequence[str], build: Path, *, quick: bool, say: Callable[[str], None]) -> Iterator[Figure]:
    """Measure the groups *chosen*; each gets an empty folder below *build*, on the same disk as everything else."""
    build.mkdir(parents=True, exist_ok=True)
    for group in chosen:
        if group in CLUSTER:
            with needing("cluster", f"{group} measures the cluster size"):
                import_module(f"mlife.bench.cluster.{CLUSTER[group]}")
        folder = Path(tempfile.mkdtemp(prefix=f"bench-{group}-", dir=build))
        start = time.monotonic()
        try:
            yield from measures[group](Bench(folder, quick, say))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        say(f"{group}: done in {time.monotonic() - start:.0f} s")


def machine() -> str:
    """Where it was measured, in one line."""
    return (
        f"Measured on {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}."
    )
