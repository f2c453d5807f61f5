"""The active model answers: one picture, the Open Inference Protocol in JSON and binary, and bad input."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib

import pytest

from tests.serving.conftest import picture

INFER = "/v2/models/dms.emotion/infer"


@pytest.fixture
def served(shop, first, client):
    """A client of a server whose `dms.emotion` answers `v1`; the Model ID beside it."""
    shop.deploy(first[0], "1.0")
    return client, first[0]


def numbers(shape, data, **more):
    return {"inputs": [{"name": "x", "shape": shape, "datatype": "FP32", "data": data, **more}]}


def test_one_picture_is_answered_with_who_answered(served):
    client, model = served
    said = client.post("/api/v1/predict/dms/emotion", content=picture()).json()

    assert said["label"] == "v1"
    assert (said["model_id"], said["version"]) == (model, "1.0")
    assert said["deployment_id"].startswith("dep-")


def test_a_row_of_numbers_is_answered_with_the_model_id_as_version(served):
    client, model = served
    said = client.post(INFER, json=numbers([1, 4], [0, 1, 2, 3]) | {"id": "mine"}).json()

    assert said == {
        "model_name": "dms.emotion",
        "model_version": model,
        "id": "mine",
        "outputs": [{"name": "label", "datatype": "BYTES", "shape": [1], "data": ["v1"]}],
    }
    assert client.post(f"/v2/models/{model}/infer", json=numbers([1, 4], [[0, 1, 2, 3]])).status_code == 200


def test_pictures_come_as_base64(served):
    client, _ = served
    one = {"name": "p", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(picture()).decode()]}
    assert client.post(INFER, json={"inputs": [one]}).json()["outputs"][0]["data"] == ["v1"]


def binary(head, raw):
    said = json.dumps(head).encode()
    return {"content": said + raw, "headers": {"Inference-Header-Content-Length": str(len(said))}}


def test_binary_tensors_go_both_ways(served):
    client, model = served
    raw = struct.pack("<4f", 0, 1, 2, 3)
    head = {
        "inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "parameters": {"binary_data_size": len(raw)}}],
        "parameters": {"binary_data_output": True},
    }
    answer = client.post(INFER, **binary(head, raw))

    length = int(answer.headers["Inference-Header-Content-Length"])
    said = json.loads(answer.content[:length])
    assert said["model_version"] == model
    assert said["outputs"][0]["parameters"] == {"binary_data_size": 6}
    assert answer.content[length:] == struct.pack("<I", 2) + b"v1"


def test_binary_pictures_carry_their_lengths(served):
    client, _ = served
    raw = struct.pack("<I", len(picture())) + picture()
    head = {"inputs": [{"name": "p", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(raw)}}]}
    assert client.post(INFER, **binary(head, raw)).json()["outputs"][0]["data"] == ["v1"]


def bomb():
    """A PNG of 60,000 × 60,000 pixels in a few bytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


