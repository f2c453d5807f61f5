"""
One run and its verdict: `python -m tests.oracle --seed N --kills 30 --size cluster`.

The last thing said is one JSON object. Exit code 1 if anything was found; then journals and logs are kept.
"""

import argparse
import heapq
import itertools
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.oracle.faults import FAULTS, Step, schedule
from tests.oracle.processes import SLOTS, World

PROLOGUE = 4.0
"""Seconds for the first processes to come up before the first fault."""
EPILOGUE = 3.0
"""Seconds of peace before the writers are asked to end."""
SHORT = 100
"""Kills of a short run; a longer one would gather more events than can be judged."""
DRAIN = 120.0
"""Seconds until everything must have reached the head."""
JUDGING = 3_600.0
"""Seconds for the whole verdict, however long the log."""


def main(words: list[str]) -> int:
    """Run, judge, tell."""
    told = _told(words)
    folder = Path(told.folder or tempfile.mkdtemp(prefix="mlife-oracle-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # PostgreSQL runs as another user when we are root
    began = time.monotonic()
    world = World(folder, told.size, told.seed, pace=told.pace, s3=told.s3)
    _listen(world)
    steps = schedule(told.seed, told.size, told.kills, told.gap)
    (folder / "schedule.json").write_text(json.dumps([asdict(s) for s in steps], indent=1))
    try:
        with world.servers():
            try:
                _live_through(world, steps, told.kills)
                result = _judged(world)
            finally:
                world.close()
    except BaseException:
        sys.stderr.write(f"the run of seed {told.seed} broke off; its journals are in {folder}\n")
        raise
    again = " ".join(f"--{name} {getattr(told, name)}" for name in ("seed", "kills", "size", "gap", "pace", "s3"))
    result = {
        "seed": told.seed,
        "size": told.size,
        "kills": world.kills,
        "seconds": round(time.monotonic() - began, 1),
        **result,
        "happened": _counted(folder),
        "folder": str(folder),
        "again": f"python -m tests.oracle {again}",
    }
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    if result["findings"]:
        sys.stderr.write(f"{len(result['findings'])} findings; journals and logs are in {folder}\n")
        return 1
    if not told.folder:
        shutil.rmtree(folder)
    return 0


def _listen(world: World) -> None:
    """Ctrl-C: enough, judge what there is; again, or SIGTERM: end, and take along what was started."""

    def enough(number: int, _: Any) -> None:
        if world.is_ending:
            sys.exit(128 + number)
        world.is_ending = True
        sys.stderr.write(f"no more faults after {world.kills} kills; the verdict follows\n")

    signal.signal(signal.SIGINT, enough)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def _told(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__.splitlines()[1])
    parser.add_argument("--seed", default=str(random.randrange(10**6)))
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--size", choices=sorted(SLOTS), default="cluster")
    parser.add_argument("--gap", type=float, default=2.0, help="mean seconds between faults")
    parser.add_argument("--pace", type=float, help="the larger, the more a writer's threads rest (0.2; 0.6 for a soak)")
    parser.add_argument("--s3", choices=("versitygw", "minio"), default="versitygw", help="what keeps the files")
    parser.add_argument("--folder", default="", help="keep everything there; default: kept only if something was found")
    told = parser.parse_args(words)
    if told.pace is None:
        told.pace = 0.2 if told.kills <= SHORT else 0.6
    return told


def _live_through(world: World, steps: Iterable[Step], kills: int) -> None:
    """Everything on, the faults of the schedule, everything healed, the writers gone."""
    world.tend()
    _tended(world, PROLOGUE)
    _play(world, steps)
    extra = random.Random(f"more {world.seed}")
    killing = sorted(name for name, f in FAULTS.items() if f.kills == 1 and world.size in f.sizes and f.lasts == (0, 0))
    while world.kills < kills and not world.is_ending:  # some victims were dead already
        _play(world, [Step(extra.uniform(0.2, 2.0), extra.choice(killing), extra.random(), 0.0)])
    for slot in list(world.slots):
        world.resume(slot)
    for server in (world.postgres, world.kafka, world.s3):
        if server is not None:
            server.start()
    _tended(world, EPILOGUE)
    world.retire("writer", "producer")


def _play(world: World, steps: Iterable[Step]) -> None:
    """
    Let every step happen in its second, and what it began end in its own.

    The clock of the schedule stands still while a server is started: what follows is not to come all at once then.
    """
    order = itertools.count()
    coming: list[tuple[float, int, Callable[[], Any]]] = []
    lost = time.monotonic()

    def happen(step: Step) -> None:
        if world.is_ending:
            return
        world.tell(step.fault, which=step.which, lasts=step.lasts)
        end = FAULTS[step.fault].do(world, step.which)
        if end is not None:
            heapq.heappush(coming, (step.second + step.lasts, next(order), end))

    for step in steps:
        heapq.heappush(coming, (step.second, next(order), lambda step=step: happen(step)))
    while coming:
        second, _, act = heapq.heappop(coming)
        while not world.is_ending and (left := lost + second - time.monotonic()) > 0:
            _tended(world, min(left, 0.5))
        act()
        world.tend()
        lost = max(lost, time.monotonic() - second)


def _tended(world: World, seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        world.tend()
        left = until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(0.1, left))


def _judged(world: World) -> dict[str, Any]:
    """The verdict of a process that knows the feature; what is to drain is tended meanwhile."""
    answer = world.folder / "verdict.json"
    with answer.open("wb") as out, (world.folder / "logs" / "judge.log").open("ab") as log:
        judge = subprocess.Popen(
            [sys.executable, "-m", "tests.oracle.judge", str(world.folder), str(DRAIN)],
            cwd=world.folder,
            env={**world.environment, **({"MLIFE_HOME": str(world.folder / "judge")} if world.s3 else {})},
            stdout=out,
            stderr=log,
        )
    world.errands.append(judge)
    give_up = time.monotonic() + JUDGING
    while judge.poll() is None:
        if time.monotonic() > give_up:
            return {"findings": [f"no verdict after {JUDGING:g} s"], "figures": {}}
        _tended(world, 0.2)
    if judge.returncode != 0:
        said = (world.folder / "logs" / "judge.log").read_text()
        return {"findings": [f"the judge ended with {judge.returncode}: {said[-3000:]}"], "figures": {}}
    verdict: dict[str, Any] = json.loads(answer.read_text())
    return verdict


def _counted(folder: Path) -> dict[str, int]:
    """How often each thing happened."""
    counts: dict[str, int] = {}
    for line in (folder / "happened.jsonl").read_text().splitlines():
        what = json.loads(line)["what"]
        counts[what] = counts.get(what, 0) + 1
    return dict(sorted(counts.items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
