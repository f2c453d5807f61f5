"""Tasks are run in real child processes; what they leave is kept, and what is wrong with it is said."""

from __future__ import annotations

import json
import threading
import time

import pytest

from mlife.core.errors import Refused
from mlife.training import commands, views
from mlife.training.live import live


def test_grouping_drafts_a_task_with_the_minted_id(bench):
    bench.group("testing")
    bench.settle()

    with bench.see() as read:
        drafted = views.task(read, "tsk-of-grp-testing")
    assert (drafted.state, drafted.kind, drafted.group_ids) == ("draft", "testing", ("grp-testing",))
    assert bench.words("tsk-of-grp-testing") == ["drafted"]


def test_a_training_task_leaves_a_model_with_its_log_metrics_and_configuration(bench):
    task_id = bench.train(seed=5)

    assert bench.worker().once() == 1

    assert bench.words(task_id) == ["drafted", "queued", "started", "finished"]
    end = bench.events(task_id)[-1]
    (trained,) = (r.event for r in bench.home.ports.store.read_stream(f"model/{end.model_id}"))
    assert trained.metrics == {"rows": 6}
    assert trained.digests["code"] == end.digests["code"]
    assert set(end.files) == {"log.txt", "model.onnx", "metrics.json", "config.json", "code/user_code.py"}
    assert bench.stored(trained.sha256) == (bench.code / "constant.onnx").read_bytes()
    assert b"trained on 6 rows, seed 5" in bench.stored(end.files["log.txt"])
    assert not (bench.home.settings.home / "runs" / task_id).exists()
    with bench.see() as read:
        shown = views.task(read, task_id)
    assert (shown.state, shown.attempt, shown.model_id, shown.metrics) == ("done", 1, end.model_id, {"rows": 6})


def test_a_test_keeps_the_result_of_every_sample_and_the_latest_test_counts(bench):
    model = bench.model()
    group = bench.group("testing", "aabbc")
    first = bench.draft("testing", group)
    bench.start(first, "user_code:test", model_ids=[model], parameters={model: {"b": "a"}})
    bench.worker().once()
    with bench.see() as read:
        before = views.results(read, model, group)
    assert sorted((r.truth, r.label) for r in before.values()) == [
        ("a", "a"), ("a", "a"), ("b", "a"), ("b", "a"), ("c", "c"),
    ]  # fmt: skip

    second = bench.draft("testing", group)
    bench.start(second, "user_code:test", model_ids=[model])
    bench.worker().once()

    with bench.see() as read:
        assert all(r.correct for r in views.results(read, model, group).values())
        (score,) = views.tested_groups(read, model)
        assert (score.task_id, score.size, score.correct) == (second, 5, 5)
        (old,) = views.scores_of_task(read, first)
        assert (old.size, old.correct) == (5, 3)
        assert len(views.samples(read, views.set_key(first, model, group), correct=False)) == 2
    assert bench.events(second)[-1].tested == {model: {group: 5}}


def test_an_exception_fails_the_task_with_the_end_of_its_log(bench):
    task_id = bench.train("user_code:fail")

    bench.worker().once()

    end = bench.events(task_id)[-1]
    assert end.declared.name == "mlife.task.failed"
    assert end.error.startswith("the code ended with exit code 1\nabout to divide")
    assert "ZeroDivisionError" in end.error
    assert "launch.py" not in end.error
    assert b"about to divide" in bench.stored(end.files["log.txt"])


