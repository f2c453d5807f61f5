"""How fast it starts and how much it takes: import, `mlife up`, memory, and (where asked) the disk of an install."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import orjson

import mlife
from mlife.bench.figures import Bench, Figure, figure
from mlife.bench.reports import reports
from mlife.bench.server import up
from mlife.core.projection import projections

PAGES = ("/", "/badcases", "/documents", "/tasks", "/models", "/deployments")
IMPORT = "import time; start = time.perf_counter(); import mlife; print(time.perf_counter() - start)"


@figure("start")
def starting(bench: Bench) -> Iterator[Figure]:
    """Import, first answer, memory after a little work."""
    bench.say("start: importing")
    seconds = [float(_python(IMPORT)) for _ in range(bench.size(7, 3))]
    yield Figure("import_seconds", "`import mlife` in a new interpreter", statistics.median(seconds), "s", 0, goal=0.3)
    started, memory = [], 0.0
    count = bench.size(10_000, 1_000)
    for turn in range(bench.size(3, 1)):
        bench.say(f"start: mlife up, round {turn + 1}")
        with up(bench.folder / f"up-{turn}") as server:
            started.append(server.started)
            if turn == 0:
                server.post("/api/v1/reports", b"\n".join(map(orjson.dumps, reports(count))), "application/x-ndjson")
                for _ in range(5):
                    for page in PAGES:
                        server.get(page)
                memory = server.resident()
    many = len(projections)
    yield Figure(
        "up_seconds", "`mlife up` on a new home answers /healthz", statistics.median(started), "s", 0, many, goal=2
    )
    yield Figure(
        "memory_mb", f"resident memory of `mlife up` after {count:,} reports in one POST and {5 * len(PAGES)} pages",
        memory, "MB", count, many, goal=150,
    )  # fmt: skip


def _python(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout  # noqa: S603


@figure("install")
def install(bench: Bench) -> Iterator[Figure]:
    """A new environment with the pinned core requirements and nothing else; needs the package indexes."""
    checkout = Path(mlife.__file__).parents[1]
    bench.say("install: the core into a new environment")
    place = bench.folder / "venv"
    venv.create(place, with_pip=False)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--python", str(place / "bin/python"))
    wanted = checkout / "requirements" / "core.txt"
    subprocess.run([*pip, "install", "--require-hashes", "-r", str(wanted)], check=True)  # noqa: S603
    (packages,) = place.glob("lib/python*/site-packages")
    own = sum(_bytes(checkout / part) for part in ("mlife", "projections", "handlers"))
    yield Figure(
        "install_mb", "disk of the core with what it needs, without extras",
        (_bytes(packages) + own) / 1_000_000, "MB", 0, goal=120,
    )  # fmt: skip


def _bytes(folder: Path) -> int:
    """What `du` counts: whole blocks, compiled files included."""
    return sum((Path(place) / name).lstat().st_blocks * 512 for place, _, names in os.walk(folder) for name in names)
