"""Copies of files: made in a process of its own from real files, never changing the original, knowing their source."""

from __future__ import annotations

import hashlib
import io
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from mlife.adapters.workshop_process import ProcessWorkshop
from mlife.badcases.fingerprint import badcase_id
from mlife.badcases.views import details
from mlife.core.errors import Invalid, Refused
from mlife.core.media.conversions import conversion, possible
from mlife.core.media.moving import cropped, trimmed
from mlife.data import views
from mlife.data.events import FileDerived
from mlife.data.intake import DataIntake
from mlife.server import make_app
from tests.badcases.conftest import Field, report
from tests.media.conftest import png, wav

NINE = badcase_id('["class","digits","digit","9","4"]')


@pytest.fixture(scope="module")
def workshop() -> ProcessWorkshop:
    return ProcessWorkshop()


def film(seconds: float = 2.0, rate: int = 10, size: tuple[int, int] = (64, 48)) -> bytes:
    """Frames that grow lighter with time: frame n is grey n × 10."""
    import av
    import numpy as np

    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as made:
        stream = made.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for n in range(int(seconds * rate)):
            grey = np.full((size[1], size[0], 3), n * 10, np.uint8)
            made.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        made.mux(stream.encode())
    return out.getvalue()


def copy(workshop: ProcessWorkshop, tmp_path: Path, name: str, source: bytes, **values: Any) -> bytes:
    kept = tmp_path / "source"
    kept.write_bytes(source)
    made = workshop.convert(name, kept, conversion(name).check(values), tmp_path)
    assert kept.read_bytes() == source
    return made.path.read_bytes()


def opened(body: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(body))
    image.load()
    return image


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────


def test_a_crop_is_that_part_and_what_lies_outside_is_left_out(workshop: ProcessWorkshop, tmp_path: Path) -> None:
    source = Image.new("RGB", (40, 30), "red")
    source.paste("blue", (10, 10, 20, 20))
    out = io.BytesIO()
    source.save(out, "PNG")

    made = opened(copy(workshop, tmp_path, "crop", out.getvalue(), x=10, y=10, width=10, height=10))
    edge = opened(copy(workshop, tmp_path, "crop", out.getvalue(), x=35, y="25", width=100, height=100))

    assert made.size == (10, 10)
    assert made.getcolors() == [(100, (0, 0, 255))]
    assert edge.size == (5, 5)
    with pytest.raises(Refused, match="none of them is in that part"):
        copy(workshop, tmp_path, "crop", out.getvalue(), x=40, y=0, width=5, height=5)


