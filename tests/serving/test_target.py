"""The built-in target: whole swaps, nothing stale, nothing half-taken, many threads."""

from __future__ import annotations

import hashlib
import threading

import pytest

from mlife.adapters.models_onnx import OnnxModels
from mlife.adapters.target_inprocess import InProcessTarget, probe
from mlife.core.errors import Corrupt, Invalid, NotFound
from mlife.core.ports import Offer
from tests.serving.conftest import constant_model, picture


@pytest.fixture
def target():
    return InProcessTarget(OnnxModels())


@pytest.fixture
def offer(tmp_path):
    """Makes the offer of a model that says its own name."""

    def made(label: str, name: str = "dms.emotion", data: bytes | None = None) -> Offer:
        data = data or constant_model(label)
        path = tmp_path / f"{label}.onnx"
        path.write_bytes(data)
        return Offer(name, f"mdl-{label}", hashlib.sha256(data).hexdigest(), path)

    return made


def take(target, *offers, since=1, slot="dms/emotion@local", dep="dep-1"):
    return target.take(slot=slot, deployment_id=dep, version="1.0", offers=offers, since=since)


def said(target, name="dms.emotion"):
    found = target.answering(name)
    return found and found.predictor.predict_files([picture()])[0]["label"]


def test_it_says_which_model_answers(target, offer):
    assert target.answering("dms.emotion") is None
    assert take(target, offer("a")) == "mdl-a"
    assert said(target) == "a"
    assert said(target, "mdl-a") == "a"


def test_a_later_deployment_replaces_the_slot_and_its_model_ids(target, offer):
    take(target, offer("a"), since=1)
    take(target, offer("b"), since=5, dep="dep-2")
    assert said(target) == "b"
    assert target.answering("mdl-a") is None


def test_what_is_older_than_what_answers_changes_nothing(target, offer):
    take(target, offer("b"), since=5)
    assert take(target, offer("a"), since=4, dep="dep-0") == "mdl-b"
    assert said(target) == "b"


def test_slots_do_not_touch_each_other(target, offer):
    take(target, offer("a"))
    take(target, offer("s", "dms.smoking"), slot="dms/smoking@local")
    assert (said(target), said(target, "dms.smoking")) == ("a", "s")
    assert len(target.held()) == 2


def test_a_bundle_with_one_bad_model_is_not_taken_at_all(target, offer):
    take(target, offer("a"))
    with pytest.raises(Invalid):
        take(target, offer("b"), offer("bad", "dms.smoking", b"no model"), since=9)
    assert said(target) == "a"
    assert target.answering("mdl-b") is None


def test_a_file_that_is_not_its_digest_or_not_there_is_not_taken(target, offer):
    good = offer("a")
    good.path.write_bytes(constant_model("evil"))
    with pytest.raises(Corrupt, match="has been changed"):
        take(target, good)
    good.path.unlink()
    with pytest.raises(NotFound, match="there is no model file"):
        take(target, good)
    with pytest.raises(Invalid, match="has no models"):
        take(target)


def test_a_model_that_does_not_say_what_it_reads_is_taken_without_a_probe(offer):
    class Silent:
        input_name, shape, reads_pictures = "x", (None, None), False

    assert probe(Silent()) is False
    assert probe(OnnxModels().load(offer("a").path)) is True


def test_every_answer_during_swaps_is_of_one_model(target, offer):
    offers = {label: offer(label) for label in "ab"}
    take(target, offers["a"])
    wrong, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            found = target.answering("dms.emotion")
            label = found.predictor.predict_files([picture()])[0]["label"]
            if f"mdl-{label}" != found.model_id:
                wrong.append((label, found.model_id))

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    for since in range(2, 42):
        take(target, offers["ab"[since % 2]], since=since, dep=f"dep-{since}")
    stop.set()
    for thread in asking:
        thread.join()
    assert wrong == []
