"""What happens to training and testing tasks, and the models that come out of them. Topic `mlife.training`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from mlife.core.events import Event, event

SAMPLES_IN_EVENT = 2_000


@event("mlife.task.drafted", stream="task/{task_id}", key="task_id")
class TaskDrafted(Event):
    """A Task ID exists, minted by grouping or by a person who reuses groups."""

    task_id: str
    kind: Literal["training", "testing"]
    name: str
    group_ids: tuple[str, ...]
    system: str | None = None
    function: str | None = None
    iteration_id: str | None = None
    by: str | None = None


@event("mlife.task.queued", stream="task/{task_id}", key="task_id")
class TaskQueued(Event):
    """
    A person (or a handler) started the task: from now on it is a worker's to run.

    Fields:
        entry_point: `module:function` or a command line. workdir: where it runs; None: the worker's own.
        group_ids: all groups that it uses. model_ids: the models to test; a testing task has at least one.
        parents: of the model to be trained: the models that it is meant to replace.
        time_limit: seconds after which the code is stopped; None: the worker's own limit.
    """

    task_id: str
    entry_point: str
    workdir: str | None = None
    group_ids: tuple[str, ...]
    model_ids: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    parameters: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0
    model_name: str = ""
    time_limit: float | None = Field(default=None, gt=0)
    iteration_id: str | None = None
    by: str | None = None


@event("mlife.task.started", stream="task/{task_id}", key="task_id")
class TaskStarted(Event):
    """A worker took the lease. `attempt` (from 1) is the epoch: only its holder may finish the task."""

    task_id: str
    attempt: int = Field(ge=1)
    worker: str
    iteration_id: str | None = None


@event("mlife.task.finished", stream="task/{task_id}", key="task_id")
class TaskFinished(Event):
    """
    The user's code ended well.

    Fields:
        metrics: from `metrics.json`. files: name → sha256 of everything it left, the log as `log.txt`.
        model_id: the model that it trained; None for a test. tested: model id → group id → samples.
        digests: group id → digest, `code` → SHA-256 of the entry point's source, and of a test model id → sha256.
    """

    task_id: str
    attempt: int
    kind: Literal["training", "testing"]
    metrics: dict[str, Any]
    files: dict[str, str]
    seconds: float
    model_id: str | None = None
    tested: dict[str, dict[str, int]] = Field(default_factory=dict)
    digests: dict[str, str] = Field(default_factory=dict)
    iteration_id: str | None = None


@event("mlife.task.failed", stream="task/{task_id}", key="task_id")
class TaskFailed(Event):
    """The user's code ended badly, or left what can't be used."""

    task_id: str
    attempt: int
    error: str
    files: dict[str, str] = Field(default_factory=dict)
    seconds: float = 0.0
    iteration_id: str | None = None


@event("mlife.task.cancelled", stream="task/{task_id}", key="task_id")
class TaskCancelled(Event):
    """A person gave it up."""

    task_id: str
    reason: str
    iteration_id: str | None = None
    by: str | None = None


@event("mlife.model.trained", stream="model/{model_id}", key="model_id")
class ModelTrained(Event):
    """
    A task produced a model.

    Fields:
        sha256: of the ONNX file. parents: the models that it is meant to replace (default: the deployed one).
        digests: group id → digest, and `code` → SHA-256 of the entry point's source.
    """

    model_id: str
    task_id: str
    name: str
    system: str | None = None
    function: str | None = None
    sha256: str
    size: int
    metrics: dict[str, Any]
    parents: tuple[str, ...]
    digests: dict[str, str]
    iteration_id: str | None = None


@event("mlife.result.recorded", stream="result/{task_id}", key="task_id")
class ResultRecorded(Event):
    """
    What a model answered on rows of a test group, at most 2,000 samples; they precede `TaskFinished` in one append.

    Fields:
        samples: `[sha256, truth, prediction, score or None]` each; a class is its label, another type canonical JSON.
        judged: sha256 → was it right? Where that is not whether truth and prediction are the same text: the code says
            so, or they differ in scores alone.
    """

    task_id: str
    model_id: str
    group_id: str
    samples: tuple[tuple[str, str, str, float | None], ...] = Field(min_length=1, max_length=SAMPLES_IN_EVENT)
    judged: dict[str, bool] = Field(default_factory=dict)