def test_a_crop_is_of_what_people_see_and_says_nothing_about_place_or_device(
    workshop: ProcessWorkshop, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(out, "JPEG", exif=exif)

    made = opened(copy(workshop, tmp_path, "crop", out.getvalue(), width=30, height=40))

    assert made.size == (30, 40)  # turned upright
    assert not made.getexif()


def test_a_mask_blackens_the_pixels_themselves(workshop: ProcessWorkshop, tmp_path: Path) -> None:
    made = opened(copy(workshop, tmp_path, "mask", png(), outline="4,5 20,12"))
    outline = opened(copy(workshop, tmp_path, "mask", png(), outline="0,0 39,0 39,29"))

    assert (made.getpixel((10, 8)), made.getpixel((30, 20))) == ((0, 0, 0), (255, 0, 0))
    assert (outline.getpixel((35, 5)), outline.getpixel((2, 28))) == ((0, 0, 0), (255, 0, 0))
    with pytest.raises(Refused, match="needs an outline"):
        copy(workshop, tmp_path, "mask", png(), outline="somewhere")


# ── sound ────────────────────────────────────────────────────────────────────────────────────────


def test_a_trimmed_sound_has_the_very_samples(workshop: ProcessWorkshop, tmp_path: Path) -> None:
    source = wav(2.0)
    made = copy(workshop, tmp_path, "trim_sound", source, start=0.5, end=1.25)

    with wave.open(io.BytesIO(source)) as before, wave.open(io.BytesIO(made)) as after:
        before.setpos(4_000)
        assert after.getnframes() == 6_000
        assert after.readframes(6_000) == before.readframes(6_000)
    with pytest.raises(Refused, match="nothing of it is in that stretch"):
        copy(workshop, tmp_path, "trim_sound", source, start=3, end=4)


def test_a_resampled_tone_is_the_same_tone(workshop: ProcessWorkshop, tmp_path: Path) -> None:
    import numpy as np

    made = copy(workshop, tmp_path, "resample", wav(1.0, 8_000, 440), rate=16_000)

    with wave.open(io.BytesIO(made)) as after:
        samples = np.frombuffer(after.readframes(after.getnframes()), np.int16)
        assert (after.getframerate(), len(samples)) == (16_000, 16_000)
    assert int(np.argmax(np.abs(np.fft.rfft(samples)))) == 440
    assert abs(int(samples.max()) - 12_000) < 200


def test_a_wave_is_drawn_as_loud_as_it_is(workshop: ProcessWorkshop, tmp_path: Path) -> None:
    loud = opened(copy(workshop, tmp_path, "waveform", wav())).convert("1")
    quiet = opened(copy(workshop, tmp_path, "waveform", wav(pitch=0))).convert("1")

    assert loud.size == (960, 160)
    assert loud.histogram()[0] > 10 * quiet.histogram()[0]


def test_sound_and_film_are_measured(workshop: ProcessWorkshop, tmp_path: Path) -> None:
    for body, kind, seconds in ((wav(1.5), "audio/wav", 1.5), (film(), "video/mp4", 2.0)):
        kept = tmp_path / "measured"
        kept.write_bytes(body)
        assert workshop.measure(kept, kind) == {"seconds": pytest.approx(seconds, abs=0.01)}


# ── film ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_frame_of_a_moment_is_taken(workshop: ProcessWorkshop, tmp_path: Path) -> None:
    made = opened(copy(workshop, tmp_path, "frame", film(), at=1.5))

    assert made.size == (64, 48)
    assert abs(made.getpixel((30, 20))[0] - 150) < 12
    with pytest.raises(Refused, match="no frame at 9 s"):
        copy(workshop, tmp_path, "frame", film(), at=9)


def test_a_film_is_cut_and_coded_anew(workshop: ProcessWorkshop, tmp_path: Path) -> None:
    import av

    cut = copy(workshop, tmp_path, "trim_film", film(), start=0.5, end=1.0)
    small = copy(workshop, tmp_path, "transcode", film(), width=32)

    with av.open(io.BytesIO(cut)) as made:
        assert len(list(made.decode(video=0))) == 5
    with av.open(io.BytesIO(small)) as made:
        assert (made.streams.video[0].width, made.streams.video[0].height) == (32, 24)
        assert len(list(made.decode(video=0))) == 20


# ── strangers' files ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "source", "values"),
    [
        ("frame", film()[:900], {"at": 0.0}),
        ("frame", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", {"at": 0.0}),
        ("trim_sound", wav()[:20], {"start": 0, "end": 1}),
        ("waveform", b"RIFF" + b"\xff" * 60, {}),
        ("crop", png()[:50], {"width": 3, "height": 3}),
        ("crop", b"<svg xmlns='http://www.w3.org/2000/svg'/>", {"width": 3, "height": 3}),
    ],
    ids=["half a film", "a playlist of local files", "half a sound", "noise", "half a picture", "svg"],
)
def test_what_cannot_be_read_is_refused_with_its_reason(
    workshop: ProcessWorkshop, tmp_path: Path, name: str, source: bytes, values: dict[str, Any]
) -> None:
    with pytest.raises(Refused, match=r"^the file "):
        copy(workshop, tmp_path, name, source, **values)


def test_a_process_that_hangs_is_killed_and_one_that_eats_memory_ends(tmp_path: Path) -> None:
    fifo_free = tmp_path / "long.wav"
    fifo_free.write_bytes(wav(60.0, 48_000))
    began = time.monotonic()
    with pytest.raises(Refused, match=r"takes longer than 0\.05 s"):
        ProcessWorkshop(seconds=0.05).convert("waveform", fifo_free, {}, tmp_path)
    assert time.monotonic() - began < 5
    with pytest.raises(Refused, match=r"too much memory|can.t be read|crash"):
        ProcessWorkshop(memory=1 << 20).convert("resample", fifo_free, {"rate": 192_000}, tmp_path)


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "nan", "inf", 10**12, None, [1]])
def test_a_parameter_out_of_bounds_is_refused_by_name(value: Any) -> None:
    with pytest.raises(Invalid) as caught:
        conversion("crop").check({"width": value, "height": 5})
    assert [r.field for r in caught.value.refusals] == ["width"]


