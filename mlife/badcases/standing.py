"""
Where a badcase stands: computed from what happened, never set by hand.

People only triage, mute and reject; everything else follows from iterations, models, verdicts, deployments and reports.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from mlife.core.judgement import Claim, Standing, Word, claim_of

STATUSES = (
    "regressed",
    "recurring",
    "new",
    "triaged",
    "fix planned",
    "fix claimed",
    "verified",
    "shipped",
    "closed",
    "muted",
    "rejected",
)
"""Every status, in the order in which lists and facets show them."""

OPEN = STATUSES[:7]
"""Those that still ask for something: a look, a fix, or a deployment of the fix."""

NEEDS_ME = ("regressed", "recurring", "new")
"""Those that wait for a person's first look."""


@dataclass(frozen=True, slots=True)
class Seen:
    """
    Reports of a badcase from one version.

    Args:
        model_ids: the models behind the version; empty: unknown model.
        last_number: position of the latest one.
        measured: are there traffic counts of the version?
    """

    version: str
    model_ids: tuple[str, ...]
    last_number: int
    measured: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """
    All that decides about a badcase's status.

    Args:
        verdicts: model → its latest verdict on this badcase, and the position of that.
        active: the models that answer for the function now.
        parents: model → the models that it is meant to replace.
        planned: it is a target of an open iteration. claimed: a model of that iteration was trained.
        closed_by: the model that closed it; None: not closed, or taken back.
        regressed_by: the model of its last regression.
    """

    triaged: bool = False
    muted: bool = False
    rejected: bool = False
    planned: bool = False
    claimed: bool = False
    closed_by: str | None = None
    regressed_by: str | None = None
    verdicts: Mapping[str, tuple[Standing, int]] = field(default_factory=dict)
    active: Collection[str] = ()
    parents: Mapping[str, Collection[str]] = field(default_factory=dict)
    seen: Collection[Seen] = ()


def status_of(facts: Facts) -> str:
    """The status, one of `STATUSES`."""
    if facts.rejected:
        return "rejected"
    if facts.muted:
        return "muted"
    if facts.regressed_by is not None and facts.regressed_by in facts.active:
        return "regressed"
    fixing = fixed_by_active(facts)
    if fixing:
        if recurs(facts):
            return "recurring"
        return "closed" if facts.closed_by is not None else "shipped"
    if any(standing.word is Word.FIXED for standing, _ in facts.verdicts.values()):
        return "verified"
    if facts.planned:
        return "fix claimed" if facts.claimed else "fix planned"
    return "triaged" if facts.triaged else "new"


def fixed_by_active(facts: Facts) -> list[str]:
    """The active models that have the fix: by their own verdict, or from an ancestor where they were not judged."""
    return sorted(m for m in facts.active if has_fix(m, facts))


def has_fix(model_id: str, facts: Facts) -> bool:
    """Has *model_id* the fix? Its own verdict decides; without one, that of the nearest judged ancestor."""
    own = facts.verdicts.get(model_id)
    if own is not None:
        return own[0].word is Word.FIXED
    against = claim(model_id, facts)
    return against is not None and against.standing.word is Word.FIXED


def claim(model_id: str, facts: Facts) -> Claim | None:
    """The verdict that reports from *model_id* count against."""
    return claim_of(model_id, {m: standing for m, (standing, _) in facts.verdicts.items()}, facts.parents)


def recurs(facts: Facts) -> bool:
    """Are there reports from a model that has the fix, newer than its verdict, and no traffic counts to judge by?"""
    for seen in facts.seen:
        if seen.measured:
            continue
        for model_id in seen.model_ids:
            against = claim(model_id, facts)
            if against is None or against.standing.word is not Word.FIXED:
                continue
            if seen.last_number > facts.verdicts[against.model_id][1]:
                return True
    return False
