"""The gate: may this model be deployed?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlife.core.errors import Invalid
from mlife.core.judgement.policy import Policy, digest_of
from mlife.core.judgement.verdicts import (
    Comparison,
    Evidence,
    Verdict,
    Word,
    breakage,
    compare,
    counted,
    judge,
    shown_p,
)


@dataclass(frozen=True, slots=True)
class TestedModel:
    """
    A model and its results.

    Args:
        results: sample id → did the model get it right?
    """

    __test__ = False  # pytest, this is no test class

    model_id: str
    results: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class SetFinding:
    """One test set in the gate. `comparison` is None for the first model, or when rows were not tested."""

    name: str
    accuracy: float
    comparison: Comparison | None
    refused: str = ""


@dataclass(frozen=True, slots=True)
class BadcaseFinding:
    """One badcase in the gate. `before` and `comparison` are None for the first model."""

    badcase_id: str
    verdict: Verdict
    before: Verdict | None
    comparison: Comparison | None
    refused: str = ""

    @property
    def broken(self) -> bool:
        """Broken in the contract's sense; a badcase that was not tested is refused, yet not broken."""
        return bool(self.refused) and self.comparison is not None


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """
    May this model be deployed?

    Args:
        opponent_id: the last model that passed; None for the first model.
        policy_digest: the policy that was applied.
    """

    model_id: str
    opponent_id: str | None
    sets: tuple[SetFinding, ...]
    badcases: tuple[BadcaseFinding, ...]
    policy_digest: str
    refused: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.refused

    def counts(self) -> dict[Word, int]:
        """How many badcases are fixed, failing and unproven."""
        seen = Counter(finding.verdict.word for finding in self.badcases)
        return {word: seen[word] for word in Word}


def gate(
    candidate: TestedModel,
    opponent: TestedModel | None,
    test_sets: Mapping[str, Iterable[str]],
    badcases: Sequence[Evidence],
    policy: Policy,
) -> GateVerdict:
    """
    Judge *candidate* on each test set and each badcase by itself, never on the pool.

    Args:
        candidate: the model to judge.
        opponent: the last model that passed (not one that was overridden), tested on the same rows; None for the first
            model, which meets absolute thresholds on its test sets only.
        test_sets: name → rows.
        badcases: the evidence of each badcase that is open or fixed.
        policy: the numbers to judge by.

    Raises:
        Invalid: there is nothing to judge by: no test set, or an empty one.
    """
    sets = {name: tuple(rows) for name, rows in test_sets.items()}
    if not sets or not all(sets.values()):
        empty = [name for name, rows in sets.items() if not rows]
        raise Invalid(f"no testing rows to judge {candidate.model_id} by: {empty or 'no test set'}")
    set_findings = tuple(_judge_set(name, rows, candidate, opponent, policy) for name, rows in sets.items())
    found = tuple(_judge_badcase(evidence, candidate, opponent, policy) for evidence in badcases)
    refused = tuple(
        [f"test set {f.name}: {f.refused}" for f in set_findings if f.refused]
        + [f"badcase {f.badcase_id}: {f.refused}" for f in found if f.refused]
    )
    opponent_id = opponent.model_id if opponent else None
    return GateVerdict(candidate.model_id, opponent_id, set_findings, found, policy.digest(), refused)


def binding(model: str, groups: Iterable[str], policy: str, code: str) -> str:
    """One digest for all that a verdict depends on: digests of the model, its test groups, the policy and the code."""
    return digest_of({"model": model, "groups": sorted(groups), "policy": policy, "code": code})


def _judge_set(
    name: str, rows: tuple[str, ...], candidate: TestedModel, opponent: TestedModel | None, policy: Policy
) -> SetFinding:
    gap = _untested(rows, candidate, opponent)
    accuracy = sum(candidate.results.get(row, False) for row in rows) / len(rows)
    if gap:
        return SetFinding(name, accuracy, None, gap)
    if opponent is None:
        needed = policy.thresholds.get(name, policy.first_model_from)
        short = f"{accuracy:.1%} is below the {needed:.1%} that a first model needs" if accuracy < needed else ""
        return SetFinding(name, accuracy, None, short)
    seen = compare(opponent.results, candidate.results, rows)
    span = f"{seen.accuracy_before:.1%} → {seen.accuracy_now:.1%}"
    refused = ""
    if seen.significant_loss(policy):
        refused = f"{seen.in_words()} against {opponent.model_id} ({span}, p = {shown_p(seen.p)})"
    elif seen.loss > policy.largest_loss:
        allowed = policy.largest_loss * 100
        refused = f"lost {seen.loss * 100:.1f} points against {opponent.model_id} ({span}), {allowed:.1f} are allowed"
    return SetFinding(name, accuracy, seen, refused)


def _judge_badcase(
    evidence: Evidence, candidate: TestedModel, opponent: TestedModel | None, policy: Policy
) -> BadcaseFinding:
    now = judge(evidence, candidate.results, policy)
    gap = _untested(evidence.rows | evidence.must_pass, candidate, opponent)
    if opponent is None or gap:
        return BadcaseFinding(evidence.badcase_id, now, None, None, gap)
    before = judge(evidence, opponent.results, policy)
    seen = compare(opponent.results, candidate.results, evidence.rows)
    return BadcaseFinding(evidence.badcase_id, now, before, seen, breakage(before, now, seen, policy))


def _untested(rows: Iterable[str], *models: TestedModel | None) -> str:
    wanted = tuple(rows)
    for model in models:
        gaps = sum(row not in model.results for row in wanted) if model else 0
        if model and gaps:
            return f"{model.model_id} was not tested on {gaps} of {counted(len(wanted), 'row')}"
    return ""
