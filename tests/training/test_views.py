"""The training projection: the same rows however the log is cut, and answers that the gate relies on."""

from __future__ import annotations

import pytest

from mlife.core.projection import projections
from mlife.core.rebuild import rebuild, verify
from mlife.serving.events import DeploymentActivated
from mlife.training import views


@pytest.fixture
def two_tests(bench):
    old, new = bench.model(), bench.model()
    first, second = bench.group("testing", "aabbcc"), bench.group("testing", "abc", "grp-second")
    task_id = bench.draft("testing", first, second)
    bench.start(
        task_id, "user_code:test", model_ids=[old, new], parameters={old: {"c": "a", "b": "a"}, new: {"b": "a"}}
    )
    bench.worker().once()
    return old, new, first, second


def test_a_replay_gives_the_same_rows(bench, two_tests):
    bench.train("user_code:fail")
    bench.worker().once()
    bench.settle()

    assert verify(bench.home.ports, projections["training"]) == []

    rebuild(bench.home.ports, projections["training"])
    with bench.see() as read:
        assert len(views.accuracy(read)) == 4


def test_siblings_are_rows_of_any_group_on_which_a_model_makes_the_confusion(bench, two_tests):
    old, new, first, second = two_tests
    with bench.see() as read:
        found = views.siblings(read, old, "c", "a")
        assert [s.group_id for s in found] == sorted([first, first, second])
        assert all(not s.correct for s in found)
        assert views.siblings(read, new, "c", "a") == []
        assert {s.group_id for s in views.siblings(read, new, "b", "a")} == {first, second}


def test_models_are_compared_group_by_group_and_row_by_row(bench, two_tests):
    old, new, first, _ = two_tests
    with bench.see() as read:
        counted = {c.group_id: c for c in views.compare_models(read, new, old)}
        assert (counted[first].fixed, counted[first].broken, counted[first].still_failing, counted[first].kept) == (
            2,
            0,
            2,
            2,
        )
        fixed = views.changed_rows(read, new, old, state="fixed")
        assert {(c.truth, c.label, c.other_label) for c in fixed} == {("c", "c", "a")}
        assert len(fixed) == 3
        head = views.changed_rows(read, new, old, state="fixed", limit=2)
        rest = views.changed_rows(read, new, old, state="fixed", after=(head[-1].group_id, head[-1].sha256))
        assert [*head, *rest] == fixed


def test_classes_are_summed_up_from_confusions(bench, two_tests):
    old, _, first, _ = two_tests
    with bench.see() as read:
        (score,) = [s for s in views.tested_groups(read, old) if s.group_id == first]
        by = {b.truth: b for b in views.by_label(views.confusions(read, views.set_key(score.task_id, old, first)))}
    assert (by["a"].recall, by["a"].precision) == (1.0, 2 / 6)
    assert (by["c"].recall, by["c"].precision) == (0.0, None)


def test_parents_default_to_what_the_targets_answer_with_now(bench, two_tests):
    old, new, *_ = two_tests

    def activated(given, *, model_id: str, target: str):
        return [
            DeploymentActivated(
                deployment_id=f"dep-{target}-{model_id}", system="post", function="letters", model_ids=(model_id,),
                version="1", target=target, digests={}, uris={}, badcases={}, share=1.0, answered_by=model_id,
            )
        ]  # fmt: skip

    bench.home.do(activated, model_id=old, target="local")
    with bench.see() as read:
        assert views.deployed_models(read, "post", "letters") == (old,)
    bench.home.do(activated, model_id=new, target="local")
    with bench.see() as read:
        assert views.deployed_models(read, "post", "letters") == (new,)
        assert views.deployed_models(read, "post", "stamps") == ()
        assert views.deployed_models(read, None, None) == ()
