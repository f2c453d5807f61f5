"""
The user's own training code: a support vector machine on small grey pictures, exported to ONNX.

Reads the rows of all training groups; parameters `C` and `gamma`.
"""

from __future__ import annotations

import json
import warnings

import numpy as np
from skl2onnx import to_onnx
from sklearn.svm import SVC

import mlife
from mlife.adapters.model_inputs import INPUT_KEY, ImageInput
from mlife.adapters.models_onnx import LABELS_KEY, SCORES_KEY

PICTURES = ImageInput(mode="L", size=(8, 8), margin=1 / 7, scale=16 / 255)
"""Cut the empty margin off, reduce to 8 × 8, and count ink from 0 to 16 as the home digits do."""


def main() -> None:
    with mlife.task() as t:
        t.progress(0.0, "reading pictures")
        rows = list(t.rows("training"))
        pixels = np.stack([PICTURES.convert(row.read()) for row in rows])
        digits = np.array([int(row.label) for row in rows])

        t.progress(0.5, f"fitting {len(rows)} pictures")
        machine = SVC(C=t.parameters.get("C", 10.0), gamma=t.parameters.get("gamma", 0.001))
        machine.fit(pixels, digits)

        t.progress(0.8, "exporting")
        with warnings.catch_warnings():  # skl2onnx asks for attributes that scikit-learn has deprecated
            warnings.simplefilter("ignore", FutureWarning)
            model = to_onnx(machine, pixels[:1], options={"zipmap": False})
        labels = [str(digit) for digit in machine.classes_]
        for key, text in {
            INPUT_KEY: PICTURES.to_json(),
            LABELS_KEY: json.dumps(labels),
            SCORES_KEY: "votes",  # of one digit against each other one; they are no probabilities
        }.items():
            model.metadata_props.add(key=key, value=text)
        t.save_model(model.SerializeToString())
        t.log_metrics(
            {
                "rows": len(rows),
                "support_vectors": int(machine.n_support_.sum()),
                "training_accuracy": float(machine.score(pixels, digits)),
            }
        )
        t.progress(1.0, "done")


if __name__ == "__main__":
    main()
