"""Prediction over truth: what renderers say, and what the report page shows of it."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from mlife.core.annotation import EXAMPLES
from mlife.core.media import drawing, plugins
from mlife.core.media.drawing import Case, draw
from mlife.data.events import FileStored
from tests.badcases.conftest import Field, report
from tests.media.conftest import png

BOX = {"label": "mask", "x": 4, "y": 5, "width": 20, "height": 12}
PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "class": ({"label": "sad", "score": 0.91}, {"label": "happy"}),
    "labels": ({"labels": ["night", "rain"], "scores": [0.5, 0.25]}, {"labels": ["rain"]}),
    "boxes": ({"boxes": [{**BOX, "x": 9, "score": 0.5}]}, {"boxes": [BOX]}),
    "polygons": (
        {"polygons": [{"label": "mask", "points": [[0, 0], [9, 0], [9, 7]]}]},
        {"polygons": [{"label": "mask", "points": [[1, 1], [9, 0], [9, 8]]}]},
    ),
    "points": ({"points": [{"label": "eye", "x": 1, "y": 2}]}, {"points": [{"label": "eye", "x": 3, "y": 2}]}),
    "scalar": ({"value": 3}, {"value": 4}),
    "vector": ({"values": [1, 2]}, {"values": [1, 4]}),
    "text": ({"text": "turn left <now>"}, {"text": "turn right <now>"}),
    "segments": (
        {"segments": [{"label": "cough", "start": 1, "end": 2}]},
        {"segments": [{"label": "cough", "start": 1.5, "end": 2.25}]},
    ),
}
SAID = {
    "class": "class: truth happy, prediction sad 0.91",
    "labels": "rain: truth yes, prediction yes 0.25; night: truth no, prediction yes 0.50",
    "boxes": "truth: mask at 4, 5, 20 × 12 pixels; prediction: mask 0.50 at 9, 5, 20 × 12 pixels",
    "polygons": "truth: mask, 3 corners between 1, 0 and 9, 8 pixels",
    "points": "truth: eye at 3, 2; prediction: eye at 1, 2",
    "scalar": "value: truth 4, prediction 3; error: truth –, prediction -1 (-25.0%)",
    "vector": "largest error: truth value 1, prediction -2",
    "text": "words that differ: truth –, prediction 1 (33% of 3)",
    "segments": "truth: cough from 1.5 to 2.25 s; prediction: cough from 1 to 2 s",
}


def case(kind: str, **other: Any) -> Case:
    prediction, truth = PAIRS[kind]
    return Case(prediction={"type": kind, **prediction}, truth={"type": kind, **truth}, **other)


def test_every_annotation_type_has_a_built_in_renderer() -> None:
    assert set(plugins.named(plugins.RENDERERS)) == set(EXAMPLES)


@pytest.mark.parametrize("kind", PAIRS)
def test_a_drawing_says_in_words_what_it_shows(kind: str) -> None:
    assert SAID[kind] in draw(case(kind)).alternative


@pytest.mark.parametrize("kind", PAIRS)
def test_without_truth_the_prediction_alone_is_drawn(kind: str) -> None:
    drawn = draw(Case(prediction={"type": kind, **PAIRS[kind][0]}))

    assert all(mark.side == "prediction" for mark in drawn.marks)
    assert drawn.note != f"The renderer {kind} fails; the log of the server says why."


def test_words_of_a_text_difference_joined_are_the_texts_again() -> None:
    drawn = draw(case("text"))

    assert "".join(said for who, said in drawn.words if who != "prediction") == "turn right <now>"
    assert "".join(said for who, said in drawn.words if who != "truth") == "turn left <now>"


def test_what_is_too_much_to_look_at_is_said() -> None:
    many = {"type": "boxes", "boxes": [BOX] * 1_000}
    drawn = draw(Case(prediction=many, truth=many))

    assert len(drawn.marks) == 400
    assert "1,000 boxes are too many" in drawn.note


def test_a_time_line_ends_where_the_file_does() -> None:
    assert draw(case("segments", media_type="audio/wav", seconds=9.5)).end == 9.5
    assert draw(case("segments")).end == 2.25


def test_the_more_special_renderer_is_asked_first_and_one_that_fails_costs_no_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(_: Case) -> drawing.Drawing:
        raise KeyError("boxes")

    def own(group: str, name: str) -> Any:
        return {"boxes.video": fails}.get(name) or plugins.plugin(group, name)

    monkeypatch.setattr(drawing, "plugin", own)

    assert "boxes.video fails" in draw(case("boxes", media_type="video/mp4")).note
    assert draw(case("boxes", media_type="image/png")).marks


def shown(field: Field, client: TestClient, kind: str, body: bytes | None = None, **other: Any) -> str:
    prediction, truth = PAIRS[kind]
    sent = report(None, **other)
    sent |= {"prediction": {"type": kind, **prediction}, "truth": {"type": kind, **truth}}
    if body is not None:
        stored = field.home.ports.blobs.put(body)
        field.happen(FileStored(sha256=stored.sha256, md5=stored.md5, size=stored.size, media_type="image/png"))
        sent["data"] = [{"sha256": stored.sha256, "media_type": "image/png"}]
    field.send(sent)
    position = next(r.position for r in field.home.ports.store.read() if r.draft.type.startswith("mlife.badcase.rep"))
    got = client.get(f"/reports/{position}", headers={"accept": "text/html"})
    assert got.status_code == 200, got.text[-500:]
    return got.text


def test_the_report_page_draws_boxes_over_the_picture_and_tells_the_sides_apart_without_colour(
    field: Field, client: TestClient
) -> None:
    text = shown(field, client, "boxes", png())

    assert 'viewBox="0 0 40 30"' in text
    assert '<g class="truth"' in text
    assert '<g class="prediction"' in text
    assert "T mask" in text
    assert "P mask" in text
    assert "truth: mask at 4, 5, 20 × 12 pixels" in text


def test_marks_stand_in_the_upright_picture_whatever_exif_says(field: Field, client: TestClient) -> None:
    import io

    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(out, "JPEG", exif=exif)

    assert 'viewBox="0 0 30 40"' in shown(field, client, "boxes", out.getvalue())


def test_texts_are_compared_on_the_page_and_mark_up_in_them_is_text(field: Field, client: TestClient) -> None:
    text = shown(field, client, "text")

    assert '<ins><span class="hidden">truth: </span>right</ins>' in text
    assert '<del><span class="hidden">prediction: </span>left</del>' in text
    assert "&lt;now&gt;" in text


def test_a_file_that_cannot_be_shown_has_a_placeholder_that_says_why(field: Field, client: TestClient) -> None:
    assert "The file is damaged" in shown(field, client, "boxes", png(300, 300)[:60])


@pytest.mark.parametrize("kind", sorted(PAIRS))
def test_every_type_has_a_page(field: Field, client: TestClient, kind: str) -> None:
    assert "Prediction and truth" in shown(field, client, kind)


def test_the_page_of_a_badcase_draws_its_newest_report(field: Field, client: TestClient) -> None:
    shown(field, client, "boxes", png())
    (found,) = client.get("/api/v1/badcases").json()["badcases"]

    page = client.get(f"/badcases/{found['badcase_id']}", headers={"accept": "text/html"}).text

    assert "Prediction over truth" in page
    assert "truth: mask at 4, 5, 20 × 12 pixels" in page
