"""Files that mean harm: none reaches a page as anything but a picture that we encoded, or a download."""

from __future__ import annotations

import io
import struct
import time
import zlib
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from mlife.data.intake import DataIntake
from mlife.runtime import Home
from tests.conftest import drain
from tests.media.conftest import png, wav

SCRIPT = b"<script>window.harmed = 1</script>"
OURS = {"image/png", "image/webp", "image/svg+xml"}


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def bomb(side: int) -> bytes:
    """A few kilobytes that claim, and would unpack to, *side* × *side* pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    packer = zlib.compressobj(9)
    row = b"\0" * (1 + (side + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def animated(frames: int, side: int) -> bytes:
    out = io.BytesIO()
    pictures = [Image.new("P", (side, side), n % 250) for n in range(frames)]
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], duration=20)
    return out.getvalue()


def png_with_html() -> bytes:
    plain = png(300, 200)
    return plain[:33] + chunk(b"tEXt", b"Comment\0" + SCRIPT) + plain[33:] + SCRIPT


def film_cut_short() -> bytes:
    head = struct.pack(">I4s4sI", 24, b"ftyp", b"isom", 512) + b"isommp42"
    return head + struct.pack(">I4s", 9_000, b"moov") + SCRIPT


FILES: dict[str, bytes] = {
    "bomb.png": bomb(20_000),
    "moving bomb.gif": animated(300, 400),
    "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="harm()">' + SCRIPT + b"</svg>",
    "both.png": png_with_html(),
    "page called picture.png": b"<!doctype html><title>x</title>" + SCRIPT,
    "gif that is a script.gif": b"GIF89a=1;" + SCRIPT + b"//",
    "half.mp4": film_cut_short(),
    "half.png": png(400, 400)[:200],
    "xml.png": b'<?xml version="1.0"?><x xmlns="http://www.w3.org/1999/xhtml">' + SCRIPT + b"</x>",
    "text.jpg": b"\xff\xd8\xff" + SCRIPT * 3,
    "../../etc/passwd": wav(0.1) + SCRIPT,
}


@pytest.fixture
def stored(home: Home) -> dict[str, str]:
    """Name → SHA-256 of each of them in the store."""
    data = DataIntake(home.ports, home.do)
    put = {name: data.put(body, name=name).sha256 for name, body in FILES.items()}
    drain(home)
    return put


def harmless(answer: Any) -> None:
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("name", FILES)
def test_its_thumbnail_is_a_picture_of_ours_or_a_card_that_says_why(
    client: TestClient, stored: dict[str, str], name: str
) -> None:
    began = time.monotonic()
    answer = client.get(f"/files/{stored[name]}/thumbnail?size=384")

    assert answer.status_code == 200
    assert time.monotonic() - began < 30
    harmless(answer)
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind in OURS
    assert b"harm" not in answer.content
    assert b"<script" not in answer.content
    assert "immutable" in answer.headers["cache-control"]
    if kind == "image/svg+xml":
        assert answer.content.startswith(b"<svg xmlns=")
        assert b"onload" not in answer.content
    else:
        with Image.open(io.BytesIO(answer.content)) as shown:
            assert shown.width <= 384


@pytest.mark.parametrize("name", FILES)
def test_its_bytes_are_a_download_without_a_type_that_a_browser_would_run(
    client: TestClient, stored: dict[str, str], name: str
) -> None:
    answer = client.get(f"/api/v1/files/{stored[name]}")

    assert answer.content == FILES[name]
    harmless(answer)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "/etc" not in answer.headers["content-disposition"].split("filename*")[0]


@pytest.mark.parametrize("name", FILES)
def test_its_pages_hold_nothing_of_it(client: TestClient, stored: dict[str, str], name: str) -> None:
    for path in (f"/files/{stored[name]}", f"/files/{stored[name]}/edit"):
        answer = client.get(path, headers={"accept": "text/html"})
        assert answer.status_code == 200
        assert "window.harmed" not in answer.text
        assert "script-src 'self'" in answer.headers["content-security-policy"]


REASONS = {
    "bomb.png": "has more than 50,000,000 pixels",
    "drawing.svg": "is image/svg+xml, which is not shown",
    "page called picture.png": "is text/html, which is not shown",
    "half.png": "is damaged",
    "half.mp4": "has no pictures in it",
}


@pytest.mark.parametrize("name", REASONS)
def test_its_page_says_why_it_is_not_shown(client: TestClient, stored: dict[str, str], name: str) -> None:
    page = client.get(f"/files/{stored[name]}", headers={"accept": "text/html"}).text

    assert REASONS[name] in page


def test_a_bomb_is_looked_at_once(client: TestClient, stored: dict[str, str], home: Home) -> None:
    client.get(f"/files/{stored['bomb.png']}/thumbnail")
    client.get(f"/files/{stored['bomb.png']}")
    home.ports.extra["images"] = None  # whoever asks again fails

    assert client.get(f"/files/{stored['bomb.png']}/thumbnail").status_code == 200
    assert client.get(f"/files/{stored['bomb.png']}").status_code == 200


def test_of_a_moving_picture_one_frame_is_shown(client: TestClient, stored: dict[str, str]) -> None:
    answer = client.get(f"/files/{stored['moving bomb.gif']}/thumbnail?size=96")

    with Image.open(io.BytesIO(answer.content)) as shown:
        assert getattr(shown, "n_frames", 1) == 1


def test_the_thumbnail_of_a_sound_is_its_wave_and_of_a_film_its_first_frame(home: Home, client: TestClient) -> None:
    from tests.media.test_copies import film

    data = DataIntake(home.ports, home.do)
    sound, moving = data.put(wav(), name="cough.wav").sha256, data.put(film(), name="a.mp4").sha256
    drain(home)

    shown = {s: client.get(f"/files/{s}/thumbnail?size=192") for s in (sound, moving)}
    assert {a.headers["content-type"] for a in shown.values()} <= {"image/png", "image/webp"}
    with Image.open(io.BytesIO(shown[moving].content)) as frame:
        assert frame.size == (192, 144)


def test_a_card_that_says_what_is_not_installed_is_not_kept(
    home: Home, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = DataIntake(home.ports, home.do).put(wav(), name="cough.wav")
    drain(home)
    shop = home.ports.extra["workshop"]
    with monkeypatch.context() as missing:
        missing.setattr(shop, "_run", lambda *_: {"missing": "soundfile"})
        first = client.get(f"/files/{put.sha256}/thumbnail?size=192")
    second = client.get(f"/files/{put.sha256}/thumbnail?size=192")

    assert "soundfile is not installed" in first.text
    assert first.headers["cache-control"] == "no-store"
    assert second.headers["content-type"] == "image/png"
