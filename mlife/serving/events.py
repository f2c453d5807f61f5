"""What happens to models after training, and to deployments. Topic `mlife.serving`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from mlife.core.events import Event, event

JSON = dict[str, Any]


@event("mlife.model.added", stream="model/{model_id}", key="model_id")
class ModelAdded(Event):
    """A model that was made elsewhere was adopted."""

    model_id: str
    name: str
    system: str | None = None
    function: str | None = None
    sha256: str
    size: int
    metrics: dict[str, Any] = Field(default_factory=dict)
    parents: tuple[str, ...] = ()
    note: str = ""
    by: str | None = None


@event("mlife.model.noted", stream="model/{model_id}", key="model_id")
class ModelNoted(Event):
    """A person wrote a note on a model."""

    model_id: str
    note: str
    by: str | None = None


@event("mlife.model.judged", stream="verdict/{model_id}", key="model_id")
class ModelJudged(Event):
    """
    The gate's word on a model: each test set and each badcase by itself.

    Fields:
        opponent_id: the last model that passed; None for the first model.
        sentences: why, in words; the first one says the outcome.
        test_sets: `{"group_id", "name", "n", "right", "opponent_right", "loss_points", "p_value", "ok", "sentence"}`.
        badcases: `{"badcase_id", "title", "verdict": fixed|failing|unproven, "passes", "evidence", "lower", "upper",
            "missing", "broken", "sentence", "pinned", "siblings"}`.
        digests: what the verdict is bound to: model, groups, policy, code.
    """

    model_id: str
    system: str | None
    function: str | None
    opponent_id: str | None
    passed: bool
    sentences: tuple[str, ...]
    test_sets: tuple[JSON, ...]
    badcases: tuple[JSON, ...]
    digests: dict[str, str]
    seen_at: int
    iteration_id: str | None = None


@event("mlife.deployment.created", stream="deployment/{deployment_id}", key="deployment_id")
class DeploymentCreated(Event):
    """
    A person decided to ship models.

    Fields:
        version: what devices will report. target: where, e.g. `local`.
        metrics: user-defined columns (client, device, pending time, …).
        badcases: badcase id → verdict, as it was.
        replaces: the deployment that is active there now: what a rollback goes back to.
        override: who ships without a passed verdict, and why.
    """

    deployment_id: str
    system: str
    function: str | None = None
    model_ids: tuple[str, ...] = Field(min_length=1)
    version: str
    target: str
    metrics: dict[str, Any] = Field(default_factory=dict)
    badcases: dict[str, str] = Field(default_factory=dict)
    replaces: str | None = None
    override: dict[str, str] | None = None
    iteration_id: str | None = None
    by: str | None = None


@event("mlife.deployment.activated", stream="deployment/{deployment_id}", key="deployment_id")
class DeploymentActivated(Event):
    """
    The target answers with these models now; it was asked which model answers.

    Fields:
        digests: model id → sha256. uris: model id → where its file is.
        badcases: badcase id → verdict. share: of the target's traffic, in [0, 1].
        answered_by: the model id that the served model gave when it was asked.
        reason: `created`, or `rollback of dep-…`.
    """

    deployment_id: str
    system: str
    function: str | None = None
    model_ids: tuple[str, ...]
    version: str
    target: str
    digests: dict[str, str]
    uris: dict[str, str]
    badcases: dict[str, str]
    share: float = Field(ge=0, le=1)
    answered_by: str
    reason: str = "created"
    iteration_id: str | None = None


@event("mlife.deployment.failed", stream="deployment/{deployment_id}", key="deployment_id")
class DeploymentFailed(Event):
    """The target could not take the models; what was active stays active."""

    deployment_id: str
    error: str
    iteration_id: str | None = None


@event("mlife.deployment.rolled_back", stream="deployment/{deployment_id}", key="deployment_id")
class DeploymentRolledBack(Event):
    """
    A person took a deployment back; a handler then activates the earlier one again.

    Fields:
        to: the deployment that answers after it. The models and the version are those that were taken back.
    """

    deployment_id: str
    to: str
    system: str
    function: str | None = None
    model_ids: tuple[str, ...]
    version: str
    target: str
    reason: str
    kind: Literal["rollback"] = "rollback"
    iteration_id: str | None = None
    by: str | None = None


@event("mlife.model.judgement_asked", stream="model/{model_id}", key="model_id")
class ModelJudgementAsked(Event):
    """A person wants the gate's word again: rows were pinned, models tested, or the policy changed since."""

    model_id: str
    reason: str = ""
    by: str | None = None


@event("mlife.deployment.annotated", stream="deployment/{deployment_id}", key="deployment_id")
class DeploymentAnnotated(Event):
    """
    What people add to a deployment while it lives.

    Fields:
        metrics: user-defined columns that are new or changed; None takes one away.
        badcase_ids: badcases known of it beside those of its verdict, from feedback and observation.

    Source: the paper's MSM section ("add more badcases", "modify the metric list").
    """

    deployment_id: str
    metrics: dict[str, Any] = Field(default_factory=dict)
    badcase_ids: tuple[str, ...] = ()
    note: str = ""
    by: str | None = None


@event("mlife.version.claimed", stream="release/{system}", key="system")
class VersionClaimed(Event):
    """
    From now on a version that devices report means these models; written with the first deployment that names it.

    One stream for each system, which every decision about its deployments reads: of two that race, one decides again.
    """

    system: str
    version: str
    model_ids: tuple[str, ...]
    deployment_id: str
    iteration_id: str | None = None


@event("mlife.target.switched", stream="release/{system}", key="system")
class TargetSwitched(Event):
    """
    Another deployment answers for a function on a target; written with its `DeploymentActivated`.

    Fields:
        function: None: a deployment of several functions. previous: what answered before; None: nothing.
    """

    system: str
    function: str | None
    target: str
    deployment_id: str
    previous: str | None
    iteration_id: str | None = None
