"""
What the field says about fixes: which badcases close, which came back. Pure, over a `Scene` of the query tables.

Source: the contract's Judgements, "Closed" and "Regressed"; the exact rules are `mlife.core.judgement`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mlife.badcases.commands.settling import Closing, Regression, Reopening
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
        regressed_at: position where it came back. regrouped: was what is counted in it changed after that?
        returned: model → a badcase merged into it that had come back in that model.
    """

    badcase_id: str
    closed_by: str | None
    regressed_by: str | None
    standings: Mapping[str, Standing]
    judged: Mapping[str, int]
    regressed_at: int = 0
    regrouped: bool = False
    returned: Mapping[str, str] = field(default_factory=dict)


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


@dataclass
class Settled:
    """What the field shows: the badcases that close, that came back, and whose closing or return no longer holds."""

    closings: list[Closing] = field(default_factory=list)
    regressions: list[Regression] = field(default_factory=list)
    reopenings: list[Reopening] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.closings or self.regressions or self.reopenings)


def look(scene: Scene, badcases: tuple[Fixed, ...], policy: Policy, found: Settled | None = None) -> Settled:
    """Judge *badcases* as they are counted now; what is found is added to *found*."""
    found = Settled() if found is None else found
    for badcase in badcases:
        fixed = any(s.word is Word.FIXED for s in badcase.standings.values())
        back = _came_back(scene, badcase, policy) if fixed else None
        if back is not None:
            found.regressions.append(back)
            continue
        over = _over(scene, badcase, policy)
        if over is not None:
            found.reopenings.append(over)
        if fixed and (badcase.closed_by is None or over is not None):
            done = _closes(scene, badcase, policy, again=over is not None)
            if done is not None:
                found.closings.append(done)
    return found


def _over(scene: Scene, badcase: Fixed, policy: Policy) -> Reopening | None:
    """
    Why its closing, or its return, no longer holds; None if it does.

    A closing holds as long as the model that closed it is proved to fix what is counted there: what was merged into it
    may fail. A return that other reports showed than are counted there now is judged again.
    """
    closer = badcase.closed_by
    if closer is not None:
        own = badcase.standings.get(closer)
        if own is None or own.word is not Word.FIXED:
            verdict = "was not judged on" if own is None else f"is {own.word} on"
            said = f"no longer closed: {closer} {verdict} what is counted in it now"
            return Reopening(badcase_id=badcase.badcase_id, model_id=closer, sentence=said)
    model_id = badcase.regressed_by
    if model_id is None or not badcase.regrouped or model_id in badcase.returned:
        return None
    for deployment in scene.answering:
        if model_id in deployment.model_ids:
            judged_since = badcase.judged.get(model_id, 0) > badcase.regressed_at  # which excuses nothing
            after = 0 if judged_since else None
            finding, _ = finding_of(scene, badcase, model_id, deployment.version, policy, after=after)
            if finding.word is not Return.REGRESSED:
                said = f"it did not come back by what is counted in it now: {finding.sentence}"
                return Reopening(badcase_id=badcase.badcase_id, model_id=model_id, sentence=said)
    return None


def _closes(scene: Scene, badcase: Fixed, policy: Policy, *, again: bool) -> Closing | None:
    """*again*: it is judged as if it had never closed or come back."""
    for deployment in scene.answering:
        for model_id in deployment.model_ids:
            own = badcase.standings.get(model_id)
            if own is None:
                continue
            regressed = badcase.regressed_by == model_id and not again
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
            merged = badcase.returned.get(model_id)
            if (finding.word is not Return.REGRESSED and merged is None) or finding.claim is None or finding.p is None:
                continue
            said = finding.sentence
            if finding.word is not Return.REGRESSED:
                said += f"; {merged}, which is merged into it, had come back"
            return Regression(
                badcase_id=badcase.badcase_id,
                model_id=model_id,
                fixed_by=finding.claim.model_id,
                deployment_id=deployment.deployment_id,
                files=now.files,
                requests=now.requests or 0,
                accepted=finding.claim.standing.residual,
                p_value=finding.p,
                sentence=said,
                iteration_id=deployment.iteration_ids.get(model_id),
            )
    return None


def finding_of(
    scene: Scene, badcase: Fixed, model_id: str, version: str, policy: Policy, *, after: int | None = None
) -> tuple[ReturnFinding, Counts]:
    """
    How the reports of *version*, from *model_id*, are to be read; and what was counted.

    Args:
        after: position from which reports count; None: from the model's own verdict on.
    """
    own = badcase.standings.get(model_id)
    if after is None:
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
