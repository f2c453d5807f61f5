"""Decisions about deployments: creating, activating, taking back."""

from __future__ import annotations

from typing import Any

from mlife.core.command import Given
from mlife.core.errors import Invalid, Refused
from mlife.core.events import Event
from mlife.serving.events import (
    DeploymentActivated,
    DeploymentAnnotated,
    DeploymentCreated,
    DeploymentFailed,
    DeploymentRolledBack,
    TargetSwitched,
    VersionClaimed,
)
from mlife.serving.states import (
    Deployment,
    Model,
    Releases,
    Verdict,
    existing_deployment,
    existing_model,
    plain_columns,
    plain_name,
    plain_note,
    policy_for,
    slot_of,
)

LOCAL = "local"
"""The built-in target: models are served by the process of `mlife up`."""


def create_deployment(
    given: Given,
    *,
    system: str,
    function: str | None = None,
    model_ids: tuple[str, ...],
    version: str,
    target: str = LOCAL,
    metrics: dict[str, Any] = {},  # noqa: B006 - pydantic copies defaults
    override: dict[str, str] | None = None,
    iteration_id: str | None = None,
) -> list[Event]:
    """
    Ship one or several models. Each needs a passed verdict under the policy in force, or an override.

    Args:
        function: None: the models' own, if they share one.
        version: what devices report once they answer with these models.
        metrics: columns of your own, e.g. client or pending time.
        override: `{"by": …, "reason": …}`: who ships without a passed verdict, and why; kept only where it was needed.
    """
    system, version = plain_name(system, "system"), plain_name(version, "version", 80)
    target = plain_name(target, "target")
    if not model_ids or len(set(model_ids)) < len(model_ids):
        raise Invalid(f"models {list(model_ids)}", remedy="name at least one model, each once")
    models = [existing_model(given, m) for m in model_ids]
    function = function or _common_function(models)
    for model in models:
        _fits(model, system, function)
    refusals = [reason for m in models for reason in _not_passed(given, m, system, function)]
    if refusals and override is None:
        raise Refused(
            "; ".join(refusals),
            remedy="mend what refuses and test again, or override: give your name and a reason (--override REASON)",
        )
    signed = _signed(override) if refusals and override else None
    releases = given(Releases, system)
    claim = releases.versions.get(version)
    if claim is not None and set(claim.model_ids) != set(model_ids):
        raise Refused(
            f"version {version} of {system} means {', '.join(claim.model_ids)} since {claim.deployment_id}",
            remedy="choose a version that no other models have: reports are told apart by it",
        )
    deployment_id = given.new_id("dep")
    verdicts = [given(Verdict, m.id).last for m in models]
    iteration_id = iteration_id or next((v.iteration_id for v in verdicts if v and v.iteration_id), None)
    created = DeploymentCreated(
        deployment_id=deployment_id,
        system=system,
        function=function,
        model_ids=model_ids,
        version=version,
        target=target,
        metrics=plain_columns(metrics),
        badcases={b["badcase_id"]: b["verdict"] for v in verdicts if v for b in v.badcases},
        replaces=releases.answering(function, target),
        override=signed,
        iteration_id=iteration_id,
        by=given.actor,
    )
    if claim is not None:
        return [created]
    claimed = VersionClaimed(
        system=system, version=version, model_ids=model_ids, deployment_id=deployment_id, iteration_id=iteration_id
    )
    return [created, claimed]


def activate(
    given: Given,
    *,
    deployment_id: str,
    digests: dict[str, str],
    uris: dict[str, str],
    answered_by: str,
    undoes: str | None = None,
) -> list[Event]:
    """
    Record that the target answers with a deployment's models.

    Args:
        undoes: the deployment whose rollback brought this one back; None: it was newly created.
    """
    deployment, created = existing_deployment(given, deployment_id)
    releases = given(Releases, created.system)
    now = releases.answering(created.function, created.target)
    if now == deployment_id or (undoes is None and (deployment.activated or deployment.rolled_back)):
        return []
    if answered_by not in created.model_ids:
        raise Refused(f"{created.target} answers with {answered_by}, not with {', '.join(created.model_ids)}")
    return [
        DeploymentActivated(
            deployment_id=deployment_id,
            system=created.system,
            function=created.function,
            model_ids=created.model_ids,
            version=created.version,
            target=created.target,
            digests=digests,
            uris=uris,
            badcases=created.badcases,
            share=1.0,
            answered_by=answered_by,
            reason=f"rollback of {undoes}" if undoes else "created",
            iteration_id=created.iteration_id,
        ),
        TargetSwitched(
            system=created.system,
            function=created.function,
            target=created.target,
            deployment_id=deployment_id,
            previous=now,
            iteration_id=created.iteration_id,
        ),
    ]


