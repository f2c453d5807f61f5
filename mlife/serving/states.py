"""What decisions about models and deployments need to know of their streams."""

from __future__ import annotations

import math
from typing import Any

from mlife.core.command import Given, State
from mlife.core.control import PolicyLoaded
from mlife.core.errors import Invalid, no_such, shortened
from mlife.core.events import Event
from mlife.core.judgement import Policy
from mlife.serving.events import (
    DeploymentActivated,
    DeploymentAnnotated,
    DeploymentCreated,
    DeploymentFailed,
    DeploymentRolledBack,
    ModelJudged,
    TargetSwitched,
    VersionClaimed,
)

MADE = {"mlife.model.trained", "mlife.model.added"}
"""How a model comes to be. The first is the training feature's, known here by its published name alone."""

DEFAULT_POLICY = "default"


class Model(State):
    """A model, wherever it was made."""

    category = "model"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.made = False
        self.name = ""
        self.system: str | None = None
        self.function: str | None = None
        self.sha256 = ""
        self.parents: tuple[str, ...] = ()

    def apply(self, event: Event) -> None:
        """Take what it was made as."""
        if event.declared.name in MADE:
            fields: Any = event
            self.made = True
            self.name, self.system, self.function = fields.name, fields.system, fields.function
            self.sha256, self.parents = fields.sha256, tuple(fields.parents)


class Verdict(State):
    """The gate's last word on a model."""

    category = "verdict"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.last: ModelJudged | None = None

    def apply(self, event: Event) -> None:
        """The latest judgement counts."""
        if isinstance(event, ModelJudged):
            self.last = event


class Deployment(State):
    """One deployment's life."""

    category = "deployment"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.created: DeploymentCreated | None = None
        self.activated = False
        self.failed = False
        self.rolled_back: DeploymentRolledBack | None = None
        self.metrics: dict[str, Any] = {}
        self.badcase_ids: set[str] = set()

    def apply(self, event: Event) -> None:
        """Follow it from its creation on."""
        match event:
            case DeploymentCreated():
                self.created = event
                self.metrics = dict(event.metrics)
                self.badcase_ids = set(event.badcases)
            case DeploymentActivated():
                self.activated, self.failed, self.rolled_back = True, False, None
            case DeploymentFailed():
                self.failed = True
            case DeploymentRolledBack():
                self.rolled_back = event
            case DeploymentAnnotated():
                self.metrics |= event.metrics
                self.badcase_ids |= set(event.badcase_ids)


class Releases(State):
    """
    What is where in one system: which version means which models, and what answers on each target.

    `history` has the deployments of a slot (`slot_of`) in the order in which they answered; the last one answers now.
    """

    category = "release"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.versions: dict[str, VersionClaimed] = {}
        self.history: dict[str, list[str]] = {}

    def apply(self, event: Event) -> None:
        """Collect claims and switches."""
        if isinstance(event, VersionClaimed):
            self.versions[event.version] = event
        elif isinstance(event, TargetSwitched):
            self.history.setdefault(slot_of(event.function, event.target), []).append(event.deployment_id)

    def answering(self, function: str | None, target: str) -> str | None:
        """The deployment that answers now; None: nothing does."""
        past = self.history.get(slot_of(function, target))
        return past[-1] if past else None


class PolicyInForce(State):
    """The numbers loaded last for a function, or for `default`."""

    category = "policy"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.policy: Policy | None = None

    def apply(self, event: Event) -> None:
        """The latest counts."""
        if isinstance(event, PolicyLoaded):
            self.policy = Policy.model_validate(event.policy)


def slot_of(function: str | None, target: str) -> str:
    """What one deployment can answer for at a time in a system: `emotion@local`, `*@local` for several functions."""
    return f"{function or '*'}@{target}"


def policy_for(given: Given, system: str | None, function: str | None) -> Policy:
    """The policy in force: the function's own, else the loaded default, else the built-in one; never mixed."""
    if system and function:
        own = given(PolicyInForce, f"{system}/{function}").policy
        if own is not None:
            return own
    return given(PolicyInForce, DEFAULT_POLICY).policy or Policy()


def existing_model(given: Given, model_id: str) -> Model:
    """
    The model.

    Raises:
        NotFound: nobody made it.
    """
    model = given(Model, model_id)
    if not model.made:
        raise no_such("model", model_id)
    return model


def existing_deployment(given: Given, deployment_id: str) -> tuple[Deployment, DeploymentCreated]:
    """
    The deployment, and how it was created.

    Raises:
        NotFound: nobody created it.
    """
    deployment = given(Deployment, deployment_id)
    if deployment.created is None:
        raise no_such("deployment", deployment_id)
    return deployment, deployment.created


LONGEST_NOTE = 4_000
MOST_COLUMNS = 64


def plain_columns(metrics: dict[str, Any]) -> dict[str, Any]:
    """
    User-defined metrics or columns: short names with numbers, yes or no, or short texts.

    Raises:
        Invalid: there is anything else among them.
    """
    if len(metrics) > MOST_COLUMNS:
        raise Invalid(f"{len(metrics)} columns", remedy=f"give at most {MOST_COLUMNS}")
    for name, value in metrics.items():
        plain_name(name, "column")
        is_plain = isinstance(value, str | int | float | bool | None)
        is_long = isinstance(value, str) and len(value) > 1_000
        if not is_plain or is_long or (isinstance(value, float) and not math.isfinite(value)):
            raise Invalid(
                f"column {name} holds {shortened(value, 40)}", remedy="give a finite number, yes or no, or a short text"
            )
    return metrics


def plain_note(text: str) -> str:
    """
    *text*, trimmed.

    Raises:
        Invalid: it is too long to be a note.
    """
    if len(text) > LONGEST_NOTE:
        raise Invalid(f"a note of {len(text)} characters", remedy=f"write at most {LONGEST_NOTE}")
    return text.strip()


def plain_name(value: str, field: str, limit: int = 100) -> str:
    """
    *value* as a name that people read: one line, not empty.

    Raises:
        Invalid: it is none.
    """
    name = value.strip()
    if not name or len(name) > limit or not name.isprintable():
        raise Invalid(f"{field} {value[:limit]!r} is no name", remedy=f"give 1 to {limit} printable characters")
    return name
