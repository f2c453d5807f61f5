"""
What user code imports: `task` for training and testing code, `Client` for feedback streams and files, `Spool` for
devices that are offline at times.

Imports nothing else of mlife and, apart from `Client`, only the standard library, so that training code starts fast.

A task's code runs in a process of its own with three environment variables. `MLIFE_TASK_ID` is the Task ID,
`MLIFE_OUTPUT` an empty folder, and `MLIFE_TASK` the path of the manifest, a JSON object:

    {"manifest": 1, "task_id": "tsk-…", "kind": "training" | "testing", "seed": 7, "parameters": {"C": 10.0},
     "groups": [{"group_id": "grp-…", "name": "home", "purpose": "training" | "validation" | "testing",
                 "digest": "sha256:…", "rows": [ROW, …]}],
     "models": [{"model_id": "mdl-…", "path": "/…/model.onnx", "sha256": "…"}]}

    ROW = {"sha256": "…", "file": "/…/local path", "path": "digits/7.png", "md5": "…",
           "annotation": "7" or {"type": "boxes", …}, "fields": {"place": "tunnel"}}

A large group has `"rows_file": "/…/rows.jsonl"` instead of `rows`, one ROW a line. `models` are those to test; a
training task has none. What the code leaves in the output folder:

    model.onnx      training: the model
    metrics.json    {"name": number}
    results.jsonl   testing: {"sha256": "…", "prediction": {"type": "class", "label": "7"}, "score": 0.98 or null,
                    "model_id": "mdl-…"} a line; `model_id` may be left out when one model is tested
    config.json     parameters and seed as they were used
    anything else   kept with the task

Progress is a line of its own on stdout: `MLIFE progress 0.4 epoch 4/10`. Exit code 0 is success.
"""

from mlife.sdk.client import Answer, Client
from mlife.sdk.faults import Away, FileRefused, SdkError, SpoolFull, SpoolTaken
from mlife.sdk.files import FilesAnswer
from mlife.sdk.spool import Spool, Standing
from mlife.sdk.tasks import Row, Task, TaskModel, task

__all__ = [
    "Answer",
    "Away",
    "Client",
    "FileRefused",
    "FilesAnswer",
    "Row",
    "SdkError",
    "Spool",
    "SpoolFull",
    "SpoolTaken",
    "Standing",
    "Task",
    "TaskModel",
    "task",
]