def fail_deployment(given: Given, *, deployment_id: str, error: str) -> list[Event]:
    """Record that the target could not take a deployment's models; what answered before still does."""
    _, created = existing_deployment(given, deployment_id)
    if given(Releases, created.system).answering(created.function, created.target) == deployment_id:
        return []
    return [DeploymentFailed(deployment_id=deployment_id, error=error, iteration_id=created.iteration_id)]


def roll_back(given: Given, *, deployment_id: str, reason: str) -> list[Event]:
    """Take the deployment that answers now back; the one that answered before it is activated again."""
    deployment, created = existing_deployment(given, deployment_id)
    if deployment.rolled_back is not None and not given(Deployment, deployment.rolled_back.to).failed:
        return []
    if not reason.strip():
        raise Refused("a rollback needs a reason", remedy="say what went wrong, for those who look at it later")
    releases = given(Releases, created.system)
    now = releases.answering(created.function, created.target)
    if now != deployment_id:
        raise Refused(
            f"{deployment_id} is not what answers on {created.target}: {now or 'nothing'} does",
            remedy=f"roll back {now}" if now else "wait until it is activated, or see why it failed",
        )
    earlier = _before(given, releases, created)
    if earlier is None:
        raise Refused(
            f"nothing answered on {created.target} before {deployment_id}", remedy="deploy another model instead"
        )
    return [
        DeploymentRolledBack(
            deployment_id=deployment_id,
            to=earlier,
            system=created.system,
            function=created.function,
            model_ids=created.model_ids,
            version=created.version,
            target=created.target,
            reason=plain_note(reason),
            iteration_id=created.iteration_id,
            by=given.actor,
        )
    ]


def annotate_deployment(
    given: Given,
    *,
    deployment_id: str,
    metrics: dict[str, Any] = {},  # noqa: B006 - pydantic copies defaults
    badcase_ids: tuple[str, ...] = (),
    note: str = "",
) -> list[Event]:
    """Change a deployment's columns (None takes one away), attach further badcases, write a note."""
    deployment, _ = existing_deployment(given, deployment_id)
    changed = {k: v for k, v in plain_columns(metrics).items() if deployment.metrics.get(k) != v}
    more = tuple(b for b in dict.fromkeys(badcase_ids) if b not in deployment.badcase_ids)
    if not changed and not more and not note.strip():
        return []
    return [
        DeploymentAnnotated(
            deployment_id=deployment_id, metrics=changed, badcase_ids=more, note=plain_note(note), by=given.actor
        )
    ]


def _common_function(models: list[Model]) -> str | None:
    functions = {m.function for m in models}
    return functions.pop() if len(functions) == 1 else None


def _fits(model: Model, system: str, function: str | None) -> None:
    """A model that says what it is for is deployed for nothing else."""
    wrong_system = model.system is not None and model.system != system
    wrong_function = function is not None and model.function is not None and model.function != function
    if wrong_system or wrong_function:
        made_for = " ".join(part for part in (model.system, model.function) if part)
        raise Refused(
            f"{model.id} was made for {made_for}, not for {system} {function or ''}".rstrip(),
            remedy="deploy it there, or adopt its file again for this function (`mlife model add`)",
        )


def _not_passed(given: Given, model: Model, system: str, function: str | None) -> list[str]:
    """Why the gate does not let *model* through; empty if it does."""
    last = given(Verdict, model.id).last
    if last is None:
        return [f"{model.id} was never judged: no testing task ran with it"]
    if not last.passed:
        return [f"{model.id} {last.sentences[0]}", *last.sentences[1:6]]
    policy = policy_for(given, model.system or system, model.function or function)
    if last.digests.get("policy") != policy.digest():
        return [f"{model.id} passed under another policy than the one in force: judge it again"]
    return []


def _signed(override: dict[str, str]) -> dict[str, str]:
    by, reason = override.get("by", "").strip(), override.get("reason", "").strip()
    if not by or not reason or override.keys() - {"by", "reason"}:
        raise Refused(
            "an override needs a name and a reason",
            remedy='say who ships it all the same, and why: {"by": "…", "reason": "…"}',
        )
    return {"by": plain_name(by, "name"), "reason": plain_note(reason)}


def _before(given: Given, releases: Releases, created: DeploymentCreated) -> str | None:
    """The deployment that answered last before *created* and was not taken back or found broken since."""
    past = releases.history[slot_of(created.function, created.target)]
    for earlier in reversed(past[:-1]):
        state = given(Deployment, earlier)
        if earlier != created.deployment_id and state.rolled_back is None and not state.failed:
            return earlier
    return None
