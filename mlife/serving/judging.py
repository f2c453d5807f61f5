"""
From results and evidence to the gate's word: what `ModelJudged` says of a model, and why.

Pure, and in two steps: a `Case` holds all that was gathered (`mlife.handlers.gate_evidence` does), `judge_case` applies
the numbers of a policy to it with `mlife.core.judgement`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlife.core.judgement import (
    BadcaseFinding,
    Evidence,
    GateVerdict,
    Policy,
    SetFinding,
    TestedModel,
    Word,
    binding,
    gate,
    judge,
)
from mlife.core.judgement.policy import digest_of
from mlife.core.judgement.verdicts import counted
from mlife.serving.events import ModelJudged

SHOWN = 20
"""Badcases named one by one among the reasons for a refusal; all of them are in the verdict's list."""


@dataclass(frozen=True)
class TestSet:
    """
    A group that the model is judged on.

    Args:
        rows: SHA-256 of its rows, those left out on which only the candidate could be compared.
        size: all rows of the group.
    """

    __test__ = False  # pytest, this is no test class

    group_id: str
    name: str
    digest: str
    rows: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class BadcaseCase:
    """
    What a badcase is judged by: SHA-256 of testing rows.

    Args:
        pinned: rows of its reports (Add to Test Data).
        siblings: held-out rows on which the model it was reported on makes the same confusion.
        must_pass: of the pinned ones, those that have to pass whatever the share is.
        remark: what could not be gathered, and how to mend it; empty if nothing is missing.
        title: what it is, for people, e.g. `sad read as happy`.
    """

    badcase_id: str
    pinned: frozenset[str]
    siblings: frozenset[str] = frozenset()
    must_pass: frozenset[str] = frozenset()
    remark: str = ""
    title: str = ""

    @property
    def evidence(self) -> Evidence:
        """One row for each distinct file."""
        return Evidence(self.badcase_id, self.pinned | self.siblings, self.must_pass)


@dataclass(frozen=True)
class Case:
    """
    A model before the gate.

    Args:
        opponent_id: the last model that passed; None for the first model.
        results: row → did the model get it right? opponent_results: the same of the opponent.
        opponent_fixed: badcases that the opponent's own verdict calls fixed.
        refusals: reasons to refuse that came up while gathering, e.g. a test set that only the opponent passed.
        remarks: what else a reader must know, e.g. rows without results.
        code: SHA-256 of the testing code.
    """

    model_id: str
    opponent_id: str | None
    results: Mapping[str, bool]
    opponent_results: Mapping[str, bool]
    test_sets: tuple[TestSet, ...]
    badcases: tuple[BadcaseCase, ...] = ()
    opponent_fixed: frozenset[str] = frozenset()
    refusals: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    code: str = ""

    def names(self) -> dict[str, TestSet]:
        """The test sets by a name that is theirs alone; two groups may be called the same."""
        said = [s.name or s.group_id for s in self.test_sets]
        return {
            name if said.count(name) == 1 else f"{name} ({s.group_id})": s
            for name, s in zip(said, self.test_sets, strict=True)
        }


def judge_case(
    case: Case,
    policy: Policy,
    *,
    sha256: str,
    system: str | None,
    function: str | None,
    seen_at: int,
    iteration_id: str | None = None,
) -> ModelJudged:
    """
    The verdict on *case*.

    Args:
        sha256: of the model's file. seen_at: position of the query tables at which the evidence was gathered.
    """
    candidate = TestedModel(case.model_id, case.results)
    opponent = TestedModel(case.opponent_id, case.opponent_results) if case.opponent_id else None
    sets = case.names()
    alone = [b for b in case.badcases if opponent and not b.evidence.rows & opponent.results.keys()]
    compared = [b for b in case.badcases if b not in alone]
    if sets:
        found = gate(candidate, opponent, {n: s.rows for n, s in sets.items()}, [b.evidence for b in compared], policy)
    else:
        found = GateVerdict(case.model_id, case.opponent_id, (), (), policy.digest())
        alone = list(case.badcases)
    by_itself = tuple(_alone(b, case, policy) for b in alone)
    badcases = tuple(sorted(found.badcases + by_itself, key=lambda f: f.badcase_id))
    unanswered = () if sets else (_nothing_shared(case),)
    refused = (
        *case.refusals,
        *unanswered,
        *found.refused,
        *(f"badcase {f.badcase_id}: {f.refused}" for f in by_itself if f.refused),
    )
    return ModelJudged(
        model_id=case.model_id,
        system=system,
        function=function,
        opponent_id=case.opponent_id,
        passed=not refused,
        sentences=_sentences(case, found, badcases, refused),
        test_sets=tuple(_set_row(name, sets[name], f, case) for name, f in zip(sets, found.sets, strict=True)),
        badcases=tuple(
            _badcase_row(f, b) for f, b in zip(badcases, sorted(case.badcases, key=lambda b: b.badcase_id), strict=True)
        ),
        digests=_digests(case, policy, sha256),
        seen_at=seen_at,
        iteration_id=iteration_id,
    )


