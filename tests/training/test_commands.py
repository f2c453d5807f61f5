"""What may happen to a task, and when."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mlife.core.command import given_for_test
from mlife.core.errors import Invalid, NotFound, Refused
from mlife.data.events import DocumentGrouped
from mlife.serving.events import ModelAdded
from mlife.training import commands as c
from mlife.training.events import (
    ModelTrained,
    ResultRecorded,
    TaskCancelled,
    TaskDrafted,
    TaskFailed,
    TaskFinished,
    TaskQueued,
    TaskStarted,
)

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def group(purpose):
    return DocumentGrouped(
        group_id=f"grp-{purpose}", task_id="tsk-x", name=purpose, purpose=purpose, documents={}, rows=1, by_class={},
        digest="d", checked_at=0,
    )  # fmt: skip


GROUPS = [group("training"), group("validation"), group("testing")]
MODEL = ModelAdded(model_id="mdl-1", name="one", system="post", function="letters", sha256="0" * 64, size=1)


def drafted(kind="training", *groups):
    return TaskDrafted(task_id="tsk-1", kind=kind, name="run", group_ids=groups, system="post", function="letters")


def queued(**more):
    return TaskQueued(task_id="tsk-1", entry_point="a:b", group_ids=("grp-training",), **more)


def started(attempt):
    return TaskStarted(task_id="tsk-1", attempt=attempt, worker="w")


def given(*events):
    return given_for_test([*GROUPS, MODEL, *events], now=NOW)


def test_a_draft_takes_a_new_id_or_the_minted_one_and_is_made_once():
    (by_hand,) = c.draft_task(given(), kind="testing", group_ids=("grp-testing", "grp-testing"))
    assert (by_hand.name, by_hand.group_ids, by_hand.by) == ("testing", ("grp-testing",), "tester")
    assert by_hand.task_id.startswith("tsk-")
    (minted,) = c.draft_task(given(), kind="testing", group_ids=("grp-testing",), task_id="tsk-9")
    assert minted.task_id == "tsk-9"
    assert c.draft_task(given(drafted()), kind="training", task_id="tsk-1") == []


@pytest.mark.parametrize(
    ("kind", "group_id", "error"),
    [
        ("training", "grp-testing", "grp-testing is a testing group and this is a training task"),
        ("testing", "grp-training", "grp-training is a training group and this is a testing task"),
        ("testing", "grp-validation", "grp-validation is a validation group"),
        ("testing", "grp-none", "there is no group grp-none"),
    ],
)
def test_testing_rows_stay_in_testing_tasks_and_others_out_of_them(kind, group_id, error):
    with pytest.raises((Refused, NotFound), match=error) as at_draft:
        c.draft_task(given(), kind=kind, group_ids=(group_id,))
    assert at_draft.value.remedy
    with pytest.raises((Refused, NotFound), match=error):
        c.start_task(
            given(drafted(kind)), task_id="tsk-1", entry_point="a:b", group_ids=(group_id,), model_ids=("mdl-1",)
        )


def test_a_testing_task_without_a_model_id_does_not_start():
    with pytest.raises(Refused, match="no Model ID is given") as refused:
        c.start_task(given(drafted("testing", "grp-testing")), task_id="tsk-1", entry_point="a:b")
    assert "mlife task start" in refused.value.remedy


@pytest.mark.parametrize(
    ("task", "more", "error"),
    [
        (drafted("training", "grp-validation"), {}, "has no training group"),
        (drafted("training", "grp-training"), {"model_ids": ("mdl-1",)}, "trains a model and tests none"),
        (drafted("training", "grp-training"), {"parents": ("mdl-9",)}, "there is no model mdl-9"),
        (drafted("testing"), {"model_ids": ("mdl-1",)}, "has no testing group"),
        (drafted("training", "grp-training"), {"workdir": "code"}, "relative to nothing"),
        (drafted("training", "grp-training"), {"entry_point": " "}, "the entry point is empty"),
        (drafted("training", "grp-training"), {"entry_point": "python 'x"}, "no closing quotation"),
        (drafted("training", "grp-training"), {"parameters": {"a": [float("nan")]}}, "can't be kept as JSON"),
        (drafted("training", "grp-training"), {"parameters": {"a": "x" * 70_000}}, "more than 64,000 bytes"),
    ],
)
def test_what_cant_be_run_is_refused_with_the_reason(task, more, error):
    with pytest.raises((Refused, NotFound, Invalid), match=error):
        c.start_task(given(task), **({"task_id": "tsk-1", "entry_point": "a:b"} | more))


def test_a_model_of_another_function_is_refused():
    other = ModelAdded(model_id="mdl-2", name="two", system="post", function="stamps", sha256="0" * 64, size=1)
    with pytest.raises(Refused, match="model mdl-2 is for function stamps, and task tsk-1 for letters"):
        c.start_task(
            given(drafted("testing", "grp-testing"), other), task_id="tsk-1", entry_point="a:b", model_ids=("mdl-2",)
        )


def test_parents_are_the_deployed_models_unless_others_are_named():
    task = given(drafted("training", "grp-training"))
    (default,) = c.start_task(task, task_id="tsk-1", entry_point="a:b", deployed=("mdl-1",))
    (none,) = c.start_task(task, task_id="tsk-1", entry_point="a:b", deployed=("mdl-1",), parents=())
    assert (default.parents, none.parents) == (("mdl-1",), ())


def test_groups_can_be_used_again_by_later_tasks():
    (again,) = c.start_task(
        given(drafted("training", "grp-training")),
        task_id="tsk-1",
        entry_point="python train.py",
        group_ids=("grp-training", "grp-validation"),
    )
    assert again.group_ids == ("grp-training", "grp-validation")


def test_a_task_starts_once_and_is_retried_only_after_its_end():
    running = given(drafted(), queued(), started(1))
    with pytest.raises(Refused, match="can be started only once"):
        c.start_task(running, task_id="tsk-1", entry_point="a:b")
    with pytest.raises(Refused, match="task tsk-1 is running"):
        c.retry_task(running, task_id="tsk-1")
    with pytest.raises(Refused, match="was never started"):
        c.retry_task(given(drafted(), TaskCancelled(task_id="tsk-1", reason="")), task_id="tsk-1")
    failed = given(drafted(), queued(seed=4), started(1), TaskFailed(task_id="tsk-1", attempt=1, error="x"))
    (again,) = c.retry_task(failed, task_id="tsk-1")
    assert (again.seed, again.by) == (4, "tester")


def test_the_attempt_fences_off_a_worker_that_lost_its_lease():
    second = given(drafted(), queued(), started(1), started(2))
    end = {"seconds": 1.0, "metrics": {}, "files": {}, "digests": {}}
    with pytest.raises(Refused, match="attempt 1 of task tsk-1 is over"):
        c.finish_task(second, task_id="tsk-1", attempt=1, **end)
    with pytest.raises(Refused, match="attempt 1 of task tsk-1 is over"):
        c.fail_task(second, task_id="tsk-1", attempt=1, error="x")
    (finished,) = c.finish_task(second, task_id="tsk-1", attempt=2, **end)
    assert isinstance(finished, TaskFinished)


def test_attempts_grow_for_ever_and_three_in_a_row_without_an_end_fail_the_task():
    (third,) = c.lease_task(given(drafted(), queued(), started(1), started(2)), task_id="tsk-1", worker="w")
    assert third.attempt == 3
    three = (drafted(), queued(), started(1), started(2), started(3))
    (failed,) = c.lease_task(given(*three), task_id="tsk-1", worker="w", files={"log.txt": "00"})
    assert isinstance(failed, TaskFailed)
    assert (failed.attempt, failed.files) == (3, {"log.txt": "00"})
    (fresh,) = c.lease_task(given(*three, failed, queued()), task_id="tsk-1", worker="w")
    assert fresh.attempt == 4


def test_a_model_or_the_results_come_in_one_append_with_the_end():
    task = given(drafted("training"), queued(parents=("mdl-1",), model_name="better"), started(1))
    end = {"task_id": "tsk-1", "attempt": 1, "seconds": 1.0, "metrics": {"a": 1}, "files": {}, "digests": {"code": "x"}}
    trained, finished = c.finish_task(task, model=c.TrainedFile("0" * 64, 10), **end)
    assert isinstance(trained, ModelTrained)
    assert (trained.name, trained.parents, trained.digests) == ("better", ("mdl-1",), {"code": "x"})
    assert finished.model_id == trained.model_id

    samples = [(f"{i:064x}", "a", "b", None) for i in range(4_100)]
    *parts, finished = c.finish_task(task, results=(c.Results("mdl-1", "grp-testing", samples),), **end)
    assert all(isinstance(p, ResultRecorded) for p in parts)
    assert [len(p.samples) for p in parts] == [2_000, 2_000, 100]
    assert finished.tested == {"mdl-1": {"grp-testing": 4_100}}


def test_cancelling_twice_is_harmless_and_a_task_that_ended_stays_as_it_is():
    assert c.cancel_task(given(drafted(), TaskCancelled(task_id="tsk-1", reason="")), task_id="tsk-1") == []
    failed = given(drafted(), queued(), started(1), TaskFailed(task_id="tsk-1", attempt=1, error="x"))
    with pytest.raises(Refused, match="is failed already"):
        c.cancel_task(failed, task_id="tsk-1")
    with pytest.raises(NotFound, match="there is no task tsk-2"):
        c.cancel_task(given(), task_id="tsk-2")
