"""
The Open Inference Protocol's requests and answers, as bytes and as values.

Numbers come as `FP32` (or any other number type) of the shape that the model reads, pictures as `BYTES`, one encoded
picture each: base64 in JSON, plain in the binary form. Binary tensors follow the JSON; the header
`Inference-Header-Content-Length` says where they begin.

Source: Open Inference Protocol v2, with the binary tensor data extension.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from mlife.core.errors import Invalid, shortened

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_ROWS = 4_096
MOST_NUMBERS = 50_000_000
NUMBERS = {
    "FP16": "<f2", "FP32": "<f4", "FP64": "<f8", "INT8": "i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8",
    "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "BOOL": "?",
}  # fmt: skip
"""Data types of numbers, and how they lie in binary tensors."""

JSON = Mapping[str, Any]


@dataclass(frozen=True)
class Ask:
    """
    What a client asks of a model: pictures, or a float32 batch.

    Args:
        id: the client's own, given back; None if it sent none.
        outputs: names of the outputs wanted; empty: all.
        binary: names of the outputs wanted as binary tensors.
    """

    id: str | None
    pictures: tuple[bytes, ...] | None
    batch: NDArray[Any] | None
    outputs: tuple[str, ...]
    binary: frozenset[str]


OUTPUTS = ("label", "score")


def read_ask(body: bytes, header_length: int | None) -> Ask:
    """
    Read a request.

    Args:
        header_length: of the JSON before the binary tensors; None: all of *body* is JSON.

    Raises:
        Invalid: it is no request that this server can answer; the message says what is wrong with it.
    """
    if header_length is not None and not 0 < header_length <= len(body):
        raise Invalid(f"Inference-Header-Content-Length is {header_length}, and the body has {len(body)} bytes")
    try:
        said = orjson.loads(body if header_length is None else body[:header_length])
    except orjson.JSONDecodeError as e:
        raise Invalid(f"the request is no JSON: {e}", remedy="send an Open Inference Protocol request") from e
    inputs = said.get("inputs") if isinstance(said, dict) else None
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise Invalid(
            "the request needs exactly one input", remedy='send {"inputs": [{"name", "shape", "datatype", "data"}]}'
        )
    raw = memoryview(body)[header_length:] if header_length is not None else memoryview(b"")
    pictures, batch = _read_tensor(inputs[0], raw)
    wanted, binary = _wanted(said)
    asked_id = said.get("id")
    return Ask(None if asked_id is None else str(asked_id)[:200], pictures, batch, wanted, binary)


def _read_tensor(tensor: JSON, raw: memoryview) -> tuple[tuple[bytes, ...] | None, NDArray[Any] | None]:
    kind, shape = tensor.get("datatype"), tensor.get("shape")
    if not isinstance(shape, list) or not shape or not all(type(n) is int and n >= 0 for n in shape):
        raise Invalid(f"the input's shape is {shortened(shape)}", remedy="give a list of whole numbers, e.g. [1, 64]")
    if shape[0] > MOST_ROWS or math.prod(shape) > MOST_NUMBERS:
        raise Invalid(f"an input of shape {shape} is too large", remedy=f"send at most {MOST_ROWS} rows at a time")
    size = _parameters(tensor, "the input's").get("binary_data_size")
    if size is not None and (type(size) is not int or size != len(raw)):
        raise Invalid(f"binary_data_size is {shortened(size)}, and {len(raw)} bytes follow the JSON")
    if kind == "BYTES":
        found = _split(raw) if size is not None else _decoded(tensor.get("data"))
        if len(found) != math.prod(shape):
            raise Invalid(f"shape {shape} announces {math.prod(shape)} pictures, and {len(found)} came")
        return tuple(found), None
    if not isinstance(kind, str) or kind not in NUMBERS:
        raise Invalid(f"datatype {shortened(kind)}", remedy=f"send BYTES (pictures) or one of {', '.join(NUMBERS)}")
    return None, _numbers(tensor.get("data"), raw if size is not None else None, NUMBERS[kind], shape)


def _numbers(data: Any, raw: memoryview | None, kind: str, shape: Sequence[int]) -> NDArray[Any]:
    import numpy as np

    try:
        flat = np.asarray(data, dtype=np.float32).reshape(-1) if raw is None else np.frombuffer(raw, dtype=kind)
        batch = flat.astype(np.float32).reshape(shape)
    except (ValueError, TypeError) as e:
        raise Invalid(f"the data do not fit shape {list(shape)}: {e}") from e
    if not np.isfinite(batch).all():
        raise Invalid("the data hold numbers that are not finite", remedy="send finite float32 numbers")
    return batch


def _split(raw: memoryview) -> list[bytes]:
    """Elements of a binary BYTES tensor: each after its length, 4 bytes, little endian."""
    found, at = [], 0
    while at < len(raw):
        if at + 4 > len(raw):
            raise Invalid(f"the binary tensor ends inside a length, at byte {at}")
        (size,) = struct.unpack_from("<I", raw, at)
        if at + 4 + size > len(raw):
            raise Invalid(f"an element of {size} bytes at byte {at} reaches beyond the tensor's end")
        found.append(bytes(raw[at + 4 : at + 4 + size]))
        at += 4 + size
    return found


def _decoded(data: Any) -> list[bytes]:
    if not isinstance(data, list) or not all(isinstance(d, str) for d in data):
        raise Invalid("BYTES data must be a list of texts", remedy="send each picture as base64")
    found = []
    for number, text in enumerate(data, 1):
        try:
            found.append(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError) as e:
            raise Invalid(f"element {number} is no base64: {e}", remedy="send each picture as base64") from e
    return found


def _wanted(said: JSON) -> tuple[tuple[str, ...], frozenset[str]]:
    """Names of the outputs that are wanted, and those as binary tensors."""
    listed = said.get("outputs") or []
    if not isinstance(listed, list) or not all(isinstance(o, dict) for o in listed):
        raise Invalid("outputs is no list of objects", remedy='send [{"name": "label"}], or leave it out')
    unknown = [o.get("name") for o in listed if o.get("name") not in OUTPUTS]
    if unknown:
        raise Invalid(f"there is no output {shortened(unknown[0])}", remedy=f"ask for {' or '.join(OUTPUTS)}")
    if not listed:
        all_binary = bool(_parameters(said, "the request's").get("binary_data_output"))
        return (), frozenset(OUTPUTS if all_binary else ())
    binary = frozenset(o["name"] for o in listed if _parameters(o, "an output's").get("binary_data"))
    return tuple(o["name"] for o in listed), binary


def _parameters(of: JSON, whose: str) -> JSON:
    said = of.get("parameters") or {}
    if not isinstance(said, dict):
        raise Invalid(f"{whose} parameters are {shortened(said)}", remedy="send an object, or leave them out")
    return said


def write_answer(
    ask: Ask, predictions: Sequence[JSON], model_name: str, model_version: str
) -> tuple[bytes, int | None]:
    """
    The answer's body, and the length of its JSON if binary tensors follow it.

    `score` is left out unless every row has one.
    """
    labels = [p["label"].encode() for p in predictions]
    scores = [p["score"] for p in predictions]
    tensors: list[tuple[str, str, Any, bytes]] = [
        ("label", "BYTES", [p["label"] for p in predictions], b"".join(struct.pack("<I", len(v)) + v for v in labels))
    ]
    if all(s is not None for s in scores):
        tensors.append(("score", "FP32", scores, struct.pack(f"<{len(scores)}f", *scores)))
    outputs, binary = [], []
    for name, kind, data, raw in tensors:
        if ask.outputs and name not in ask.outputs:
            continue
        output: dict[str, Any] = {"name": name, "datatype": kind, "shape": [len(predictions)]}
        if name in ask.binary:
            output["parameters"] = {"binary_data_size": len(raw)}
            binary.append(raw)
        else:
            output["data"] = data
        outputs.append(output)
    said: dict[str, Any] = {"model_name": model_name, "model_version": model_version, "outputs": outputs}
    if ask.id is not None:
        said["id"] = ask.id
    head = orjson.dumps(said)
    return (head + b"".join(binary), len(head)) if binary else (head, None)
