"""Worker or code is killed at random moments; no task is lost, doubled, or trained to its end twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from mlife.training import views

WORKER = """
import sys
from pathlib import Path
from mlife.runtime import open_home, settings
from mlife.training.worker import TaskWorker

with open_home(settings(sys.argv[1])) as home:
    print("ready", flush=True)
    TaskWorker(home.ports, home.do, home.settings.home / "runs", see=home.see).once()
"""
STEPS = 8
SPAN = STEPS * 0.03 + 0.25
"""Seconds that a run takes, about."""


def begin_worker(home):
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(home.settings.home)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert worker.stdout.readline() == b"ready\n"
    worker.stdout.close()
    return worker


def written(path):
    return path.read_text().split() if path.exists() else []


def alive(pid):
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3]
    return False


@pytest.fixture
def slow_task(bench):
    return bench.train("user_code:slow", parameters={"steps": STEPS})


def check_ended_once(bench, task_id):
    """Whatever was killed, the task is done, with one model and one end."""
    words = bench.words(task_id)
    assert words[-1] == "finished", words
    assert words.count("finished") == 1
    models = [r for r in bench.home.ports.store.read() if r.draft.type == "mlife.model.trained.v1"]
    assert len(models) == 1
    assert len(written(bench.code.parent / "ended")) == 1  # the code came to its end once
    assert not any(alive(int(pid)) for pid in written(bench.code.parent / "begun"))
    with bench.see() as read:
        assert views.task(read, task_id).state == "done"


@pytest.mark.parametrize("seed", range(8))
def test_a_worker_is_killed_at_a_random_moment_and_the_next_one_goes_on(bench, slow_task, seed):
    moments = random.Random(seed)
    for _ in range(2):  # a third death would be the task's own fault
        worker = begin_worker(bench.home)
        with suppress(subprocess.TimeoutExpired):
            worker.wait(moments.uniform(0, SPAN))
        worker.kill()
        worker.wait()

    bench.worker().once()

    check_ended_once(bench, slow_task)


@pytest.mark.parametrize("seed", range(4))
def test_the_code_is_killed_at_a_random_moment_and_is_begun_again(bench, slow_task, seed):
    worker = begin_worker(bench.home)
    begun = bench.code.parent / "begun"
    deadline = time.monotonic() + 20
    while not written(begun) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(random.Random(seed).uniform(0, STEPS * 0.03))
    with suppress(ProcessLookupError):
        os.kill(int(written(begun)[0]), signal.SIGKILL)
    assert worker.wait(30) == 0

    check_ended_once(bench, slow_task)


def test_code_dies_with_its_worker_at_once(bench, slow_task):
    worker = begin_worker(bench.home)
    begun = bench.code.parent / "begun"
    deadline = time.monotonic() + 20
    while not written(begun) and time.monotonic() < deadline:
        time.sleep(0.01)
    (pid,) = map(int, written(begun))

    worker.kill()
    worker.wait()

    deadline = time.monotonic() + 2
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(pid)


def test_what_code_left_at_its_end_is_recorded_by_the_next_worker_without_running_it_again(
    bench, slow_task, monkeypatch
):
    worker = bench.worker()
    monkeypatch.setattr(worker, "_finish", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt), bench.home.ports.locks.hold(f"tasks/{slow_task}"):
        worker._attempt(slow_task, threading.Event())
    assert bench.words(slow_task)[-1] == "started"

    bench.worker().once()

    check_ended_once(bench, slow_task)
    assert len(written(bench.code.parent / "begun")) == 1
    assert bench.words(slow_task).count("started") == 1


def test_code_that_is_killed_every_time_fails_after_three_attempts_with_its_log(bench):
    (bench.code / "doomed.py").write_text(
        "import os\ndef main():\n    print('here I go')\n    os.kill(os.getpid(), 9)\n"
    )
    task_id = bench.train("doomed:main")

    bench.worker().once()

    assert bench.words(task_id) == ["drafted", "queued", "started", "started", "started", "failed"]
    end = bench.events(task_id)[-1]
    assert "killed 3 times" in end.error
    assert bench.stored(end.files["log.txt"]) == b"here I go\n"


def test_up_that_is_told_to_end_gives_its_running_task_back_at_once(bench):
    task_id = bench.train("user_code:slow", parameters={"steps": 1_000})
    begun = bench.code.parent / "begun"
    command = [sys.executable, "-m", "mlife", "up", "--home", str(bench.home.settings.home), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as up:
        deadline = time.monotonic() + 20
        while not written(begun) and time.monotonic() < deadline:
            time.sleep(0.01)
        told = time.monotonic()
        up.send_signal(signal.SIGTERM)
        _, said = up.communicate(timeout=20)

    assert (up.returncode, said) == (0, b"")
    assert time.monotonic() - told < 4
    assert bench.words(task_id)[-2:] == ["started", "queued"]
    assert not alive(int(written(begun)[0]))
