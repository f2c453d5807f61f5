"""Kill -9 at any moment of the demo and start again: it goes on where it was."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Told, mlife

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]
KILLS = 30
LONGEST = 6.0
"""Seconds until a kill; long enough that a run gets further than its start, short enough for many kills."""


def test_thirty_kills_lose_nothing_double_nothing_and_train_nothing_twice(told: Told, tmp_path: Path) -> None:
    home, seed = tmp_path / "home", random.randrange(10**6)
    draw = random.Random(seed)
    kills = 0
    while kills < KILLS:
        if _killed(home, draw.uniform(0.3, LONGEST)):
            kills += 1
        elif kills < KILLS:  # it came to its end: the last kills hit a demo that is told again
            continue
    ended = mlife("demo", "--home", str(home), "--json", timeout=300)

    assert ended.returncode == 0, f"draw {seed}: {ended.stderr[-3000:]}"
    result = json.loads(ended.stdout.splitlines()[-1])
    same = ("sends", "reports", "pictures", "badcases", "accuracy", "gate", "fixed", "broken", "still_failing")
    assert {k: result[k] for k in same} == {k: told.result[k] for k in same}, f"draw {seed}"
    _each_task_ended_once(home)
    for projection in ("badcases", "data", "training", "serving"):
        assert mlife("projection", "verify", projection, "--home", str(home)).returncode == 0, f"draw {seed}"


def _killed(home: Path, after: float) -> bool:
    """Start the demo and kill it, with all its children, after so many seconds; False if it had ended by itself."""
    command = [sys.executable, "-m", "mlife", "demo", "--home", str(home), "--json"]
    with subprocess.Popen(command, cwd=ROOT / "tests", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as running:
        try:
            _, said = running.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            os.kill(running.pid, signal.SIGKILL)
            running.communicate()
            return True
        assert running.returncode == 0, said.decode()[-3000:]
        time.sleep(0.05)
        return False


def _each_task_ended_once(home: Path) -> None:
    tail = mlife("event", "tail", "--after", "0", "--home", str(home)).stdout.splitlines()
    events = [json.loads(line) for line in tail]
    assert [int(e["sequence"]) for e in events] == list(range(1, len(events) + 1))
    assert max(Counter(e["id"] for e in events).values()) == 1
    for kind in ("mlife.task.finished.v1", "mlife.model.trained.v1", "mlife.deployment.created.v1"):
        ended = Counter(e["subject"] for e in events if e["type"] == kind)
        assert ended, kind
        assert max(ended.values()) == 1, kind
    trained = [e["data"]["task_id"] for e in events if e["type"] == "mlife.model.trained.v1"]
    assert len(trained) == len(set(trained)) == 4
