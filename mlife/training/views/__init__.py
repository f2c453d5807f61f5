"""
Query tables of tasks and results, and the questions that are asked of them.

What others ask: `results`, `tested_groups`, `siblings`, `accuracy` (the gate, badcases), `deployed_models` (parents).
"""

from mlife.training.views.comparison import STATES, Change, Comparison, changed_rows, compare_models
from mlife.training.views.results import (
    Confusion,
    LabelScore,
    Result,
    Sample,
    Score,
    accuracy,
    by_label,
    confusions,
    results,
    samples,
    scores_of_task,
    siblings,
    tested_groups,
)
from mlife.training.views.tables import set_key
from mlife.training.views.tasks import (
    KINDS,
    GroupFacts,
    ModelFacts,
    TaskView,
    deployed_models,
    groups,
    last_start,
    models,
    neighbours,
    open_tasks,
    running_tasks,
    task,
    task_page,
    tasks_by,
    tasks_search,
    waiting_tasks,
)

__all__ = [
    "KINDS",
    "STATES",
    "Change",
    "Comparison",
    "Confusion",
    "GroupFacts",
    "LabelScore",
    "ModelFacts",
    "Result",
    "Sample",
    "Score",
    "TaskView",
    "accuracy",
    "by_label",
    "changed_rows",
    "compare_models",
    "confusions",
    "deployed_models",
    "groups",
    "last_start",
    "models",
    "neighbours",
    "open_tasks",
    "results",
    "running_tasks",
    "samples",
    "scores_of_task",
    "set_key",
    "siblings",
    "task",
    "task_page",
    "tasks_by",
    "tasks_search",
    "tested_groups",
    "waiting_tasks",
]
