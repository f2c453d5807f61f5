"""Samples of every type: judged, shown in few words, and reported with prediction and truth typed; both ways linked."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from click.testing import CliRunner

from mlife.badcases.events import BadcaseReported
from mlife.cli.failures import report_failures
from mlife.core.annotation import EXAMPLES
from mlife.training.typed import same, typed, worded

OTHER = {
    "labels": {"type": "labels", "labels": ["night"]},
    "boxes": {"type": "boxes", "boxes": []},
    "polygons": {"type": "polygons", "polygons": [{"label": "mask", "points": [[0, 0], [5, 0], [5, 7]]}]},
    "points": {"type": "points", "points": [{"label": "left eye", "x": 40, "y": 7.5}]},
    "scalar": {"type": "scalar", "value": 5.5},
    "vector": {"type": "vector", "values": [0.5, -2.25]},
    "text": {"type": "text", "text": "turn right"},
    "segments": {"type": "segments", "segments": []},
}
TESTED = """
import json, mlife

def typed():
    with mlife.task() as t:
        for row in t.rows("testing"):
            said = t.parameters["said"][row.annotation["type"]]
            t.record(row.sha256, said, correct=t.parameters.get("correct", {}).get(row.annotation["type"]))
"""


def kept(said: dict[str, object]) -> str:
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode()


@pytest.fixture
def tested(bench):
    """A test of one row of each type, all of them wrong but the text, which the code calls right."""
    (bench.code / "typed_code.py").write_text(TESTED)
    rows = []
    for kind in OTHER:
        stored = bench.home.ports.blobs.put(kind.encode())
        truth = orjson.loads(EXAMPLES[kind]) | {"tool": "of its own"}
        rows.append({"path": f"{kind}.txt", "md5": stored.md5, "sha256": stored.sha256, "annotation": truth})
    group = bench.seal("grp-typed", "testing", rows)
    task_id = bench.draft("testing", group)
    model = bench.model()
    bench.start(task_id, "typed_code:typed", model_ids=[model], parameters={"said": OTHER, "correct": {"text": True}})
    bench.worker().once()
    bench.settle()
    return task_id, model


def test_every_type_of_a_wrong_sample_fills_the_form_that_only_has_to_be_sent(bench, client, tested):
    task_id, _ = tested
    page = client.get(f"/tasks/{task_id}/samples?wrong=1").text
    links = [m.replace("&amp;", "&") for m in re.findall(r'href="(/badcases/report\?[^"]*)"', page)]
    assert "1 of all 8 are right" in page
    assert {parse_qs(urlsplit(link).query)["type"][0] for link in links} == OTHER.keys() - {"text"}
    for link in links:
        fields = {name: value[0] for name, value in parse_qs(urlsplit(link).query).items()}
        form = client.get(link)
        assert form.status_code == 200
        sent = client.post(
            "/badcases/report", data={**fields, "observed_at": "2026-11-20T03:00"}, follow_redirects=False
        )
        assert sent.status_code == 303, (fields["type"], sent.text)
    reports = [r.event for r in bench.home.ports.store.read(0) if isinstance(r.event, BadcaseReported)]
    assert {r.prediction["type"]: r.prediction for r in reports} == {k: v for k, v in OTHER.items() if k != "text"}
    assert {kind: r.truth for r in reports for kind in [r.truth["type"]]} == {
        kind: orjson.loads(EXAMPLES[kind]) for kind in OTHER if kind != "text"
    }
    bench.settle()
    (known,) = {
        m.replace("&amp;", "&")
        for m in re.findall(r'href="(/reports\?[^"]*)"', page)
        if reports[0].data[0]["sha256"] in m
    }
    assert client.get(f"/api/v1{known}").json()["total"] == 1
    position = client.get(f"/api/v1{known}").json()["reports"][0]["position"]
    assert f'href="/tasks/{task_id}"' in client.get(f"/reports/{position}", headers={"accept": "text/html"}).text


def test_all_wrong_samples_are_reported_by_one_command_and_again_changes_nothing(bench, tested):
    task_id, model = tested
    home = str(bench.home.settings.home)
    for expected in ("7 new, 0 known, 0 refused", "0 new, 7 known, 0 refused"):
        done = CliRunner().invoke(report_failures, [task_id, "--home", home], catch_exceptions=False)
        assert (done.exit_code, done.output.splitlines()[0]) == (0, expected)
    reports = [r.event for r in bench.home.ports.store.read(0) if isinstance(r.event, BadcaseReported)]
    assert {(r.version, r.model_ids, r.fields["task_id"]) for r in reports} == {(model, (model,), task_id)}


def test_what_differs_in_scores_alone_is_right_and_a_word_of_the_code_comes_first(bench):
    truth = kept(orjson.loads(EXAMPLES["boxes"]))
    scored = orjson.loads(truth)
    scored["boxes"][0]["score"] = 0.9
    assert same(truth, kept(scored))
    assert same(kept({"type": "labels", "labels": ["a", "b"]}), kept({"type": "labels", "labels": ["b", "a"]}))
    assert not same("sad", "happy")
    assert not same("sad", truth)
    assert typed('{"type": "unheard"}') == {"type": "class", "label": '{"type": "unheard"}'}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("labels", "night, rain"), ("boxes", "1 box: mask"), ("polygons", "1 polygon: mask"),
        ("points", "1 point: left eye"), ("scalar", "3.5"), ("vector", "0.5 -1.25"), ("text", "turn left"),
        ("segments", "1 segment: cough"),
    ],
)  # fmt: skip
def test_a_sample_is_captioned_in_few_words(kind, words):
    assert worded(kept(orjson.loads(EXAMPLES[kind]))) == words
    assert worded("{not json") == "{not json"


def test_an_answer_too_long_for_an_address_is_posted_to_the_form(bench, client):
    (bench.code / "typed_code.py").write_text(TESTED)
    stored = bench.home.ports.blobs.put(b"many")
    many = {"type": "points", "points": [{"label": f"p{n}", "x": n, "y": n} for n in range(400)]}
    row = {"path": "a", "md5": stored.md5, "sha256": stored.sha256, "annotation": {"type": "points", "points": []}}
    task_id = bench.draft("testing", bench.seal("grp-many", "testing", [row]))
    bench.start(task_id, "typed_code:typed", model_ids=[bench.model()], parameters={"said": {"points": many}})
    bench.worker().once()
    bench.settle()
    page = client.get(f"/tasks/{task_id}").text
    assert "400 points" in page
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page))
    hidden = {name: value.replace("&#34;", '"') for name, value in hidden.items()}
    form = client.post("/badcases/report", data=hidden)
    assert (form.status_code, hidden["look"]) == (200, "1")
    assert "p399" in form.text
