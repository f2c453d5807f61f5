"""The gate: who is judged, against whom, on what, and what it says."""

from __future__ import annotations

import functools

import pytest
from mlife.handlers import gate_evidence

from mlife.core import rebuild
from mlife.core.projection import projections
from mlife.serving import views
from mlife.serving.commands import ask_judgement, judge_model, load_policy, note_model
from tests.serving.conftest import FUNCTION, SYSTEM, Workshop, many


def test_a_first_model_meets_absolute_thresholds_only(shop, first):
    model, group = first
    verdict = shop.verdict(model)

    assert verdict.passed
    assert verdict.opponent_id is None
    assert verdict.sentences[0] == "passed: 1 test set as the first model, by absolute thresholds"
    assert (
        verdict.test_sets[0] | {"group_id": group, "name": "home", "n": 40, "right": 40, "ok": True}
        == verdict.test_sets[0]
    )


def test_a_first_model_below_its_threshold_is_refused_with_the_figure(shop):
    model = shop.model("weak")
    group = shop.group("home", {f"f{n}": "happy" for n in range(10)})
    shop.test({model: many("f", 0, "") | {"f0": "sad", "f1": "sad"}}, [group])

    verdict = shop.verdict(model)
    assert not verdict.passed
    assert "test set home: 80.0% is below the 90.0% that a first model needs" in verdict.sentences


def test_a_significant_loss_on_one_set_refuses_though_the_pool_gains(shop, first):
    v1, home_set = first
    field = shop.group("field", {f"field-{n}": "sad" for n in range(60)})
    v2 = shop.model("v2", parents=(v1,))
    shop.test({v1: many("field", 50, "happy"), v2: {f"home-{n}": "sad" for n in range(8)}}, [home_set, field])

    verdict = shop.verdict(v2)
    assert not verdict.passed
    assert verdict.opponent_id == v1
    assert [(s["name"], s["ok"]) for s in verdict.test_sets] == [("field", True), ("home", False)]
    assert verdict.sentences[1].startswith(f"test set home: 8 rows broken, 0 fixed against {v1} (100.0% → 80.0%")


def test_the_opponent_and_its_ancestors_are_compared_with_and_not_judged_again(shop, first):
    v1, home_set = first
    v2, v3 = shop.model("v2", parents=(v1,)), None
    shop.test({v1: {}, v2: {}}, [home_set])
    v3 = shop.model("v3", parents=(v2,))
    shop.test({v1: {}, v2: {}, v3: {}}, [home_set])

    with shop.home.ports.views.read() as read:
        assert [len(views.verdicts_of(read, m)) for m in (v1, v2, v3)] == [1, 1, 1]
    assert shop.verdict(v3).opponent_id == v2


def test_two_models_of_one_task_have_the_same_opponent(shop, first):
    v1, home_set = first
    left, right = shop.model("left", parents=(v1,)), shop.model("right", parents=(v1,))
    shop.test({left: {}, right: {}}, [home_set])

    assert shop.verdict(left).opponent_id == shop.verdict(right).opponent_id == v1


def test_a_model_that_was_overridden_never_becomes_the_opponent(shop, first):
    v1, home_set = first
    bad = shop.model("bad", parents=(v1,))
    shop.test({bad: {f"home-{n}": "sad" for n in range(20)}}, [home_set])
    shop.deploy(bad, "2.0", override="customer waits")
    v3 = shop.model("v3", parents=(bad,))
    shop.test({v3: {}}, [home_set])

    assert shop.verdict(v3).opponent_id == v1


def test_what_the_opponent_was_not_tested_on_is_said_and_left_out(shop, first):
    v1, home_set = first
    field = shop.group("field", {f"field-{n}": "sad" for n in range(20)})
    v2 = shop.model("v2", parents=(v1,))
    shop.test({v2: many("field", 15, "happy")}, [home_set, field])

    verdict = shop.verdict(v2)
    assert verdict.passed
    assert [s["name"] for s in verdict.test_sets] == ["home"]
    assert (
        f"all rows of test set field could not be compared: {v1} has no results on them; test {v1} on {field}"
        in verdict.sentences
    )


def test_without_any_shared_test_set_the_gate_refuses(shop, first):
    v1, _ = first
    field = shop.group("field", {f"field-{n}": "sad" for n in range(20)})
    v2 = shop.model("v2", parents=(v1,))
    shop.test({v2: {}}, [field])

    verdict = shop.verdict(v2)
    assert not verdict.passed
    assert f"no test set has results of both {v2} and {v1}: test {v1} on the same groups" in verdict.sentences


