"""
Query tables of models, verdicts and deployments, and the questions that are asked of them.

What others ask: `model`, `verdict`, `passed_models`, `parents_of`, `policy_of`, `answering`, `deployment_named`.
"""

from mlife.serving.views.deployments import (
    DEPLOYMENTS,
    DeploymentView,
    SlotView,
    answering,
    deployment,
    deployment_named,
    deployment_page,
    deployments_by,
    deployments_of_model,
)
from mlife.serving.views.models import (
    MODELS,
    ModelView,
    NoteView,
    VerdictView,
    children_of,
    count_models,
    model,
    model_page,
    models_by,
    models_by_id,
    notes_of,
    parents_of,
    passed_models,
    policies,
    policy_of,
    verdict,
    verdicts_before,
    verdicts_of,
)

__all__ = [
    "DEPLOYMENTS",
    "MODELS",
    "DeploymentView",
    "ModelView",
    "NoteView",
    "SlotView",
    "VerdictView",
    "answering",
    "children_of",
    "count_models",
    "deployment",
    "deployment_named",
    "deployment_page",
    "deployments_by",
    "deployments_of_model",
    "model",
    "model_page",
    "models_by",
    "models_by_id",
    "notes_of",
    "parents_of",
    "passed_models",
    "policies",
    "policy_of",
    "verdict",
    "verdicts_before",
    "verdicts_of",
]
