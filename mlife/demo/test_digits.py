"""
The user's own testing code: each model of the task reads each testing row once, as it will be served.

The file is named by what it does to digits; it holds no unit tests.
"""

from __future__ import annotations

import mlife
from mlife.adapters.models_onnx import OnnxModels

BATCH = 256


def main() -> None:
    with mlife.task() as t:
        rows = list(t.rows("testing"))
        for place, model in enumerate(t.models):
            predictor = OnnxModels().load(model.path)
            hits: dict[str, list[bool]] = {}
            for start in range(0, len(rows), BATCH):
                some = rows[start : start + BATCH]
                for row, said in zip(some, predictor.predict_files(r.read() for r in some), strict=True):
                    t.record(row.sha256, said["label"], said["score"], model_id=model.model_id)
                    hits.setdefault(row.group, []).append(said["label"] == row.label)
                done = (place + (start + len(some)) / len(rows)) / len(t.models)
                t.progress(done, f"{model.model_id}: {start + len(some)}/{len(rows)}")
            prefix = f"{model.model_id}." if len(t.models) > 1 else ""
            t.log_metrics({f"{prefix}accuracy.{group}": sum(right) / len(right) for group, right in hits.items()})


if __name__ == "__main__":
    main()
