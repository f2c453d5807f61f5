"""
The user's own training code: does a driver smile? Edges of the lower face and a logistic regression, one ONNX model.

Reads the rows of all training groups, each face and its mirror image; parameter `C`. The edges are part of the exported
model, so that it reads pictures as they come from the camera.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression

import mlife
from mlife.adapters.model_inputs import INPUT_KEY, ImageInput
from mlife.adapters.models_onnx import LABELS_KEY

PICTURES = ImageInput(mode="L", size=(64, 64), flat=False)
LOWER = ((24, 8), (62, 56))
"""The part of a face that is looked at: from (row, column) up to (row, column)."""
DIRECTIONS = 8
CELL, STEP = 8, 4
"""Pixels of the squares in which edges are counted, and how far apart they begin."""


def edges() -> tuple[list[Any], list[Any]]:
    """
    Nodes and constants of the graph `faces` → `edges`: how strong edges are in each direction, cell by cell.

    Each cell is divided by its own strength, so that neither light nor camera matter.
    """
    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    kernels = np.zeros((DIRECTIONS, 1, 3, 3), np.float32)
    kernels[:, 0, 1, 0], kernels[:, 0, 1, 2] = -np.cos(angles), np.cos(angles)
    kernels[:, 0, 0, 1], kernels[:, 0, 2, 1] = -np.sin(angles), np.sin(angles)
    constants: dict[str, Any] = {
        "from": np.array(LOWER[0], np.int64), "to": np.array(LOWER[1], np.int64), "axes": np.array([2, 3], np.int64),
        "kernels": kernels, "little": np.array(1e-8, np.float32), "floor": np.array(0.02, np.float32),
    }  # fmt: skip
    nodes = [
        helper.make_node("Slice", ["faces", "from", "to", "axes"], ["lower"]),
        helper.make_node("Conv", ["lower", "kernels"], ["slopes"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["slopes"], ["rising"]),
        helper.make_node("Mul", ["rising", "rising"], ["power"]),
        helper.make_node("AveragePool", ["power"], ["cells"], kernel_shape=[CELL, CELL], strides=[STEP, STEP]),
        helper.make_node("Add", ["cells", "little"], ["more"]),
        helper.make_node("Sqrt", ["more"], ["strength"]),
        helper.make_node("ReduceL2", ["strength"], ["all"], axes=[1], keepdims=1),
        helper.make_node("Add", ["all", "floor"], ["whole"]),
        helper.make_node("Div", ["strength", "whole"], ["share"]),
        helper.make_node("Flatten", ["share"], ["edges"]),
    ]
    return nodes, [numpy_helper.from_array(value, name) for name, value in constants.items()]


def classifier(machine: LogisticRegression) -> tuple[list[Any], list[Any]]:
    """Nodes and constants of `edges` → `scores`, one probability for each of two classes."""
    weights = machine.coef_.astype(np.float32)
    constants: dict[str, Any] = {
        "weights": np.concatenate([-weights, weights]).T / 2,
        "bias": np.r_[-1, 1] * machine.intercept_ / 2,
    }
    nodes = [
        helper.make_node("Gemm", ["edges", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
    ]
    return nodes, [numpy_helper.from_array(np.asarray(v, np.float32), name) for name, v in constants.items()]


def model_of(nodes: list[Any], constants: list[Any], output: str) -> onnx.ModelProto:
    """A model that reads faces (samples × 1 × 64 × 64, 0 to 1) and ends with *output*."""
    faces = helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["n", 1, *PICTURES.size])
    answer = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", "k"])
    graph = helper.make_graph(nodes, "expression", [faces], [answer], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def main() -> None:
    with mlife.task() as t:
        t.progress(0.0, "reading faces")
        rows = list(t.rows("training"))
        faces = np.stack([PICTURES.convert(row.read()) for row in rows])
        faces = np.concatenate([faces, faces[..., ::-1]])
        smiles = np.array([row.label for row in rows] * 2)

        t.progress(0.4, f"fitting {len(rows)} faces")
        nodes, constants = edges()
        seer = onnxruntime.InferenceSession(model_of(nodes, constants, "edges").SerializeToString())
        seen = seer.run(["edges"], {"faces": faces})[0]
        machine = LogisticRegression(C=t.parameters.get("C", 1.0), max_iter=500)
        machine.fit(seen, smiles)

        t.progress(0.8, "exporting")
        more, others = classifier(machine)
        model = model_of([*nodes, *more], [*constants, *others], "scores")
        for key, text in {INPUT_KEY: PICTURES.to_json(), LABELS_KEY: json.dumps(machine.classes_.tolist())}.items():
            model.metadata_props.add(key=key, value=text)
        t.save_model(model.SerializeToString())
        t.log_metrics({"rows": len(rows), "training_accuracy": float(machine.score(seen, smiles))})
        t.progress(1.0, "done")


if __name__ == "__main__":
    main()
