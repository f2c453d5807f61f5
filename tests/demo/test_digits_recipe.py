"""The demo's data and the user's code that is run on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from mlife.demo import digits


@pytest.fixture(scope="module")
def rows():
    return digits.load(0)


def test_no_picture_serves_two_purposes_and_a_seed_gives_the_same_split(rows):
    ids = [sha for part in rows.values() for sha in part.sha256]
    assert len(ids) == len(set(ids)) == 1_797 + 5_000
    again, other = digits.load(0), digits.load(1)
    assert {p: r.labels for p, r in again.items()} == {p: r.labels for p, r in rows.items()}
    assert other["field_seen"].labels != rows["field_seen"].labels


def test_a_collection_prefers_what_looks_like_the_badcases(rows):
    pool = rows["field_pool"]
    guesses = ["9" if label == "4" else label for label in pool.labels]
    taken = digits.collect(pool, guesses, {("4", "9"): 10}, 90, seed=0)
    assert len(taken) == 90
    assert len(set(taken.sha256)) == 90
    assert taken.labels.count("4") >= 60


def run(module, folder, manifest):
    out = folder / "out"
    out.mkdir(parents=True)
    (folder / "task.json").write_text(json.dumps({"manifest": 1, "task_id": "tsk-1", "seed": 0, **manifest}))
    env = os.environ | {"MLIFE_TASK": str(folder / "task.json"), "MLIFE_OUTPUT": str(out), "MLIFE_TASK_ID": "tsk-1"}
    done = subprocess.run(
        [sys.executable, "-m", module], check=False, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return out, done.stdout


def group(part, purpose, folder):
    folder.mkdir()
    listed = []
    for sha, png, label in zip(part.sha256, part.pngs, part.labels, strict=True):
        (folder / sha).write_bytes(png)
        listed.append({"sha256": sha, "file": str(folder / sha), "path": f"{sha}.png", "md5": "", "annotation": label})
    return {"group_id": "grp-1", "name": part.purpose, "purpose": purpose, "digest": "", "rows": listed}


def test_the_user_code_trains_and_tests_a_model_in_processes_of_its_own(rows, tmp_path):
    train = group(rows["home_train"], "training", tmp_path / "a")
    tests = [group(rows[p], "testing", tmp_path / p) for p in ("home_test", "field_test")]
    made, said = run(
        "mlife.demo.train_digits",
        tmp_path / "train",
        {"kind": "training", "parameters": {"C": 10.0, "gamma": 0.001}, "groups": [train], "models": []},
    )
    assert said.splitlines()[-1] == "MLIFE progress 1 done"
    model = {"model_id": "mdl-1", "path": str(made / "model.onnx"), "sha256": ""}
    out, _ = run(
        "mlife.demo.test_digits",
        tmp_path / "test",
        {"kind": "testing", "parameters": {}, "groups": tests, "models": [model]},
    )
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["accuracy.home_test"] >= 0.98
    assert 0.35 <= metrics["accuracy.field_test"] <= 0.55
    assert len((out / "results.jsonl").read_text().splitlines()) == 597 + 850
