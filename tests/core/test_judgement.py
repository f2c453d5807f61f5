"""The rules that decide what is fixed, what may ship, and what came back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mlife.core.errors import Invalid
from mlife.core.judgement import (
    Counts,
    Evidence,
    Policy,
    Return,
    RowState,
    Standing,
    TestedModel,
    Word,
    binding,
    breakage,
    closing,
    compare,
    gate,
    judge,
    judge_return,
    missing_siblings,
    row_state,
    shipped_share,
    siblings,
)

POLICY = Policy()


def rows(passed, failed, prefix="r"):
    """Results: *passed* rows that pass, then *failed* rows that fail."""
    return {f"{prefix}{i}": i < passed for i in range(passed + failed)}


def verdict(passed, failed, must_pass=()):
    results = rows(passed, failed)
    return judge(Evidence("bc-1", frozenset(results), frozenset(must_pass)), results, POLICY)


def test_each_row_has_one_of_four_states():
    pairs = [(False, True), (True, False), (False, False), (True, True)]
    states = [row_state(before=before, now=now) for before, now in pairs]
    assert states == [RowState.FIXED, RowState.BROKEN, RowState.STILL_FAILING, RowState.KEPT]


@pytest.mark.parametrize(
    ("passed", "failed", "word", "missing"),
    [(6, 0, Word.FIXED, 0), (5, 0, Word.UNPROVEN, 1), (0, 0, Word.UNPROVEN, 6), (0, 2, Word.UNPROVEN, 12),
     (0, 3, Word.FAILING, 0), (20, 5, Word.FIXED, 0), (60, 40, Word.UNPROVEN, 28)],
)  # fmt: skip
def test_a_verdict_needs_enough_evidence(passed, failed, word, missing):
    given_ = verdict(passed, failed)
    assert (given_.word, given_.missing_siblings) == (word, missing)
    if missing:
        assert verdict(passed + missing, failed).word is Word.FIXED
        assert verdict(passed + missing - 1, failed).word is not Word.FIXED


def test_one_failing_must_pass_row_keeps_a_badcase_open():
    given_ = verdict(40, 1, must_pass={"r40"})
    assert given_.word is Word.UNPROVEN
    assert given_.failed_must_pass == ("r40",)
    assert "1 must-pass row not passed" in given_.sentence()
    assert verdict(40, 1, must_pass={"r0"}).word is Word.FIXED


def test_a_row_without_a_result_does_not_pass():
    given_ = judge(Evidence("bc-1", frozenset({"a", "b"})), {"a": True}, POLICY)
    assert (given_.passed, given_.total, given_.untested) == (1, 2, 1)


def test_siblings_are_the_held_out_rows_with_the_same_confusion():
    truth = {"a": "4", "b": "4", "c": "9"}
    assert siblings(truth, {"a": "9", "b": "4", "c": "9"}, ("4", "9")) == {"a"}


def test_fixed_and_now_failing_is_broken():
    before, now = rows(6, 0), rows(1, 5)
    seen = compare(before, now, before)
    assert "is failing now (1 of 6)" in breakage(verdict(6, 0), verdict(1, 5), seen, POLICY)


def test_a_significant_loss_on_the_same_rows_is_broken_even_when_it_was_never_fixed():
    before, now = rows(10, 20), rows(4, 26)
    said = breakage(verdict(10, 20), verdict(4, 26), compare(before, now, before), POLICY)
    assert said == "6 rows broken, 0 fixed on the same 30 rows (p = 0.031)"


def test_an_unproven_loss_is_not_broken():
    before, now = rows(10, 20), rows(5, 25)
    assert breakage(verdict(10, 20), verdict(5, 25), compare(before, now, before), POLICY) == ""


def test_the_gate_judges_each_set_by_itself_where_the_pool_would_pass():
    """A hotfix that gains more on covered pictures than it loses in the field looks fine when rows are pooled."""
    old = TestedModel("mdl-2", rows(920, 80, "f") | rows(200, 200, "c"))
    new = TestedModel("mdl-3", rows(750, 250, "f") | rows(390, 10, "c"))
    sets = {"field": rows(0, 1000, "f"), "covered": rows(0, 400, "c")}
    pooled = compare(old.results, new.results, old.results)
    assert not pooled.significant_loss(POLICY)

    given_ = gate(new, old, sets, [], POLICY)

    assert not given_.passed
    assert given_.refused == ("test set field: 170 rows broken, 0 fixed against mdl-2 (92.0% → 75.0%, p = 1e-51)",)


def test_a_small_loss_that_is_not_significant_still_has_a_limit():
    old = TestedModel("mdl-1", rows(90, 10))
    given_ = gate(TestedModel("mdl-2", rows(88, 12)), old, {"home": old.results}, [], POLICY)
    assert given_.refused == ("test set home: lost 2.0 points against mdl-1 (90.0% → 88.0%), 1.5 are allowed",)
    assert gate(TestedModel("mdl-3", rows(89, 11)), old, {"home": old.results}, [], POLICY).passed


def test_a_broken_badcase_refuses_a_model_that_wins_everywhere_else():
    old = TestedModel("mdl-1", rows(50, 50, "t") | rows(8, 0, "b"))
    new = TestedModel("mdl-2", rows(99, 1, "t") | rows(0, 8, "b"))
    evidence = Evidence("bc-1", frozenset(rows(8, 0, "b")))
    given_ = gate(new, old, {"test": rows(0, 100, "t")}, [evidence], POLICY)
    assert given_.refused == ("badcase bc-1: was fixed (8 of 8 passed) and is failing now (0 of 8)",)
    assert given_.badcases[0].broken
    assert given_.counts()[Word.FAILING] == 1


def test_the_first_model_meets_absolute_thresholds_only():
    first = TestedModel("mdl-1", rows(95, 5, "h") | rows(40, 60, "f"))
    evidence = Evidence("bc-1", frozenset({"f99"}))
    assert gate(first, None, {"home": rows(0, 100, "h")}, [evidence], POLICY).passed
    given_ = gate(first, None, {"field": rows(0, 100, "f")}, [], POLICY)
    assert given_.refused == ("test set field: 40.0% is below the 90.0% that a first model needs",)
    assert gate(first, None, {"field": rows(0, 100, "f")}, [], Policy(thresholds={"field": 0.4})).passed


def test_a_model_that_was_not_tested_on_every_row_is_refused():
    old = TestedModel("mdl-1", rows(10, 0))
    new = TestedModel("mdl-2", rows(9, 0))
    given_ = gate(new, old, {"home": old.results}, [Evidence("bc-1", frozenset({"r9"}))], POLICY)
    assert given_.refused == (
        "test set home: mdl-2 was not tested on 1 of 10 rows",
        "badcase bc-1: mdl-2 was not tested on 1 of 1 row",
    )
    assert not given_.badcases[0].broken


@pytest.mark.parametrize("sets", [{}, {"home": []}])
def test_a_gate_without_rows_is_an_error(sets):
    with pytest.raises(Invalid):
        gate(TestedModel("mdl-1", {}), None, sets, [], POLICY)


def test_a_verdict_is_bound_to_everything_it_depends_on():
    one = binding("m", ["g1", "g2"], POLICY.digest(), "c")
    assert one == binding("m", ["g2", "g1"], POLICY.digest(), "c")
    assert one != binding("m", ["g1", "g2"], Policy(largest_loss=0.02).digest(), "c")


def test_a_policy_with_an_unknown_or_impossible_number_is_refused():
    for wrong in ({"fixed_form": 0.5}, {"confidence": 1.0}, {"largest_loss": float("nan")}):
        with pytest.raises(ValidationError):
            Policy.model_validate(wrong)


FIXED, FAILING, UNPROVEN = Standing(Word.FIXED, 0.2), Standing(Word.FAILING, 0.9), Standing(Word.UNPROVEN, 0.8)
PARENTS = {"v2": ["v1"], "v3": ["v2"], "v3-int8": ["v3"]}
BEFORE = Counts(files=20, requests=1000)


@pytest.mark.parametrize(
    ("model", "standings", "now", "word"),
    [
        ("v2", {"v1": FAILING, "v2": FIXED}, Counts(12, 500), Return.REGRESSED),
        ("v2", {"v1": FAILING, "v2": FIXED}, Counts(2, 500), Return.WITHIN_RESIDUAL),
        ("v2", {"v1": FAILING, "v2": FIXED}, Counts(4, 1000), Return.WITHIN_RESIDUAL),
        ("v2", {"v1": FAILING, "v2": FIXED}, Counts(12, None), Return.RECURRING),
        ("v1", {"v1": FAILING, "v2": FIXED}, Counts(99, 500), Return.OLD_MODEL),
        ("v1", {"v2": FIXED}, Counts(99, 500), Return.OLD_MODEL),
        ("v1", {"v1": FAILING}, Counts(99, 500), Return.OPEN),
        ("v3", {"v1": FAILING, "v2": FIXED}, Counts(12, 500), Return.REGRESSED),
        ("v3", {"v1": FAILING, "v2": FIXED, "v3": FAILING}, Counts(12, 500), Return.REGRESSED),
        ("v3-int8", {"v1": FAILING, "v2": FIXED, "v3": UNPROVEN}, Counts(12, 500), Return.REGRESSED),
        ("v3", {"v1": FAILING, "v2": UNPROVEN}, Counts(12, 500), Return.OPEN),
    ],
)
def test_what_comes_back_is_measured_against_the_fix_the_model_should_have(model, standings, now, word):
    found = judge_return(model, standings=standings, parents=PARENTS, now=now, before=BEFORE, policy=POLICY)
    assert found.word is word
    assert model in found.sentence or found.word is Return.RECURRING


def test_ancestors_that_go_in_a_circle_end():
    found = judge_return("a", standings={}, parents={"a": ["b"], "b": ["a"]}, now=BEFORE, before=BEFORE, policy=POLICY)
    assert (found.word, found.claim) == (Return.OPEN, None)


def test_a_badcase_closes_when_it_is_fixed_active_quiet_and_baked():
    def closed(word=Word.FIXED, *, active=True, regressed=False, requests=200):
        return closing(word, active=active, regressed=regressed, requests=requests, policy=POLICY)

    assert closed().closed
    open_ = [closed(Word.UNPROVEN), closed(active=False), closed(regressed=True), closed(requests=199)]
    assert not any(c.closed for c in open_)
    assert open_[3].sentence == "fixed and active, baking: 199 of 200 requests"


def test_a_rollback_unships():
    assert shipped_share({"v1": 300, "v2": 700}, {"v2"}) == 0.7
    assert shipped_share({"v1": 1000}, {"v2"}) == 0.0
    assert shipped_share({}, {"v2"}) is None


@given(st.integers(0, 150), st.integers(0, 150))
def test_a_further_pass_never_makes_a_verdict_worse(passed, failed):
    order = [Word.FAILING, Word.UNPROVEN, Word.FIXED]
    # Without any evidence nothing is known, so the first row may go either way.
    if passed + failed:
        assert order.index(verdict(passed + 1, failed).word) >= order.index(verdict(passed, failed).word)
    total = passed + failed
    assert missing_siblings(passed + 1, total + 1, POLICY) <= missing_siblings(passed, total, POLICY)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60), st.data())
def test_a_better_row_never_turns_a_passed_gate_into_a_refused_one(pairs, data):
    old = TestedModel("old", {f"r{i}": before for i, (before, _) in enumerate(pairs)})
    now = {f"r{i}": after for i, (_, after) in enumerate(pairs)}
    better = now | {f"r{data.draw(st.integers(0, len(pairs) - 1))}": True}
    badcases = [Evidence("bc-1", frozenset(old.results))]

    passes = [gate(TestedModel("new", r), old, {"t": r}, badcases, POLICY).passed for r in (now, better)]

    assert passes != [True, False]