def test_a_test_set_that_the_opponent_passed_on_can_not_be_skipped(shop, first):
    v1, _ = first
    easy = shop.group("easy", {f"easy-{n}": "sad" for n in range(20)})
    v2 = shop.model("v2", parents=(v1,))
    shop.test({v1: {}, v2: {}}, [easy])

    verdict = shop.verdict(v2)
    assert not verdict.passed
    assert any(
        s.startswith(f"test set home: {v1} passed on it, and 40 rows of 40 were not tested") for s in verdict.sentences
    )


def test_a_test_document_that_grew_covers_the_set_that_was_frozen_before(shop, first):
    v1, home_set = first
    grown = shop.group("home again", {f"home-{n}": "happy" for n in range(50)})
    v2 = shop.model("v2", parents=(v1,))
    shop.test({v1: {}, v2: {}}, [grown])

    verdict = shop.verdict(v2)
    assert verdict.passed
    assert {s["group_id"] for s in verdict.test_sets} == {home_set, grown}


def loop(shop: Workshop, first: tuple[str, str], *, must_pass: bool = False) -> tuple[str, str, str, str]:
    """v1 reads sad as happy in the field; two pictures are reported, twenty held-out rows are alike."""
    v1, home_set = first
    badcase = shop.report(["r0", "r1"], "sad", "happy", v1, must_pass=must_pass)
    pinned = shop.group("pinned", {"r0": "sad", "r1": "sad"} | {f"alike-{n}": "sad" for n in range(20)})
    shop.test({v1: {"r0": "happy", "r1": "happy"} | many("alike", 18, "happy")}, [pinned])
    return v1, home_set, pinned, badcase


def test_siblings_on_which_the_reported_model_errs_alike_are_evidence(shop, first):
    v1, home_set, pinned, badcase = loop(shop, first)
    v2 = shop.model("v2", parents=(v1,))
    shop.test({v2: {"alike-0": "happy"}}, [home_set, pinned])

    found = shop.badcase(v2, badcase)
    assert (found["pinned"], found["siblings"], found["passes"], found["evidence"]) == (2, 18, 19, 20)
    assert found["verdict"] == "fixed"
    assert shop.verdict(v2).passed


def test_two_pinned_pictures_alone_prove_nothing_and_the_missing_are_counted(shop, first):
    v1, home_set = first
    badcase = shop.report(["r0", "r1"], "sad", "happy", v1)
    pinned = shop.group("pinned", {"r0": "sad", "r1": "sad"})
    v2 = shop.model("v2", parents=(v1,))
    shop.test({v1: {"r0": "happy", "r1": "happy"}, v2: {}}, [home_set, pinned])

    found = shop.badcase(v2, badcase)
    assert found["verdict"] == "unproven"
    assert found["missing"] == 4
    assert "siblings missing" in found["sentence"]


def test_a_must_pass_picture_that_fails_keeps_a_badcase_open(shop, first):
    v1, home_set, pinned, badcase = loop(shop, first, must_pass=True)
    v2 = shop.model("v2", parents=(v1,))
    shop.test({v2: {"r0": "happy"}}, [home_set, pinned])

    found = shop.badcase(v2, badcase)
    assert found["verdict"] == "unproven"
    assert "1 must-pass row not passed" in found["sentence"]


def test_a_badcase_that_was_fixed_and_fails_again_is_broken_and_refuses(shop, first):
    v1, home_set, pinned, badcase = loop(shop, first)
    v2 = shop.model("v2", parents=(v1,))
    shop.test({v2: {}}, [home_set, pinned])
    hotfix = shop.model("hotfix", parents=(v2,))
    wrong = {"r0": "happy", "r1": "happy"} | many("alike", 18, "happy")
    shop.test({hotfix: wrong}, [home_set, pinned])

    verdict = shop.verdict(hotfix)
    assert not verdict.passed
    assert shop.badcase(hotfix, badcase)["broken"]
    assert any(s.startswith(f"badcase {badcase}: was fixed (20 of 20 passed)") for s in verdict.sentences)
    with shop.home.ports.views.read() as read:
        known = views.model(read, hotfix)
    assert known is not None
    assert (known.gate, known.failing, known.broken) == ("refused", 1, 1)


