"""`mlife task` and `mlife worker tasks`, as a person at a terminal uses them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest


@pytest.fixture
def mlife(bench):
    def run(*words, check=0):
        done = subprocess.run(
            [sys.executable, "-m", "mlife", *words, "--home", str(bench.home.settings.home)],
            check=False, capture_output=True, text=True, cwd=bench.code, env=os.environ | {"MLIFE_ACTOR": "ana"},
        )  # fmt: skip
        assert done.returncode == check, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def test_a_task_is_drafted_started_run_and_read_at_the_terminal(bench, mlife):
    group = bench.group("training")
    task_id = json.loads(mlife("task", "draft", "training", "--group", group, "--name", "first", "--json"))["task_id"]
    mlife(
        "task", "start", task_id, "--entry", "user_code:train", "--param", "C=1.5", "--param", "how=fast", "--seed", "4"
    )

    assert "1 task run" in mlife("worker", "tasks", "--once")

    shown = json.loads(mlife("task", "show", task_id, "--json"))
    assert (shown["state"], shown["parameters"], shown["started_by"]) == ("done", {"C": 1.5, "how": "fast"}, "ana")
    assert shown["workdir"] == str(bench.code)
    assert "trained on 6 rows, seed 4" in mlife("task", "log", task_id, "--follow")
    assert task_id in mlife("task", "list", "state:done")
    assert "no task waits" in mlife("worker", "tasks", "--once")


def test_a_refusal_exits_with_one_and_says_what_would_work(bench, mlife):
    task_id = bench.draft("testing", bench.group("testing"))

    said = mlife("task", "start", task_id, "--entry", "user_code:test", check=1)

    assert "no Model ID is given" in said
    assert "→ name the model" in said
    assert "there is no task tsk-none" in mlife("task", "show", "tsk-none", check=1)
    assert "NAME=VALUE" in mlife("task", "start", task_id, "--entry", "a:b", "--param", "x", check=2)


def test_following_a_task_that_fails_exits_with_one(bench, mlife):
    task_id = bench.train("user_code:fail")
    mlife("worker", "tasks", "--once")

    said = mlife("task", "log", task_id, "--follow", check=1)

    assert "ZeroDivisionError" in said
    assert f"mlife: task {task_id} is failed: the code ended with exit code 1" in said
    mlife("task", "retry", task_id)
    assert bench.words(task_id)[-2:] == ["failed", "queued"]
    mlife("task", "cancel", task_id, "--reason", "enough")
    assert bench.words(task_id)[-1] == "cancelled"


def test_two_models_are_compared_at_the_terminal(bench, mlife):
    old, new = bench.model(), bench.model()
    task_id = bench.draft("testing", bench.group("testing", "aabb"))
    bench.start(task_id, "user_code:test", model_ids=[old, new], parameters={new: {"b": "a"}})
    bench.worker().once()

    counted = json.loads(mlife("task", "compare", new, old, "--json"))

    assert (counted["fixed"], counted["broken"], counted["kept"]) == (0, 2, 2)
    rows = [json.loads(line) for line in mlife("task", "compare", new, old, "--show", "broken", "--json").splitlines()]
    assert {r["state"] for r in rows} == {"broken"}


def test_a_worker_that_is_told_to_end_gives_its_task_back(bench):
    task_id = bench.train("user_code:slow", parameters={"steps": 1000})
    worker = subprocess.Popen(
        [sys.executable, "-m", "mlife", "worker", "tasks", "--home", str(bench.home.settings.home)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while not (bench.code.parent / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.05)

    worker.send_signal(signal.SIGTERM)

    assert worker.wait(15) == 0
    assert bench.words(task_id) == ["drafted", "queued", "started", "queued"]
