"""
What the field says about fixes: which badcases close, which came back. Pure, over a `Scene` of the query tables.

Source: the contract's Judgements, "Closed" and "Regressed"; the exact rules are `mlife.core.judgement`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mlife.badcases.commands.settling import Closing, Regression
from mlife.core.judgement import (
    Counts,
    Policy,
    Return,
    ReturnFinding,
    Standing,
    Word,
    claim_of,
    closing,
    judge_return,
)


@dataclass(frozen=True)
class Fixed:
    """
    A badcase on which some model has a verdict.

    Args:
        standings: model → its latest verdict. judged: model → position of that verdict.
    """

    badcase_id: str
    closed_by: str | None
    regressed_by: str | None
    standings: Mapping[str, Standing]
    judged: Mapping[str, int]


@dataclass(frozen=True)
class Answering:
    """
    A deployment that answers now.

    Args:
        since: requests of its version counted after its last activation. requests: all of its version.
        iteration_ids: model → the iteration that made it.
    """

    deployment_id: str
    version: str
    model_ids: tuple[str, ...]
    requests: int
    since: int
    iteration_ids: Mapping[str, str | None]


@dataclass(frozen=True)
class Scene:
    """
    All of a function that closings and regressions depend on.

    Args:
        models: version → the models behind it. requests: version → requests that it answered; absent: not counted.
        parents: model → the models that it is meant to replace.
        files: (badcase id, version, after position) → distinct files reported.
    """

    answering: tuple[Answering, ...]
    parents: Mapping[str, tuple[str, ...]]
    models: Mapping[str, tuple[str, ...]]
    requests: Mapping[str, int]
    files: Callable[[str, str, int], int]


def look(scene: Scene, badcases: tuple[Fixed, ...], policy: Policy) -> tuple[list[Closing], list[Regression]]:
    """The badcases that close now, and those that came back."""
    closings: list[Closing] = []
    regressions: list[Regression] = []
    for badcase in badcases:
        if not any(s.word is Word.FIXED for s in badcase.standings.values()):
            continue
        back = _came_back(scene, badcase, policy)
        if back is not None:
            regressions.append(back)
        elif badcase.closed_by is None:
            done = _closes(scene, badcase, policy)
            if done is not None:
                closings.append(done)
    return closings, regressions


def _closes(scene: Scene, badcase: Fixed, policy: Policy) -> Closing | None:
    for deployment in scene.answering:
        for model_id in deployment.model_ids:
            own = badcase.standings.get(model_id)
            if own is None:
                continue
            regressed = badcase.regressed_by == model_id
            found = closing(own.word, active=True, regressed=regressed, requests=deployment.since, policy=policy)
            if found.closed:
                return Closing(
                    badcase_id=badcase.badcase_id,
                    model_id=model_id,
                    deployment_id=deployment.deployment_id,
                    bake=deployment.since,
                    sentence=found.sentence,
                    iteration_id=deployment.iteration_ids.get(model_id),
                )
    return None


def _came_back(scene: Scene, badcase: Fixed, policy: Policy) -> Regression | None:
    """
    Only models that answer now can bring something back: what an old device still sends says nothing new.

    Reports count from the model's own verdict on, where that says fixed: those before it are what the verdict judged.
    """
    for deployment in scene.answering:
        for model_id in deployment.model_ids:
            if badcase.regressed_by == model_id:
                continue
            finding, now = finding_of(scene, badcase, model_id, deployment.version, policy)
            if finding.word is not Return.REGRESSED or finding.claim is None or finding.p is None:
                continue
            return Regression(
                badcase_id=badcase.badcase_id,
                model_id=model_id,
                fixed_by=finding.claim.model_id,
                deployment_id=deployment.deployment_id,
                files=now.files,
                requests=now.requests or 0,
                accepted=finding.claim.standing.residual,
                p_value=finding.p,
                sentence=finding.sentence,
                iteration_id=deployment.iteration_ids.get(model_id),
            )
    return None


def finding_of(
    scene: Scene, badcase: Fixed, model_id: str, version: str, policy: Policy
) -> tuple[ReturnFinding, Counts]:
    """How the reports of *version*, from *model_id*, are to be read; and what was counted."""
    own = badcase.standings.get(model_id)
    after = badcase.judged[model_id] if own is not None and own.word is Word.FIXED else 0
    now = Counts(scene.files(badcase.badcase_id, version, after), scene.requests.get(version))
    finding = judge_return(
        model_id,
        standings=badcase.standings,
        parents=scene.parents,
        now=now,
        before=_before(scene, badcase),
        policy=policy,
    )
    return finding, now


def _before(scene: Scene, badcase: Fixed) -> Counts:
    """Files and requests of the versions whose models never had the fix, of those whose traffic is counted."""
    files = requests = 0
    for version, models in scene.models.items():
        if version not in scene.requests or any(_has_fix(scene, badcase, m) for m in models):
            continue
        files += scene.files(badcase.badcase_id, version, 0)
        requests += scene.requests[version]
    return Counts(files, requests or None)


def _has_fix(scene: Scene, badcase: Fixed, model_id: str) -> bool:
    claim = claim_of(model_id, badcase.standings, scene.parents)
    return claim is not None and claim.standing.word is Word.FIXED