def test_only_conversions_of_the_medium_are_offered() -> None:
    assert list(possible("image/png")) == ["crop", "mask"]
    assert list(possible("audio/wav")) == ["resample", "trim_sound", "waveform"]
    assert list(possible("video/mp4")) == ["frame", "transcode", "trim_film"]
    assert list(possible("text/html")) == []


# ── the truth moves along ────────────────────────────────────────────────────────────────────────


def test_a_truth_is_shifted_and_cut_with_the_picture() -> None:
    part = {"x": 10.0, "y": 10.0, "width": 20.0, "height": 20.0}
    box = {"label": "m", "x": 5, "y": 15, "width": 10, "height": 5}
    gone = {"label": "m", "x": 0, "y": 0, "width": 10, "height": 10}

    moved = cropped({"type": "boxes", "boxes": [box, gone]}, **part)
    assert moved == {"type": "boxes", "boxes": [{"label": "m", "x": 0.0, "y": 5.0, "width": 5.0, "height": 5.0}]}
    points = cropped(
        {"type": "points", "points": [{"label": "a", "x": 12, "y": 11}, {"label": "b", "x": 5, "y": 5}]}, **part
    )
    assert points == {"type": "points", "points": [{"label": "a", "x": 2.0, "y": 1.0}]}
    assert cropped({"type": "class", "label": "9"}, **part) == {"type": "class", "label": "9"}


def test_segments_are_cut_with_the_sound_and_a_transcript_is_not_guessed() -> None:
    segments = [{"label": "a", "start": 0, "end": 2}, {"label": "b", "start": 5, "end": 6}]

    assert trimmed({"type": "segments", "segments": segments}, start=1, end=4) == {
        "type": "segments",
        "segments": [{"label": "a", "start": 0, "end": 1}],
    }
    assert trimmed({"type": "text", "text": "turn left"}, start=1, end=4) is None


# ── pages and HTTP ───────────────────────────────────────────────────────────────────────────────


def position_of_report(field: Field) -> int:
    return next(r.position for r in field.home.ports.store.read() if r.draft.type == "mlife.badcase.reported.v1")


