"""
Which causes are proposed: what badcases share that others of their function don't. Pure; the tables are read elsewhere.

A value of an attribute (place=tunnel, version=2.0) is proposed as a cause of open badcases without one if

* at least `LEAST_BADCASES` badcases have it in at least half of their reports, and each in so many that it is no
  chance: the exact binomial test against the share elsewhere, at `ALPHA` divided by the badcases looked at;
* together it has at least `LEAST_SHARE` of their reports, and `LEAST_LIFT` times the share elsewhere, which is that of
  all other reports of the function, and of which there must be some.

Labels are shared by what a badcase is, so elsewhere they say nothing: a truth or a prediction is proposed if it has
`LEAST_LIFT` times the share of reports that it would have if all labels were alike, and is that of more badcases than
chance gives: the same test, at `ALPHA` divided by the labels.

What looks or reads alike (`mlife.badcases.looking`) is shared too: badcases around one that is alike to all of them are
proposed if at least `LEAST_SHARE` of their pairs are alike, and `LEAST_LIFT` times the share of all other pairs.

The score is how many reports there are beyond what the share elsewhere explains (weighted relative accuracy times all
reports). Of proposals about nearly the same badcases the best stays, and names the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import comb

from mlife.core.events import derived_id
from mlife.core.statistics import binomial_at_least

LEAST_BADCASES = 3
LEAST_REPORTS = 3
"""Reports with the value that a badcase must have."""
LEAST_SHARE = 0.6
LEAST_LIFT = 2.0
LEAST_ELSEWHERE = 10
"""Reports elsewhere without which there is nothing to compare with."""
ALPHA = 0.05
SAME = 0.8
"""Share of badcases in common from which two proposals are about the same."""
LABELS = ("truth", "prediction")
LIKENESS = "likeness"
"""The attribute of what looks or reads alike; its value is the badcase in the middle."""
Alike = tuple[str, str, float]
"""Two badcases, and how alike they are."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An open badcase without a cause, with how many reports it has and its labels."""

    badcase_id: str
    reports: int
    truth: str | None = None
    prediction: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """
    How often the values of an attribute stand in reports.

    Args:
        of: value → badcase → reports with it, of the candidates. everywhere: value → reports of the function with it.
        total: reports of the function.
    """

    attribute: str
    of: Mapping[str, Mapping[str, int]]
    everywhere: Mapping[str, int]
    total: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """
    What badcases share.

    Args:
        badcase_ids: most reports first. reports: theirs, all of them.
        share: of their reports that have the value. elsewhere: of others.
        score: reports beyond what the share elsewhere explains.
        also: other values that nearly the same badcases share, such as `version=2.0`.
    """

    proposal_id: str
    system: str
    function: str
    attribute: str
    value: str
    badcase_ids: tuple[str, ...]
    reports: int
    share: float
    elsewhere: float
    score: float
    also: tuple[str, ...] = ()

    @property
    def shared(self) -> str:
        """What is shared, in short: `place=tunnel`."""
        return LIKENESS if self.attribute == LIKENESS else f"{self.attribute}={self.value}"

    @property
    def sentence(self) -> str:
        """The proposal in words."""
        those = f"these {len(self.badcase_ids)} badcases share {self.attribute}={self.value}"
        if self.attribute == LIKENESS:
            those = f"these {len(self.badcase_ids)} badcases look or read alike"
            return f"{those} ({self.share:.0%} of their pairs, {self.elsewhere:.0%} of others)"
        if self.attribute in LABELS:
            return f"{those} ({self.share:.0%} of open reports, {self.elsewhere:.0%} if all labels were alike)"
        return f"{those} ({self.share:.0%} of reports, {self.elsewhere:.0%} elsewhere)"


def proposal_id_of(system: str, function: str, attribute: str, value: str) -> str:
    """The id of a proposal: the same property has the same one, whoever finds it and when."""
    return f"prp-{derived_id('proposal', system, function, attribute, value).hex()[:12]}"


def proposals_of(
    system: str,
    function: str,
    candidates: Sequence[Candidate],
    seen: Iterable[Seen],
    dismissed: Iterable[str] = (),
    alike: Iterable[Alike] = (),
) -> list[Proposal]:
    """What to propose for one function, the highest score first."""
    gone = set(dismissed)
    by_id = {c.badcase_id: c for c in candidates}
    found = [p for attribute in seen for p in _shared(system, function, by_id, attribute)]
    found += [p for name in LABELS for p in _labels(system, function, candidates, name)]
    found = [p for p in found if p.proposal_id not in gone]
    found += _resembling(system, function, by_id, alike, gone)
    found.sort(key=lambda p: (-p.score, p.attribute, p.value))
    return _distinct(found)