BAD = {
    "no JSON": (b"{", "no JSON"),
    "no inputs": (b"{}", "exactly one input"),
    "two inputs": (json.dumps({"inputs": [{}, {}]}).encode(), "exactly one input"),
    "a list": (b"[1]", "exactly one input"),
    "wrong shape": (json.dumps(numbers([1, 5], [1] * 5)).encode(), "can't read an input of shape (1, 5)"),
    "shape and data differ": (json.dumps(numbers([1, 4], [1, 2])).encode(), "do not fit shape [1, 4]"),
    "negative shape": (json.dumps(numbers([-1, 4], [1])).encode(), "shape is [-1, 4]"),
    "huge shape": (json.dumps(numbers([10**9, 10**9], [1])).encode(), "too large"),
    "words": (json.dumps(numbers([1, 4], ["a", "b", "c", "d"])).encode(), "do not fit shape"),
    "beyond float32": (json.dumps(numbers([1, 4], [1e39, 0, 0, 0])).encode(), "not finite"),
    "unknown type": (json.dumps({"inputs": [{"shape": [1], "datatype": "STRING", "data": []}]}).encode(), "datatype"),
    "no base64": (
        json.dumps({"inputs": [{"shape": [1], "datatype": "BYTES", "data": ["§"]}]}).encode(), "element 1 is no base64"
    ),
    "not a picture": (
        json.dumps({"inputs": [{"shape": [1], "datatype": "BYTES", "data": ["aGVsbG8="]}]}).encode(),
        "5 bytes are no picture",
    ),
    "fewer pictures": (
        json.dumps({"inputs": [{"shape": [2], "datatype": "BYTES", "data": ["aGVsbG8="]}]}).encode(), "announces 2"
    ),
    "a type that is a list": (json.dumps(numbers([1, 4], [1] * 4, datatype=["FP32"])).encode(), "datatype"),
    "parameters of a tensor that are a list": (json.dumps(numbers([1, 4], [1] * 4, parameters=[1])).encode(), "object"),
    "parameters that are text": (json.dumps(numbers([1, 4], [1] * 4) | {"parameters": "x"}).encode(), "an object"),
    "parameters of an output": (
        json.dumps(numbers([1, 4], [1] * 4) | {"outputs": [{"name": "label", "parameters": 5}]}).encode(), "an object"
    ),
    "unknown output": (json.dumps(numbers([1, 4], [1] * 4) | {"outputs": [{"name": "y"}]}).encode(), "no output y"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
@pytest.mark.parametrize(("body", "said"), BAD.values(), ids=BAD)
def test_bad_input_is_answered_with_what_is_wrong(served, body, said):
    client, _ = served
    answer = client.post(INFER, content=body)

    assert answer.status_code == 422
    assert said in answer.json()["error"]


def test_a_length_that_lies_is_found_out(served):
    client, _ = served
    for told in ("999999", "0", "-1", "x"):
        answer = client.post(INFER, content=b"{}", headers={"Inference-Header-Content-Length": told})
        assert answer.status_code == 422, told
        assert "Inference-Header-Content-Length" in answer.json()["error"]
    head = {"inputs": [{"shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 8}}]}
    answer = client.post(INFER, **binary(head, struct.pack("<I", 4_000_000_000) + b"abcd"))
    assert "reaches beyond the tensor's end" in answer.json()["error"]


@pytest.mark.parametrize(("body", "said"), [(b"", "no picture"), (b"GIF89a", "no picture"), (bomb(), "too large")])
def test_what_is_no_picture_is_a_problem_with_its_size(served, body, said):
    client, _ = served
    answer = client.post("/api/v1/predict/dms/emotion", content=body)

    assert answer.status_code == 422
    assert said in answer.json()["detail"]


def test_a_model_that_nobody_serves_is_not_found_with_those_that_are(served):
    client, model = served
    answer = client.post("/v2/models/dms.smoking/infer", json={})
    assert answer.status_code == 404
    assert "ask for one of dms.emotion" in answer.json()["error"]
    assert client.get(f"/v2/models/dms.emotion/versions/{model}/ready").json()["ready"]
    assert client.get("/v2/models/dms.emotion/versions/mdl-other").status_code == 422


def test_the_server_says_what_it_is_and_what_its_models_read(served):
    client, model = served
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True, "not_ready": []}
    said = client.get("/v2/models/dms.emotion").json()
    assert said["versions"] == [model]
    assert {"name": "x", "datatype": "FP32", "shape": [1, 4]} in said["inputs"]


def test_a_body_above_the_limit_is_refused(served, monkeypatch):
    client, _ = served
    monkeypatch.setattr("mlife.serving.pages.inference.LARGEST_BODY", 100)
    big = io.BytesIO(b"x" * 200)
    assert client.post("/api/v1/predict/dms/emotion", content=big.read()).status_code == 413
