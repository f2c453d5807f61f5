"""After the release: what ships, what closes, and what comes back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from mlife.core.judgement.policy import Policy
from mlife.core.judgement.verdicts import Word, counted, shown_p
from mlife.core.statistics import rate_excess


@dataclass(frozen=True, slots=True)
class Standing:
    """
    What was proved about one model and one badcase when the model was tested.

    Args:
        residual: share of the badcase that was accepted as still failing (`Verdict.residual`).
    """

    word: Word
    residual: float


@dataclass(frozen=True, slots=True)
class Claim:
    """The verdict that a report counts against, and the model it was given to."""

    model_id: str
    standing: Standing


class Return(StrEnum):
    """What new reports of a badcase mean, seen from the model that made them."""

    OPEN = "open"
    OLD_MODEL = "old model"
    WITHIN_RESIDUAL = "within the residual"
    RECURRING = "recurring"
    REGRESSED = "regressed"


@dataclass(frozen=True, slots=True)
class Counts:
    """
    Failures of one badcase and the requests they came from.

    Args:
        files: distinct files, so that a resend or a burst of one picture counts once.
        requests: from traffic counts; None when no traffic was sent.
    """

    files: int
    requests: int | None


@dataclass(frozen=True, slots=True)
class ReturnFinding:
    """
    How reports of one badcase from one model are to be read.

    Args:
        claim: the verdict they count against; None when no tested model is among the model's ancestors.
        p: of the rate test; None when it was not made.
        sentence: the finding in words with its numbers.
    """

    word: Return
    claim: Claim | None
    p: float | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Closing:
    """Is a badcase closed, and if not, what is it waiting for?"""

    closed: bool
    sentence: str


def claim_of(model_id: str, standings: Mapping[str, Standing], parents: Mapping[str, Collection[str]]) -> Claim | None:
    """
    The verdict that reports from *model_id* count against.

    A model is meant to have every fix of the models that it replaces. So the nearest proven fix counts, its own or an
    ancestor's: what an overridden model brings back is measured against the fix that it undid. Where there is none,
    the nearest verdict of any kind counts.

    Args:
        model_id: the model that made the reports, tested or not.
        standings: model → its latest verdict on this badcase; untested models are absent.
        parents: model → the models that it is meant to replace.
    """
    nearest: Claim | None = None
    ring, seen = [model_id], {model_id}
    while ring:
        claims = [Claim(model, standings[model]) for model in ring if model in standings]
        for claim in claims:
            if claim.standing.word is Word.FIXED:
                return claim
        nearest = nearest or (claims[0] if claims else None)
        above = dict.fromkeys(parent for model in ring for parent in parents.get(model, ()))
        ring = [parent for parent in above if parent not in seen]
        seen.update(ring)
    return nearest


def judge_return(
    model_id: str,
    *,
    standings: Mapping[str, Standing],
    parents: Mapping[str, Collection[str]],
    now: Counts,
    before: Counts,
    policy: Policy,
) -> ReturnFinding:
    """
    Read the reports of one badcase that came from *model_id* since it was activated.

    Regressed needs a fix that the model should have, enough distinct files, and a rate above what was accepted:
    the residual of the verdict times the rate before the fix.

    Args:
        model_id: the model that made the reports.
        standings: as in `claim_of`.
        parents: as in `claim_of`.
        now: this model's failures and requests since its activation.
        before: those of the models that did not have the fix.
        policy: how many files, and how sure.
    """
    claim = claim_of(model_id, standings, parents)
    files = counted(now.files, "file")
    if claim is None or claim.standing.word is not Word.FIXED:
        has_fix = sorted(model for model, standing in standings.items() if standing.word is Word.FIXED)
        if has_fix:
            return ReturnFinding(
                Return.OLD_MODEL, claim, None, f"{files} from {model_id}, which lacks the fix of {has_fix[0]}"
            )
        return ReturnFinding(Return.OPEN, claim, None, f"{files} from {model_id}; no model has a proven fix")
    if not now.requests or not before.requests:
        return ReturnFinding(
            Return.RECURRING, claim, None, f"{files} although {claim.model_id} fixed it; no traffic counts to judge by"
        )
    p = rate_excess(now.files, now.requests, before.files, before.requests, claim.standing.residual)
    accepted = claim.standing.residual * before.files / before.requests * now.requests
    said = (
        f"{files} in {counted(now.requests, 'request')} of {model_id}; about {accepted:.1f} were accepted "
        f"when {claim.model_id} fixed it (p = {shown_p(p)})"
    )
    if now.files >= policy.regressed_files and p < policy.regressed_significance:
        return ReturnFinding(Return.REGRESSED, claim, p, said)
    return ReturnFinding(Return.WITHIN_RESIDUAL, claim, p, said)


def closing(word: Word, *, active: bool, regressed: bool, requests: int, policy: Policy) -> Closing:
    """
    A badcase closes by itself once it is fixed, active, not regressed, and has baked.

    Args:
        word: the verdict of the model that is active.
        active: is that model active on a target?
        regressed: have reports come back (`Return.REGRESSED`) that no later fix answers?
        requests: that it has served since its activation.
        policy: how long the bake is.
    """
    if regressed:
        return Closing(closed=False, sentence="it came back: regressed")
    if word is not Word.FIXED:
        return Closing(
            closed=False, sentence=f"the active model's verdict is {word}" if active else f"the last verdict is {word}"
        )
    if not active:
        return Closing(closed=False, sentence="fixed, waiting for a deployment")
    if requests < policy.bake_requests:
        return Closing(
            closed=False, sentence=f"fixed and active, baking: {requests} of {policy.bake_requests} requests"
        )
    return Closing(closed=True, sentence=f"fixed, active, and quiet over {requests} requests")


def shipped_share(requests_by_model: Mapping[str, int], fixed_by: Collection[str]) -> float | None:
    """
    The share of recent traffic, 0 to 1, that is served by models with the fix; None without traffic.

    A rollback un-ships by itself: the traffic moves to a model that lacks the fix.
    """
    total = sum(requests_by_model.values())
    if total <= 0:
        return None
    return sum(count for model, count in requests_by_model.items() if model in fixed_by) / total