def _shared(system: str, function: str, candidates: Mapping[str, Candidate], seen: Seen) -> Iterable[Proposal]:
    alpha = ALPHA / max(1, len(candidates))
    for value, counts in seen.of.items():
        often = {
            b: n for b, n in counts.items() if b in candidates and n >= LEAST_REPORTS and 2 * n >= candidates[b].reports
        }
        if len(often) < LEAST_BADCASES:
            continue
        _, elsewhere = _contrast(seen, value, often, candidates)
        chosen = {
            b: n
            for b, n in often.items()
            if elsewhere is not None and binomial_at_least(n, candidates[b].reports, elsewhere) < alpha
        }
        share, elsewhere = _contrast(seen, value, chosen, candidates)
        if len(chosen) < LEAST_BADCASES or elsewhere is None or share < max(LEAST_SHARE, LEAST_LIFT * elsewhere):
            continue
        yield _proposal(system, function, seen.attribute, value, [candidates[b] for b in chosen], share, elsewhere)


def _contrast(
    seen: Seen, value: str, counts: Mapping[str, int], candidates: Mapping[str, Candidate]
) -> tuple[float, float | None]:
    """The share of the value in these badcases, and in all other reports; None: there are too few of those."""
    inside, with_it = sum(candidates[b].reports for b in counts), sum(counts.values())
    outside = seen.total - inside
    if outside < LEAST_ELSEWHERE or not inside:
        return 0.0, None
    # one more of each than was seen: what was never seen elsewhere is rare, and not impossible
    return with_it / inside, (max(0, seen.everywhere.get(value, 0) - with_it) + 1) / (outside + 2)


def _labels(system: str, function: str, candidates: Sequence[Candidate], name: str) -> Iterable[Proposal]:
    groups: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        label = candidate.truth if name == "truth" else candidate.prediction
        if label is not None:
            groups.setdefault(label, []).append(candidate)
    total = sum(c.reports for group in groups.values() for c in group)
    for label, group in groups.items():
        share, alike = sum(c.reports for c in group) / total, 1 / len(groups)
        chance = binomial_at_least(len(group), len(candidates), alike)
        if len(group) >= LEAST_BADCASES and share >= LEAST_LIFT * alike and chance < ALPHA / len(groups):
            yield _proposal(system, function, name, label, group, share, alike)


def _resembling(
    system: str, function: str, candidates: Mapping[str, Candidate], alike: Iterable[Alike], gone: Collection[str]
) -> Iterable[Proposal]:
    """
    Badcases around one that is alike to all of them, the largest such first, each badcase once.

    What was dismissed with any of them in the middle is not proposed again with another one there.
    """
    near: dict[str, set[str]] = {}
    for one, other, _ in alike:
        if one in candidates and other in candidates:
            near.setdefault(one, set()).add(other)
            near.setdefault(other, set()).add(one)
    links, pairs = sum(map(len, near.values())) // 2, comb(len(candidates), 2)
    left = dict(near)
    while left:
        middle = min(left, key=lambda b: (-len(near[b] & left.keys()), b))
        group = _dense(middle, near[middle] & left.keys(), near)
        inside, possible = _links(group, near), comb(len(group), 2)
        for badcase_id in group:
            left.pop(badcase_id)
        if len(group) < LEAST_BADCASES or pairs - possible < LEAST_ELSEWHERE:
            continue
        share, elsewhere = inside / possible, (links - inside + 1) / (pairs - possible + 2)
        said = {proposal_id_of(system, function, LIKENESS, b) for b in group}
        if share >= LEAST_LIFT * elsewhere and not said & set(gone):
            members = [candidates[b] for b in group]
            yield _proposal(system, function, LIKENESS, middle, members, share, elsewhere)


def _dense(middle: str, around: Collection[str], near: Mapping[str, set[str]]) -> set[str]:
    """The middle and those around it, without the loosest, until enough of their pairs are alike."""
    group = {middle, *around}
    while len(group) > 2 and _links(group, near) < LEAST_SHARE * comb(len(group), 2):
        group.remove(min(group - {middle}, key=lambda b: (len(near[b] & group), b)))
    return group


def _links(group: Collection[str], near: Mapping[str, set[str]]) -> int:
    return sum(len(near[b] & set(group)) for b in group) // 2


def _proposal(
    system: str, function: str, attribute: str, value: str, group: Sequence[Candidate], share: float, elsewhere: float
) -> Proposal:
    ordered = sorted(group, key=lambda c: (-c.reports, c.badcase_id))
    reports = sum(c.reports for c in ordered)
    score = (share - elsewhere) * reports
    proposal_id = proposal_id_of(system, function, attribute, value)
    ids = tuple(c.badcase_id for c in ordered)
    return Proposal(proposal_id, system, function, attribute, value, ids, reports, share, elsewhere, score)


def _distinct(found: Iterable[Proposal]) -> list[Proposal]:
    kept: list[Proposal] = []
    for proposal in found:
        mine = set(proposal.badcase_ids)
        for at, better in enumerate(kept):
            other = set(better.badcase_ids)
            if len(mine & other) >= SAME * len(mine | other):
                kept[at] = replace(better, also=(*better.also, proposal.shared))
                break
        else:
            kept.append(proposal)
    return kept