def _alone(badcase: BadcaseCase, case: Case, policy: Policy) -> BadcaseFinding:
    """A badcase on none of whose rows the opponent was tested: judged, but not compared."""
    refused = ""
    if badcase.badcase_id in case.opponent_fixed:
        refused = (
            f"{case.opponent_id} had fixed it and was not tested on its {counted(len(badcase.evidence.rows), 'row')}; "
            f"test {case.opponent_id} on the same groups"
        )
    return BadcaseFinding(badcase.badcase_id, judge(badcase.evidence, case.results, policy), None, None, refused)


def _nothing_shared(case: Case) -> str:
    if case.opponent_id:
        return (
            f"no test set has results of both {case.model_id} and {case.opponent_id}: test {case.opponent_id} on the "
            "same groups"
        )
    return f"no test set has results of {case.model_id}"


def _sentences(
    case: Case, found: GateVerdict, badcases: tuple[BadcaseFinding, ...], refused: tuple[str, ...]
) -> tuple[str, ...]:
    words = [f.verdict.word for f in badcases]
    broken = sum(f.broken for f in badcases)
    counts = ", ".join(f"{words.count(word)} {word}" for word in Word if word in words)
    against = f"against {case.opponent_id}" if case.opponent_id else "as the first model, by absolute thresholds"
    sets = f"{counted(len(found.sets), 'test set')} {against}"
    proofs = f"; {counted(len(badcases), 'badcase')}: {counts}, {broken or 'none'} broken" if badcases else ""
    head = f"{'refused' if refused else 'passed'}: {sets}{proofs}"
    reasons = refused if len(refused) <= SHOWN else (*refused[:SHOWN], f"and {len(refused) - SHOWN} further reasons")
    return tuple(dict.fromkeys((head, *reasons, *case.remarks, *_remarks(case))))


def _remarks(case: Case) -> list[str]:
    """What could not be gathered, each once with the badcases that it concerns."""
    concerned: dict[str, list[str]] = {}
    for b in case.badcases:
        if b.remark:
            concerned.setdefault(b.remark, []).append(b.badcase_id)
    most_first = sorted(concerned.items(), key=lambda item: (-len(item[1]), item[0]))
    said = [
        f"{counted(len(ids), 'badcase')} ({', '.join(ids[:3])}{', …' * (len(ids) > 3)}): {remark}"
        for remark, ids in most_first[:SHOWN]
    ]
    left = len(most_first) - SHOWN
    return [*said, f"and {left} further remarks on badcases"] if left > 0 else said


def _set_row(name: str, tested: TestSet, finding: SetFinding, case: Case) -> dict[str, Any]:
    right = sum(case.results.get(row, False) for row in tested.rows)
    row: dict[str, Any] = {
        "group_id": tested.group_id,
        "name": name,
        "n": len(tested.rows),
        "right": right,
        "opponent_right": None,
        "loss_points": None,
        "p_value": None,
        "fixed": None,
        "broken": None,
        "ok": not finding.refused,
    }
    said = f"{right} of {len(tested.rows)} right ({finding.accuracy:.1%})"
    seen = finding.comparison
    if seen is not None:
        row |= {
            "opponent_right": seen.broken + seen.kept,
            "loss_points": round(seen.loss * 100, 3),
            "p_value": round(seen.p, 6),
            "fixed": seen.fixed,
            "broken": seen.broken,
        }
        said += f", {seen.accuracy_before:.1%} before; {finding.refused or seen.in_words()}"
    elif finding.refused:
        said += f"; {finding.refused}"
    if tested.size > len(tested.rows):
        said += f"; {tested.size - len(tested.rows)} of {tested.size} rows could not be compared"
    row["sentence"] = said
    return row


def _badcase_row(finding: BadcaseFinding, badcase: BadcaseCase) -> dict[str, Any]:
    verdict = finding.verdict
    sentence = verdict.sentence()
    if finding.refused:
        sentence += f"; {finding.refused}"
    if badcase.remark:
        sentence += f"; {badcase.remark}"
    return {
        "badcase_id": finding.badcase_id,
        "title": badcase.title,
        "verdict": str(verdict.word),
        "passes": verdict.passed,
        "evidence": verdict.total,
        "lower": round(verdict.low, 6),
        "upper": round(verdict.high, 6),
        "missing": verdict.missing_siblings,
        "broken": finding.broken,
        "sentence": sentence,
        "pinned": len(badcase.pinned),
        "siblings": len(badcase.siblings - badcase.pinned),
    }


def _digests(case: Case, policy: Policy, sha256: str) -> dict[str, str]:
    """What the verdict depends on. `binding` is one digest for model, groups, policy and code."""
    evidence = {
        "opponent": case.opponent_id,
        "badcases": {b.badcase_id: [sorted(b.evidence.rows), sorted(b.must_pass)] for b in case.badcases},
    }
    groups = {s.group_id: s.digest for s in case.test_sets}
    return {
        "model": sha256,
        "policy": policy.digest(),
        "code": case.code,
        "evidence": digest_of(evidence),
        "binding": binding(sha256, groups.values(), policy.digest(), case.code),
        **groups,
    }
