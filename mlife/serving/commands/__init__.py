"""Decisions about models, verdicts, policies and deployments."""

from mlife.serving.commands.deployments import (
    LOCAL,
    activate,
    annotate_deployment,
    create_deployment,
    fail_deployment,
    roll_back,
)
from mlife.serving.commands.models import (
    add_model,
    adopted_id,
    ask_judgement,
    judge_model,
    load_policy,
    note_model,
)

__all__ = [
    "LOCAL",
    "activate",
    "add_model",
    "adopted_id",
    "annotate_deployment",
    "ask_judgement",
    "create_deployment",
    "fail_deployment",
    "judge_model",
    "load_policy",
    "note_model",
    "roll_back",
]