@pytest.mark.parametrize(
    ("leaves", "error"),
    [
        ("pass", "left no model.onnx"),
        ("(out / 'model.onnx').write_bytes(b'not a model')", "is no ONNX file"),
        ("(out / 'metrics.json').write_text('{\"loss\": NaN}')", "1 values that are no numbers"),
        ("(out / 'metrics.json').write_text('[1]')", "is no object"),
        ("(out / 'metrics.json').write_text('[' * 100_000)", "is no JSON"),
        ("(out / 'metrics.json').write_text('{\"a\": 1' + '0' * 400 + '}')", "is no finite number"),
        ("(out / 'metrics.json').write_text('{\"a' + chr(92) + 'ud800\": 1}')", "is no name"),
        ("(out / 'metrics.json').write_text('{\"' + 'a' * 201 + '\": 1}')", "is no name"),
        ("import json; (out / 'metrics.json').write_text(json.dumps({f'm{i}': i for i in range(1_001)}))", "1,001"),
        ("os.mkfifo(out / 'metrics.json')", "metrics.json is no file"),
        ("os.symlink('/dev/zero', out / 'metrics.json')", "metrics.json is no file"),
        ("os.symlink('/dev/zero', out / 'model.onnx')", "left no model.onnx"),
    ],
)
def test_a_training_task_that_leaves_what_cant_be_used_fails_and_says_why(bench, leaves, error):
    (bench.code / "odd.py").write_text(
        f"import os, pathlib\ndef main():\n    out = pathlib.Path(os.environ['MLIFE_OUTPUT'])\n    {leaves}\n"
    )
    task_id = bench.train("odd:main")

    bench.worker().once()

    assert error in bench.events(task_id)[-1].error


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("lines.pop()", "no line for 1 samples"),
        ("lines.append(lines[0])", None),
        ("lines[0]['prediction'] = None", "line 1, prediction"),
        ("lines.append({**lines[0], 'prediction': 'z'})", "was answered a before"),
        ("lines[1]['score'] = 7", "line 2, score: '7' is no score"),
        ("lines[2]['sha256'] = '00'", "line 3, sha256: '00' is no row of the test groups"),
        ("lines[0]['model_id'] = 'mdl-other'", "is no model of this task"),
        ("lines.append(5)", "line 4: '5' is no object"),
    ],
)
def test_results_are_judged_line_by_line(bench, change, error):
    model = bench.model()
    group = bench.group("testing", "abc")
    (bench.code / "odd.py").write_text(
        "import json, os, pathlib, mlife\n"
        "def main():\n"
        "    with mlife.task() as t:\n"
        "        lines = [{'sha256': r.sha256, 'prediction': r.label, 'score': None} for r in t.rows()]\n"
        f"    {change}\n"
        "    text = ''.join(json.dumps(line) + chr(10) for line in lines)\n"
        "    pathlib.Path(os.environ['MLIFE_OUTPUT'], 'results.jsonl').write_text(text)\n"
    )
    task_id = bench.draft("testing", group)
    bench.start(task_id, "odd:main", model_ids=[model])

    bench.worker().once()

    end = bench.events(task_id)[-1]
    if error is None:
        assert end.tested == {model: {group: 3}}
    else:
        assert error in end.error


def test_a_command_line_runs_without_a_shell_in_its_working_folder(bench):
    script = "import os, pathlib; print(pathlib.Path.cwd().name, os.environ['OMP_NUM_THREADS'])"
    (bench.code / "go.py").write_text(script)
    task_id = bench.train("python go.py '$HOME; ls'")

    bench.worker().once()

    end = bench.events(task_id)[-1]
    assert "left no model.onnx" in end.error
    assert bench.stored(end.files["log.txt"]) == b"code 1\n"
    assert bench.stored(end.files["code/go.py"]).decode() == script


@pytest.mark.parametrize(
    ("entry_point", "workdir", "error"),
    [
        ("no_such_program --x", None, "no_such_program can't be run"),
        ("no_such_module:main", None, "ModuleNotFoundError"),
        ("user_code:nothing", None, "AttributeError"),
        ("user_code:train", "/no/such/folder", "the working folder /no/such/folder is not there"),
    ],
)
def test_code_that_cant_be_found_fails_the_task(bench, entry_point, workdir, error):
    task_id = bench.train(entry_point, **({"workdir": workdir} if workdir else {}))

    bench.worker().once()

    assert error in bench.events(task_id)[-1].error


def test_rows_whose_files_are_not_stored_fail_the_task_before_any_code_runs(bench):
    rows = [{"path": "gone.txt", "md5": "0" * 32, "sha256": "0" * 64, "annotation": "a"}]
    bench.seal("grp-training", "training", rows)
    task_id = bench.train("user_code:slow")

    bench.worker().once()

    assert "row 1 of grp-training: its file is not in the store" in bench.events(task_id)[-1].error
    assert not (bench.code.parent / "begun").exists()


def test_a_row_whose_file_was_changed_on_the_disk_fails_the_task_until_it_is_put_again(bench):
    task_id = bench.train()
    stored = bench.home.ports.blobs.put(b"a0training")
    path = bench.home.ports.blobs.path(stored.sha256)
    path.chmod(0o644)
    path.write_bytes(b"b0training")

    bench.worker().once()

    assert "row 1 of grp-training: its file has been changed on the disk" in bench.events(task_id)[-1].error

    bench.home.ports.blobs.put(b"a0training")
    bench.home.do(commands.retry_task, task_id=task_id)
    bench.worker().once()
    assert bench.words(task_id)[-1] == "finished"


