"""Rows, and what a model's results say about one badcase."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from mlife.core.errors import Invalid
from mlife.core.judgement.policy import Policy
from mlife.core.statistics import mcnemar_exact, wilson_interval


class RowState(StrEnum):
    """One testing row, against the model deployed now."""

    FIXED = "fixed"
    BROKEN = "broken"
    STILL_FAILING = "still failing"
    KEPT = "kept"


class Word(StrEnum):
    """Where a model stands on a badcase."""

    FIXED = "fixed"
    FAILING = "failing"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    The rows that a badcase is judged by: one per distinct file.

    Args:
        badcase_id: whose evidence this is.
        rows: sample ids (SHA-256) of its reports with truth and readable data, and of its held-out siblings.
        must_pass: rows of these that have to pass whatever the share is.
    """

    badcase_id: str
    rows: frozenset[str]
    must_pass: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    One model on one badcase.

    Args:
        low, high: the interval of the share of evidence that passes.
        missing_siblings: further rows that must pass, at the least, before it counts as fixed; 0 unless unproven.
        failed_must_pass: must-pass rows that do not pass.
        untested: rows of the evidence for which the model has no result. They count as not passed.
    """

    word: Word
    passed: int
    total: int
    low: float
    high: float
    missing_siblings: int = 0
    failed_must_pass: tuple[str, ...] = ()
    untested: int = 0

    @property
    def residual(self) -> float:
        """The share of the badcase that may still fail: what was accepted when the verdict was given."""
        return 1.0 - self.low

    def sentence(self) -> str:
        """The verdict in words with its numbers."""
        said = f"{self.word}: {self.passed} of {self.total} pass ({self.low:.0%} to {self.high:.0%})"
        if self.failed_must_pass:
            said += f"; {counted(len(self.failed_must_pass), 'must-pass row')} not passed"
        if self.missing_siblings:
            said += f"; {counted(self.missing_siblings, 'sibling')} missing, if all of them pass"
        return said


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same rows, counted by row state."""

    fixed: int
    broken: int
    still_failing: int
    kept: int

    @property
    def total(self) -> int:
        return self.fixed + self.broken + self.still_failing + self.kept

    @property
    def accuracy_before(self) -> float:
        return (self.broken + self.kept) / self.total if self.total else 0.0

    @property
    def accuracy_now(self) -> float:
        return (self.fixed + self.kept) / self.total if self.total else 0.0

    @property
    def loss(self) -> float:
        """Share of rows lost; negative when the new model is better."""
        return (self.broken - self.fixed) / self.total if self.total else 0.0

    @property
    def p(self) -> float:
        """Exact McNemar, two-sided."""
        return mcnemar_exact(self.broken, self.fixed)

    def in_words(self) -> str:
        """What was lost and gained."""
        return f"{counted(self.broken, 'row')} broken, {self.fixed} fixed"

    def significant_loss(self, policy: Policy) -> bool:
        """Is the new model worse, and is that more than chance?"""
        return self.broken > self.fixed and self.p < policy.significance


def row_state(*, before: bool, now: bool) -> RowState:
    """The state of a row that the deployed model got right or wrong *before*, and the new one *now*."""
    if before:
        return RowState.KEPT if now else RowState.BROKEN
    return RowState.FIXED if now else RowState.STILL_FAILING


def compare(before: Mapping[str, bool], now: Mapping[str, bool], rows: Iterable[str]) -> Comparison:
    """
    Count the states of *rows*; each must be in both results.

    Raises:
        Invalid: a row was not tested on both models.
    """
    wanted = tuple(rows)
    gaps = sum(row not in before or row not in now for row in wanted)
    if gaps:
        raise Invalid(
            f"{gaps} of {len(wanted)} rows have no result on one of the models", remedy="test both on all of them"
        )
    seen = Counter(row_state(before=before[row], now=now[row]) for row in wanted)
    return Comparison(seen[RowState.FIXED], seen[RowState.BROKEN], seen[RowState.STILL_FAILING], seen[RowState.KEPT])


def judge(evidence: Evidence, results: Mapping[str, bool], policy: Policy) -> Verdict:
    """Does the model behind *results* fix this badcase? A row without a result counts as not passed."""
    total = len(evidence.rows)
    passed = sum(results.get(row, False) for row in evidence.rows)
    low, high = wilson_interval(passed, total, policy.confidence)
    unmet = tuple(sorted(row for row in evidence.must_pass if not results.get(row, False)))
    untested = sum(row not in results for row in evidence.rows | evidence.must_pass)
    missing = 0
    if low >= policy.fixed_from and not unmet:
        word = Word.FIXED
    elif total and high <= policy.failing_to:
        word = Word.FAILING
    else:
        word = Word.UNPROVEN
        missing = missing_siblings(passed, total, policy)
    return Verdict(word, passed, total, low, high, missing, unmet, untested)


def missing_siblings(passed: int, total: int, policy: Policy) -> int:
    """The fewest further rows that would make *passed* of *total* a proven fix, if all of them pass."""

    def proven(more: int) -> bool:
        return wilson_interval(passed + more, total + more, policy.confidence).low >= policy.fixed_from

    if policy.fixed_from >= 1.0:
        raise Invalid("no number of rows proves a share of 1", remedy="set fixed_from below 1 in the policy")
    enough = 1
    while not proven(enough):
        enough *= 2
    short, enough = (0, enough) if not proven(0) else (-1, 0)
    while enough - short > 1:
        half = (short + enough) // 2
        short, enough = (short, half) if proven(half) else (half, enough)
    return enough


def siblings(truth: Mapping[str, str], predicted: Mapping[str, str], confusion: tuple[str, str]) -> frozenset[str]:
    """
    Held-out rows on which the reported model makes the same confusion.

    Args:
        truth: testing row → its label.
        predicted: testing row → what the model that was reported on says.
        confusion: (truth, prediction) of the badcase.
    """
    right, wrong = confusion
    return frozenset(row for row, label in truth.items() if label == right and predicted.get(row) == wrong)


def breakage(before: Verdict, now: Verdict, comparison: Comparison, policy: Policy) -> str:
    """Why this badcase is broken, against the deployed model; empty when it is not."""
    if before.word is Word.FIXED and now.word is Word.FAILING:
        return f"was fixed ({before.passed} of {before.total} passed) and is failing now ({now.passed} of {now.total})"
    if comparison.significant_loss(policy):
        return f"{comparison.in_words()} on the same {comparison.total} rows (p = {shown_p(comparison.p)})"
    return ""


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural where it has to be."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def shown_p(p: float) -> str:
    """A p-value as people read it."""
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}"
