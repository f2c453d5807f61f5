"""ONNX models are checked, stamped and served by their label."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from mlife.adapters.model_inputs import ImageInput
from mlife.adapters.models_onnx import OnnxModels
from mlife.core.errors import Invalid, NotFound

MODELS = OnnxModels()


@pytest.fixture
def disagreeing(tmp_path):
    """A model whose label says b while its scores say a."""
    label = helper.make_tensor("l", TensorProto.STRING, [1], [b"b"])
    scores = helper.make_tensor("s", TensorProto.FLOAT, [1, 2], [0.9, 0.1])
    graph = helper.make_graph(
        [
            helper.make_node("Constant", [], ["label"], value=label),
            helper.make_node("Constant", [], ["scores"], value=scores),
            helper.make_node("Identity", ["x"], ["unused"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
        [
            helper.make_tensor_value_info("label", TensorProto.STRING, [1]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 2]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)] * 2, ir_version=8)
    model.metadata_props.add(key="mlife.labels", value='["a", "b"]')
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_the_label_is_served_with_its_own_score(disagreeing):
    assert MODELS.load(disagreeing).predict([[0, 0]]) == [{"label": "b", "score": pytest.approx(0.1)}]


def test_stamping_makes_a_new_file_with_one_opset_per_domain(disagreeing, tmp_path):
    before = disagreeing.read_bytes()
    assert MODELS.check(disagreeing).duplicate_opsets == ("",)

    facts = MODELS.stamp(disagreeing, tmp_path / "out.onnx", {"mlife.model_id": "mdl-1"})

    assert disagreeing.read_bytes() == before
    assert (facts.duplicate_opsets, facts.opsets) == ((), {"": 17})
    assert facts.metadata == {"mlife.labels": '["a", "b"]', "mlife.model_id": "mdl-1"}
    assert MODELS.load(tmp_path / "out.onnx").predict([[0, 0]])[0]["label"] == "b"
    again = MODELS.stamp(tmp_path / "out.onnx", tmp_path / "child.onnx", {"mlife.model_id": "mdl-2"})
    assert again.metadata["mlife.model_id"] == "mdl-2"
    with pytest.raises(Invalid, match="immutable"):
        MODELS.stamp(disagreeing, disagreeing, {})


def test_external_weights_are_refused_by_name(disagreeing):
    model = onnx.load(disagreeing)
    weights = model.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[1])
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../../etc/weights.bin")
    disagreeing.write_bytes(model.SerializeToString())
    with pytest.raises(Invalid, match=r"keeps weights in other files: \.\./\.\./etc/weights\.bin"):
        MODELS.check(disagreeing)


@pytest.mark.parametrize("data", [b"", b"\xff" * 50, b"PK\x03\x04 not a model"])
def test_what_is_no_model_is_refused(tmp_path, data):
    path = tmp_path / "x.onnx"
    path.write_bytes(data)
    for act in (MODELS.check, MODELS.load):
        with pytest.raises(Invalid):
            act(path)
    with pytest.raises(NotFound):
        MODELS.check(tmp_path / "none.onnx")


def test_what_is_no_file_is_refused_unread(tmp_path):
    for act in (MODELS.check, MODELS.load):
        with pytest.raises(Invalid, match="zero is no file"):
            act(Path("/dev/zero"))
        with pytest.raises(Invalid, match="is no file"):
            act(tmp_path)
    with (tmp_path / "large.onnx").open("wb") as sparse:
        sparse.truncate(2_000_000_001)
    with pytest.raises(Invalid, match="has 2,000,000,001 bytes: a model may have 2,000,000,000"):
        MODELS.check(tmp_path / "large.onnx")


def constant(tmp_path, kind, values, **metadata):
    """A model that answers *values* whatever it is shown."""
    tensor = helper.make_tensor("v", kind, [len(values)], values)
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["said"], value=tensor)],
        "constant",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("said", kind, [len(values)])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    for key, value in metadata.items():
        model.metadata_props.add(key=key.replace("_", "."), value=value)
    path = tmp_path / "constant.onnx"
    onnx.save(model, path)
    return MODELS.load(path)


def test_a_model_whose_answer_does_not_fit_its_question_is_at_fault(tmp_path):
    label = constant(tmp_path, TensorProto.INT64, [7])
    assert label.predict([[0, 0]])[0]["label"] == "7"
    with pytest.raises(Invalid, match=r"the model answers \[1\] for 2 rows"):
        label.predict([[0, 0], [0, 0]])
    with pytest.raises(Invalid, match=r"the model answers \[3\] for 2 rows"):
        constant(tmp_path, TensorProto.FLOAT, [0.1, 0.2, 0.7]).predict([[0, 0], [0, 0]])
    with pytest.raises(Invalid, match=r"gives 3 scores and mlife\.labels names 2 labels"):
        constant(tmp_path, TensorProto.FLOAT, [0.1, 0.2, 0.7], mlife_labels='["a", "b"]').predict([[0, 0]])


def test_an_exported_svc_answers_as_the_original_and_refuses_other_shapes(tmp_path):
    pixels, digits = load_digits(return_X_y=True)
    machine = SVC(C=10, gamma=0.001).fit(pixels[:500], digits[:500])
    with warnings.catch_warnings():  # skl2onnx asks for attributes that scikit-learn has deprecated
        warnings.simplefilter("ignore", FutureWarning)
        model = to_onnx(machine, pixels[:1].astype(np.float32), options={"zipmap": False})
    model.metadata_props.add(key="mlife.labels", value=json.dumps([str(c) for c in machine.classes_]))
    model.metadata_props.add(key="mlife.scores", value="votes")
    path = tmp_path / "svc.onnx"
    path.write_bytes(model.SerializeToString())

    predictor = MODELS.load(path)
    said = predictor.predict(pixels[500:])

    assert [p["label"] for p in said] == [str(d) for d in machine.predict(pixels[500:])]
    assert all(0.0 <= p["score"] <= 1.0 for p in said)
    assert predictor.predict([]) == []
    with pytest.raises(Invalid, match="shape"):
        predictor.predict(np.zeros((2, 3)))
    with pytest.raises(Invalid, match="does not say how it reads pictures"):
        predictor.predict_files([b""])


def png(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def test_a_picture_loses_its_margin_and_becomes_block_means():
    grey = np.zeros((56, 56), np.uint8)
    grey[8:48, 8:48] = np.kron(np.arange(64, dtype=np.uint8).reshape(8, 8), np.ones((5, 5), np.uint8))
    wanted = ImageInput(margin=1 / 7, scale=2.0)
    assert wanted.convert(png(grey)).tolist() == [2.0 * v for v in range(64)]
    assert ImageInput.from_json(wanted.to_json()) == wanted
    assert ImageInput(mode="RGB", size=(4, 6), flat=False).convert(png(grey)).shape == (3, 6, 4)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", '{"kind": "sound"}', '{"kind": "image", "size": [0, 8]}', '{"kind": "image", "size": 8}',
     '{"kind": "image", "size": ["8", 8]}', '{"kind": "image", "margin": 0.5}', '{"kind": "image", "mode": "CMYK"}',
     '{"kind": "image", "scale": true}', '{"kind": "image", "colour": 1}'],
)  # fmt: skip
def test_an_input_that_is_not_understood_is_refused(text):
    with pytest.raises(Invalid, match=r"mlife\.input"):
        ImageInput.from_json(text)


def test_what_is_no_picture_or_a_bomb_is_refused():
    bomb = io.BytesIO()
    Image.new("1", (9000, 9000)).save(bomb, "PNG")
    whole = png(np.random.default_rng(0).integers(0, 255, (30, 30)).astype(np.uint8))
    for data in (b"", b"GIF89a", b"x" * 99, whole[:300], bomb.getvalue()):
        with pytest.raises(Invalid):
            ImageInput().convert(data)
