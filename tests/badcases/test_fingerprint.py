"""Grouping: what goes wrong the same way is one badcase, and the fingerprint says why."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlife.badcases import signature
from mlife.badcases.fingerprint import Groupings, badcase_id, explain, fingerprint
from mlife.core.errors import Corrupt


def said(kind: str, **parts: Any) -> dict[str, Any]:
    return {"type": kind, **parts}


def box(label: str, x: float, y: float = 0, width: float = 10, height: float = 10, **more: Any) -> dict[str, Any]:
    return {"label": label, "x": x, "y": y, "width": width, "height": height, **more}


def boxes(*parts: dict[str, Any]) -> dict[str, Any]:
    return said("boxes", boxes=list(parts))


def errors(truth: dict[str, Any] | None, prediction: dict[str, Any]) -> tuple[str | None, ...]:
    return tuple(signature.signature("s", "f", truth, prediction))[1:]


def of(truth: dict[str, Any] | None, prediction: dict[str, Any], **more: Any) -> str:
    return fingerprint({"system": "s", "function": "f", "truth": truth, "prediction": prediction, **more})


CASES: dict[str, tuple[Any, Any, tuple[str | None, ...]]] = {
    "a class": (said("class", label="9"), said("class", label="4", score=0.2), ("9", "4")),
    "a class of unknown truth": (None, said("class", label="4"), (None, "4")),
    "a class that is called ?": (said("class", label="?"), said("class", label="4"), ("?", "4")),
    "labels": (said("labels", labels=["a", "b"]), said("labels", labels=["c", "b"]), ("missed a", "false c")),
    "a missed box": (boxes(box("mask", 0), box("face", 50)), boxes(box("face", 51)), ("missed mask",)),
    "a false box": (boxes(), boxes(box("mask", 0)), ("false mask",)),
    "a displaced box": (boxes(box("mask", 0)), boxes(box("mask", 6)), ("displaced mask",)),
    "a mislabelled box": (boxes(box("mask", 0)), boxes(box("scarf", 1)), ("mislabelled mask as scarf",)),
    "a box far away": (boxes(box("mask", 0)), boxes(box("mask", 80)), ("false mask", "missed mask")),
    "a missed polygon": (
        said("polygons", polygons=[{"label": "lane", "points": [[0, 0], [9, 0], [9, 7]]}]),
        said("polygons", polygons=[]),
        ("missed lane",),
    ),
    "a displaced point": (
        said("points", points=[{"label": "eye", "x": 0, "y": 0}, {"label": "nose", "x": 100, "y": 0}]),
        said("points", points=[{"label": "eye", "x": 40, "y": 0}, {"label": "nose", "x": 101, "y": 0}]),
        ("displaced eye",),
    ),
    "a missed segment": (
        said("segments", segments=[{"label": "cough", "start": 1, "end": 2}]),
        said("segments", segments=[]),
        ("missed cough",),
    ),
    "a number too high": (said("scalar", value=10), said("scalar", value=13), ("too high by 25 to 50 %",)),
    "a number too low": (said("scalar", value=-10), said("scalar", value=-11.5), ("too low by 10 to 25 %",)),
    "a number from nothing": (said("scalar", value=0), said("scalar", value=2), ("too high",)),
    "a vector": (
        said("vector", values=[1, 10, 3]),
        said("vector", values=[1, 2, 3]),
        ("value 2", "too low by 50 to 100 %"),
    ),
    "a shorter vector": (said("vector", values=[1, 2]), said("vector", values=[1]), ("1 values for 2",)),
    "a text without some words": (
        said("text", text="turn left now"),
        said("text", text="Turn left"),
        ("words missing",),
    ),
    "no text": (said("text", text="turn left"), said("text", text=""), ("nothing said",)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_signature_names_what_went_wrong(name: str) -> None:
    truth, prediction, expected = CASES[name]

    assert errors(truth, prediction) == expected
    assert explain(of(truth, prediction)).sentence.startswith("same system s, same function f, and ")


def test_an_unknown_truth_is_not_a_class_that_is_called_question_mark() -> None:
    prediction = said("class", label="4")

    assert of(None, prediction) != of(said("class", label="?"), prediction)
    assert explain(of(None, prediction)).truth is None
    assert explain(of(said("class", label="?"), prediction)).truth == "?"


def test_the_clients_key_comes_before_the_signature() -> None:
    a = of(said("class", label="9"), said("class", label="4"), key="thin strokes")
    b = of(said("class", label="7"), said("class", label="1"), key="thin strokes")

    assert a == b
    assert explain(a).title == "thin strokes"


def test_many_kinds_of_error_stay_a_short_fingerprint() -> None:
    truth = boxes(*(box(f"thing {n}", 100 * n) for n in range(50)))

    assert errors(truth, boxes())[-1] == "and 44 more"


def test_a_plug_in_says_how_texts_differ() -> None:
    signature.text_signatures["s", "speech"] = lambda truth, prediction: [f"{len(truth or '')}→{len(prediction)}"]
    try:
        found = signature.signature("s", "speech", said("text", text="abc"), said("text", text="ab"))
    finally:
        del signature.text_signatures["s", "speech"]

    assert tuple(found) == ("text", "3→2")


def test_the_id_is_a_function_of_fingerprint_and_rule_version() -> None:
    text = of(said("class", label="9"), said("class", label="4"))

    assert text == '["class","s","f","9","4"]'
    assert badcase_id(text) == badcase_id(text, 1) != badcase_id(text, 2)
    assert len(badcase_id(text)) == 15


def test_what_is_no_fingerprint_is_a_fault_of_the_log() -> None:
    with pytest.raises(Corrupt, match="is no fingerprint"):
        explain("nonsense")


parts = st.lists(
    st.builds(
        box,
        st.sampled_from(["mask", "face", "scarf"]),
        st.floats(0, 100),
        st.floats(0, 100),
        st.floats(1, 50),
        st.floats(1, 50),
    ),
    max_size=5,
)


@given(parts, parts, st.randoms())
def test_order_and_scores_do_not_matter(right: Any, seen: Any, rng: Any) -> None:
    first = errors(boxes(*right), boxes(*seen))
    again = [{**part, "score": 0.5} for part in seen]
    rng.shuffle(again)
    mixed = list(right)
    rng.shuffle(mixed)

    assert sorted(map(str, errors(boxes(*mixed), boxes(*again)))) == sorted(map(str, first))


@given(parts)
def test_a_perfect_prediction_shows_no_difference(right: Any) -> None:
    assert errors(boxes(*right), boxes(*right)) == ("no difference found",)


@given(st.text(max_size=20), st.text(max_size=20), st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_the_cache_gives_what_the_rule_gives(system: str, function: str, truth: str, label: str) -> None:
    report = {
        "system": system,
        "function": function,
        "truth": said("class", label=truth),
        "prediction": said("class", label=label),
    }
    groupings = Groupings()

    for _ in range(2):
        assert groupings.of(report).fingerprint == fingerprint(report)
    keyed = {**report, "key": label}
    assert groupings.of(keyed).fingerprint == fingerprint(keyed) != fingerprint(report)