def test_a_cropped_copy_of_a_reported_picture_becomes_test_data(either: Callable[..., Field]) -> None:
    field = either()
    put = DataIntake(field.home.ports, field.home.do).put(png(), name="8841.png")
    field.send({**report(), "data": [{"sha256": put.sha256, "media_type": "image/png"}]})
    at = position_of_report(field)

    with TestClient(make_app(field.home)) as client:
        crop = f"/api/v1/files/{put.sha256}/copies/crop"
        made = client.post(crop, json={"x": 4, "y": 4, "width": 20, "height": 20})
        again = client.post(crop, json={"x": 4, "y": 4, "width": 20, "height": 20}).json()
        field.settle()
        sha256 = made.json()["sha256"]
        page = client.get(f"/reports/{at}", headers={"accept": "text/html"}).text
        pinned = client.post(f"/api/v1/reports/{at}/pin", json={"sha256": sha256})
        other = client.post(f"/api/v1/reports/{at}/pin", json={"sha256": "0" * 64})
        field.settle()
        about = client.get(f"/api/v1/files/{sha256}/about").json()

    assert (made.status_code, again["sha256"]) == (201, sha256)
    assert "Copies" in page
    assert (pinned.status_code, other.status_code) == (200, 404)
    assert {p.sha256 for p in field.read(details.pins, [NINE])} == {sha256}
    assert about["made_of"]["source"] == put.sha256
    assert about["made_of"]["parameters"] == {"x": 4, "y": 4, "width": 20, "height": 20}
    assert sum(isinstance(r.event, FileDerived) for r in field.home.ports.store.read()) == 1
    with field.home.ports.blobs.open(put.sha256) as original:
        assert original.read() == png()
    # a copy of a reported file never trains
    assert ("reported", NINE) in {(u.kind, u.used_in) for u in field.read(views.uses_of_file, sha256)}


def test_a_form_with_numbers_makes_a_copy_without_any_script(field: Field, client: TestClient) -> None:
    put = DataIntake(field.home.ports, field.home.do).put(wav(), name="cough.wav")
    field.settle()

    page = client.get(f"/files/{put.sha256}/edit", headers={"accept": "text/html"}).text
    sent = client.post(
        f"/files/{put.sha256}/copies/trim_sound", data={"start": "0.25", "end": "0.5"}, follow_redirects=False
    )
    wrong = client.post(f"/files/{put.sha256}/copies/crop", data={"width": "3", "height": "3"}, follow_redirects=False)

    assert '<label for="trim_sound-start">From, seconds</label>' in page
    assert "1.00 seconds long" in page
    assert sent.status_code == 303
    assert sent.headers["location"].startswith("/files/")
    assert wrong.status_code == 409


def test_what_is_right_is_said_in_lines_and_moves_the_report(field: Field, client: TestClient) -> None:
    box = {"label": "half mask", "x": 4.0, "y": 7.5, "width": 20.0, "height": 12.0}
    put = DataIntake(field.home.ports, field.home.do).put(png(), name="8841.png")
    sent = {**report(None), "prediction": {"type": "boxes", "boxes": []}, "data": [{"sha256": put.sha256}]}
    field.send(sent)
    at = position_of_report(field)

    page = client.get(f"/reports/{at}/annotate", headers={"accept": "text/html"}).text
    said = client.post(
        f"/reports/{at}/annotate", data={"lines": "half mask 4 7.5 20 12", "reason": "seen"}, follow_redirects=False
    )
    bad = client.post(f"/api/v1/reports/{at}/annotate", json={"lines": "mask 1 2\nmask 1 2 3 4", "reason": "x"})
    field.settle()

    assert 'data-draws="lines" data-shape="rectangle"' in page
    assert said.status_code == 303, said.text[-400:]
    assert bad.status_code == 422
    assert client.get(f"/api/v1/reports/{at}").json()["truth"] == {"type": "boxes", "boxes": [box]}


def test_lines_of_every_type_are_read_back_as_they_were_written() -> None:
    from mlife.badcases.pages.annotating import EXAMPLES, read_lines, written

    for kind, lines in EXAMPLES.items():
        assert written(read_lines(kind, lines)) == lines


def test_the_digest_of_a_copy_is_of_its_bytes(field: Field, client: TestClient) -> None:
    put = DataIntake(field.home.ports, field.home.do).put(png(), name="a.png")
    field.settle()
    made = client.post(f"/api/v1/files/{put.sha256}/copies/mask", json={"outline": "0,0 9,9"}).json()

    body = client.get(f"/api/v1/files/{made['sha256']}").content
    assert hashlib.sha256(body).hexdigest() == made["sha256"]