def test_a_model_whose_file_was_changed_on_the_disk_is_not_tested(bench):
    model_id = bench.model()
    sha256 = next(r.event.sha256 for r in bench.home.ports.store.read_stream(f"model/{model_id}"))
    path = bench.home.ports.blobs.path(sha256.removeprefix("sha256:"))
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    task_id = bench.draft("testing", bench.group("testing"))
    bench.start(task_id, "user_code:test", model_ids=(model_id,))

    bench.worker().once()

    assert f"the file of {model_id} has been changed on the disk" in bench.events(task_id)[-1].error


def test_a_log_that_is_too_long_is_cut_with_a_clear_last_line(bench):
    (bench.code / "loud.py").write_text("def main():\n    for i in range(3000): print('x' * 100)\n    1 / 0\n")
    task_id = bench.train("loud:main")

    bench.worker(log_limit=10_000).once()

    end = bench.events(task_id)[-1]
    log = bench.stored(end.files["log.txt"]).decode()
    assert log.endswith("MLife: the log has more than 10,000 bytes; what follows is not kept\n")
    assert len(log) < 10_200
    assert "ZeroDivisionError" in end.error


def test_code_that_takes_too_long_is_ended_with_all_its_processes(bench):
    task_id = bench.train("sh -c 'sleep 100 & sleep 100'", time_limit=0.3)
    begun = time.monotonic()

    bench.worker().once()

    assert "longer than its limit of 0.3 seconds" in bench.events(task_id)[-1].error
    assert time.monotonic() - begun < 10


def test_progress_and_log_can_be_followed_and_a_cancelled_task_stops_at_once(bench):
    task_id = bench.train("user_code:slow", parameters={"steps": 1000})
    runs = bench.home.settings.home / "runs"
    stop = threading.Event()
    thread = threading.Thread(target=bench.worker().run, args=(stop,))
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not ((seen := live(runs, task_id, 1)) and seen.share > 0):
            time.sleep(0.02)
        assert seen.text.startswith("step ")

        bench.home.do(commands.cancel_task, task_id=task_id, reason="enough")
        begun = time.monotonic()
        while bench.home.ports.locks.is_held(f"tasks/{task_id}"):
            time.sleep(0.02)
        assert time.monotonic() - begun < 2
        assert bench.words(task_id) == ["drafted", "queued", "started", "cancelled"]
    finally:
        stop.set()
        thread.join()


def test_a_worker_that_is_told_to_stop_gives_its_task_back(bench):
    task_id = bench.train("user_code:slow", parameters={"steps": 1000})
    stop = threading.Event()
    thread = threading.Thread(target=bench.worker().run, args=(stop,))
    thread.start()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not (bench.code.parent / "begun").exists():
        time.sleep(0.02)

    stop.set()
    thread.join(10)

    assert not thread.is_alive()
    assert bench.words(task_id) == ["drafted", "queued", "started", "queued"]


def test_tasks_run_side_by_side_up_to_the_number_allowed(bench):
    ids = [bench.train("user_code:slow", parameters={"steps": 20}) for _ in range(3)]

    assert bench.worker(parallel=2).once() == 3

    assert all(bench.words(i)[-1] == "finished" for i in ids)
    starts = {
        i: next(r.position for r in bench.home.ports.store.read_stream(f"task/{i}") if r.version == 3) for i in ids
    }
    ends = {i: next(r.position for r in bench.home.ports.store.read_stream(f"task/{i}") if r.version == 4) for i in ids}
    assert max(starts[ids[0]], starts[ids[1]]) < min(ends.values())
    assert starts[ids[2]] > min(ends[ids[0]], ends[ids[1]])


def test_a_finished_attempt_cant_be_finished_again_under_another_key(bench):
    task_id = bench.train()
    bench.worker().once()

    with pytest.raises(Refused, match=r"attempt 1 of task .* is over: the task is done"):
        bench.home.do(commands.finish_task, task_id=task_id, attempt=1, seconds=1.0, metrics={}, files={}, digests={})


def test_the_configuration_is_kept_even_if_the_code_leaves_none(bench):
    (bench.code / "plain.py").write_text(
        "import os, pathlib, shutil\n"
        "def main():\n    shutil.copy('constant.onnx', pathlib.Path(os.environ['MLIFE_OUTPUT'], 'model.onnx'))\n"
    )
    task_id = bench.train("plain:main", parameters={"epochs": 4}, seed=9)

    bench.worker().once()

    end = bench.events(task_id)[-1]
    config = json.loads(bench.stored(end.files["config.json"]))
    assert (config["parameters"], config["seed"], config["entry_point"]) == ({"epochs": 4}, 9, "plain:main")