def test_siblings_that_could_not_be_looked_for_are_said(shop, first):
    v1, home_set = first
    badcase = shop.report(["r0"], "sad", "happy", v1)
    pinned = shop.group("pinned", {"r0": "sad", "x": "sad"})
    v2 = shop.model("v2", parents=(v1,))
    shop.test({v2: {}}, [home_set, pinned])

    said = f"siblings could not be looked for on 2 of 42 rows: {v1}, which it was reported on, was not tested there"
    assert said in shop.badcase(v2, badcase)["sentence"]
    assert f"1 badcase ({badcase}): {said}" in shop.verdict(v2).sentences


def test_a_badcase_that_the_opponent_fixed_must_be_comparable(shop, first):
    v1, home_set, pinned, badcase = loop(shop, first)
    v2 = shop.model("v2", parents=(v1,))
    shop.test({v2: {}}, [home_set, pinned])
    shop.report(["r8", "r9"], "sad", "happy", v1)
    later = shop.group("pinned later", {"r8": "sad", "r9": "sad"})
    v3 = shop.model("v3", parents=(v2,))
    shop.test({v3: {}}, [home_set, later])

    verdict = shop.verdict(v3)
    assert not verdict.passed
    assert any(
        s.startswith(f"badcase {badcase}: {v2} had fixed it and was not tested on its 2 rows")
        for s in verdict.sentences
    )


def test_delivering_twice_judges_once(shop, first):
    loop(shop, first)
    v2 = shop.model("v2", parents=(first[0],))
    w2 = shop.model("w2", parents=(first[0],))
    shop.test({v2: {}, w2: {"home-1": "sad"}}, shop.groups)
    before = shop.events("mlife.model.judged.v1")

    shop.again("serving.judge", "serving.judge_again")

    assert shop.events("mlife.model.judged.v1") == before
    assert {e.model_id for e in before} == {first[0], v2, w2}


def test_asking_again_writes_a_verdict_only_if_it_says_anything_new(shop, first):
    model, _ = first
    shop.home.do(ask_judgement, model_id=model, reason="just to be sure")
    shop.drain()
    assert len(shop.events("mlife.model.judged.v1")) == 1

    shop.home.do(load_policy, function=f"{SYSTEM}/{FUNCTION}", policy={"first_model_from": 0.95})
    shop.home.do(ask_judgement, model_id=model)
    shop.drain()
    assert [e.passed for e in shop.events("mlife.model.judged.v1")] == [True, True]


def test_a_verdict_is_bound_to_model_groups_policy_and_code(shop, first):
    model, group = first
    digests = shop.verdict(model).digests

    with shop.home.ports.views.read() as read:
        known = views.model(read, model)
    assert known is not None
    assert digests["model"] == known.sha256
    assert digests[group].startswith("sha256:")
    assert digests["code"] == "7e57"
    assert digests["binding"].startswith("sha256:")
    assert digests["policy"] != ""


def test_the_query_tables_equal_a_fresh_replay(shop, first):
    loop(shop, first)
    shop.home.do(note_model, model_id=first[0], note="good at home")
    a, b = shop.deploy(first[0], "1.0"), None
    v2 = shop.model("v2", parents=(first[0],))
    b = shop.deploy(v2, "2.0", override="to see")
    shop.roll_back(b)

    assert shop.deployment(a).state == "active"
    assert rebuild.verify(shop.home.ports, projections["serving"]) == []


class Killed(BaseException):
    """The process died here."""


def test_a_process_that_dies_between_two_judgements_judges_both_against_the_same_opponent(shop, first, monkeypatch):
    v1, home_set = first
    left, right = sorted([shop.model("left", parents=(v1,)), shop.model("right", parents=(v1,))])
    calls = []

    @functools.wraps(judge_model)
    def dies_once(given, **input):
        calls.append(input["case"].model_id)
        if calls == [left, right]:
            raise Killed
        return judge_model(given, **input)

    monkeypatch.setattr(gate_evidence, "judge_model", dies_once)
    with pytest.raises(Killed):
        shop.test({left: {}, right: {"home-0": "sad"}}, [home_set])
    shop.drain()

    assert [e.model_id for e in shop.events("mlife.model.judged.v1")] == [v1, left, right]
    assert shop.verdict(right).opponent_id == v1
    assert shop.home.book.letters() == []
