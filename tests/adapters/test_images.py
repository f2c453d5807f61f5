"""Pictures of strangers: what can be shown is shown, what can't is told, and nothing gets out."""

from __future__ import annotations

import io
import os
import random
import signal
import struct
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mlife.adapters.images_pillow import ImageInfo, NotAnImage, PillowImages, Thumbnail, sniff
from mlife.core.errors import Misconfigured, NotFound, Unavailable


@pytest.fixture(scope="module")
def images():
    images = PillowImages()
    yield images
    images.close()


def picture(size=(28, 28), mode="L", kind="PNG", seed=1, **options) -> bytes:
    channels = {"1": 0, "L": 1, "P": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4, "I;16": 2, "I": 4, "F": 4}[mode]
    width, height = size
    noise = random.Random(seed).randbytes(width * height * channels or height * ((width + 7) // 8))
    if mode == "F":
        noise = struct.pack(f"<{width * height}f", *(b - 100.5 for b in noise[: width * height]))
    out = io.BytesIO()
    Image.frombytes(mode, size, noise).save(out, kind, **options)
    return out.getvalue()


def decoded(thumbnail) -> Image.Image:
    assert isinstance(thumbnail, Thumbnail), thumbnail
    image = Image.open(io.BytesIO(thumbnail.body))
    image.load()
    assert image.size == (thumbnail.width, thumbnail.height)
    assert sniff(thumbnail.body) == thumbnail.media_type
    return image


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def claimed_png(width: int, height: int, data: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


KINDS = [
    ("PNG", "RGB", "image/png"),
    ("JPEG", "RGB", "image/jpeg"),
    ("GIF", "L", "image/gif"),
    ("WEBP", "RGB", "image/webp"),
    ("BMP", "RGB", "image/bmp"),
    ("TIFF", "RGB", "image/tiff"),
    ("PPM", "RGB", "image/x-portable-anymap"),
]


@pytest.mark.parametrize(("kind", "mode", "media_type"), KINDS)
def test_every_kind_is_recognised_by_its_content_whatever_its_name(images, tmp_path, kind, mode, media_type):
    wrong = tmp_path / "picture.txt"
    wrong.write_bytes(picture((300, 200), mode, kind))

    found = images.probe(wrong)

    assert isinstance(found, ImageInfo)
    assert (found.width, found.height, found.format, found.media_type) == (300, 200, kind, media_type)
    assert found == images.probe(wrong.read_bytes())
    small = decoded(images.thumbnail(wrong, (64, 64)))
    assert small.size == (64, 43)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        *((mode, "PNG") for mode in ("1", "L", "P", "LA", "RGBA", "I;16")),
        *((mode, "TIFF") for mode in ("I", "F", "CMYK")),
        ("CMYK", "JPEG"),
        ("RGBA", "WEBP"),
        ("P", "GIF"),
    ],
)
@pytest.mark.parametrize("size", [(20, 10), (400, 300)])
def test_every_mode_can_be_shown(images, mode, kind, size):
    shown = decoded(images.thumbnail(picture(size, mode, kind), (200, 200)))

    assert shown.size == ((200, 100) if size == (20, 10) else (200, 150))
    assert shown.mode in {"L", "RGB", "RGBA"}


@pytest.mark.parametrize(("side", "factor"), [(8, 32), (28, 9), (64, 4)])
def test_small_pictures_are_enlarged_crisply_by_a_whole_factor(images, side, factor):
    original = Image.open(io.BytesIO(picture((side, side))))

    shown = decoded(images.thumbnail(picture((side, side)), (256, 256)))

    assert shown.size == (side * factor, side * factor)
    assert shown.tobytes() == original.resize(shown.size, Image.Resampling.NEAREST).tobytes()


def test_pictures_between_small_and_the_box_keep_their_size(images):
    assert decoded(images.thumbnail(picture((100, 80)), (256, 256))).size == (100, 80)


def test_grey_of_sixteen_bits_is_stretched_to_what_can_be_seen(images):
    dark = Image.frombytes("I;16", (2, 2), struct.pack("<4H", 1000, 1001, 1002, 1003))
    out = io.BytesIO()
    dark.save(out, "PNG")

    assert list(decoded(images.thumbnail(out.getvalue(), (2, 2))).tobytes()) == [0, 85, 170, 255]


def test_flat_and_infinite_floats_do_no_harm(images):
    for values in ([7.0] * 4, [0.0, 1.0, float("inf"), 2.0], [float("nan")] * 4, [3e38, -3e38, 0.0, 1.0]):
        out = io.BytesIO()
        Image.frombytes("F", (2, 2), struct.pack("<4f", *values)).save(out, "TIFF")
        assert isinstance(images.thumbnail(out.getvalue()), Thumbnail | NotAnImage)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_stand_upright(images, orientation):
    upright = Image.new("L", (60, 40), 0)
    upright.paste(255, (0, 0, 30, 20))  # upper left is bright
    turned = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = upright if turned is None else upright.transpose(Image.Transpose(turned))
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    stored.save(out, "JPEG", exif=exif, quality=95)

    shown = decoded(images.thumbnail(out.getvalue(), (60, 40)))

    assert shown.size == (60, 40)
    assert [shown.convert("L").getpixel(at) > 128 for at in ((10, 8), (50, 8), (10, 32), (50, 32))] == [
        True,
        False,
        False,
        False,
    ]


def test_of_an_animation_the_first_frame_is_shown(images):
    frames = [Image.new("RGB", (80, 80), colour) for colour in ("red", "green", "blue")]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=50, loop=0)

    shown = decoded(images.thumbnail(out.getvalue()))

    assert shown.convert("RGB").getpixel((40, 40)) == (255, 0, 0)
    assert getattr(shown, "n_frames", 1) == 1


def test_thumbnails_are_encoded_anew_and_carry_nothing_over(images):
    from PIL.PngImagePlugin import PngInfo

    said = PngInfo()
    said.add_text("Comment", "<script>alert('text')</script>")
    exif = Image.Exif()
    exif[0x010E] = "<script>alert('exif')</script>"
    profile = b"<script>alert('icc')</script>" * 10
    hostile = [
        picture((100, 100), "RGB", "PNG", pnginfo=said, exif=exif, icc_profile=profile),
        picture((300, 300), "RGB", "JPEG", exif=exif, icc_profile=profile, comment="<script>alert('c')</script>"),
        picture((300, 300), "RGB", "WEBP", exif=exif, icc_profile=profile, xmp=b"<script>x</script>"),
        picture((40, 40), "L", "GIF", comment=b"<script>alert('gif')</script>")
        + b"<html><script>alert(1)</script></html>",
        picture((40, 40), "RGB", "JPEG") + b"PK\x03\x04 a zip behind",
    ]
    for data in hostile:
        shown = images.thumbnail(data)
        image = decoded(shown)
        assert b"script" not in shown.body
        assert b"PK\x03\x04" not in shown.body
        assert not image.info.keys() & {"icc_profile", "exif", "comment", "Comment", "xmp"}


NOT_PICTURES = {
    "html": b"<!DOCTYPE html><script>alert(1)</script>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "svg with a file": b'<svg><image href="file:///etc/passwd"/></svg>',
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(/etc/passwd) run\n",
    "pdf": b"%PDF-1.7\n",
    "zip": b"PK\x03\x04" + bytes(100),
    "zeros": bytes(1000),
    "text": b"not a picture",
    "png magic only": b"\x89PNG\r\n\x1a\n",
    "jpeg magic only": b"\xff\xd8\xff\xe0",
}


@pytest.mark.parametrize("name", NOT_PICTURES)
def test_what_is_no_picture_is_told(images, name):
    for found in (images.probe(NOT_PICTURES[name]), images.thumbnail(NOT_PICTURES[name])):
        assert isinstance(found, NotAnImage)
        assert found.problem.startswith(("is no picture", "is damaged"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM"])
def test_truncated_files_are_found_out(images, kind):
    whole = picture((200, 200), "L" if kind == "GIF" else "RGB", kind)

    for part in (0.3, 0.6, 0.9):
        cut = whole[: int(len(whole) * part)]
        assert isinstance(images.probe(cut), NotAnImage)
        assert isinstance(images.thumbnail(cut), NotAnImage)


@pytest.mark.parametrize("side", [8_000, 65_000, 2**31 - 1])
def test_a_zip_bomb_is_refused_by_its_header(images, side):
    found = images.thumbnail(claimed_png(side, side))

    assert isinstance(found, NotAnImage)
    assert "pixels" in found.problem or "damaged" in found.problem


def test_a_bomb_within_the_pixel_limit_meets_the_memory_limit_and_the_next_picture_is_read():
    images = PillowImages(memory=48 << 20)
    bomb = claimed_png(6000, 6000, bytes(6000 * (3 * 6000 + 1)))
    assert len(bomb) < 200_000

    assert isinstance(images.probe(picture()), ImageInfo)
    found = images.thumbnail(bomb)
    assert isinstance(found, NotAnImage)
    assert found.problem in {"needs too much memory to be read", "makes the reader crash"}
    assert isinstance(images.thumbnail(picture()), Thumbnail)
    images.close()


def test_a_frame_larger_than_its_animation_claims_is_stopped(images):
    gif = bytearray(picture((40, 40), "L", "GIF"))
    at = gif.index(b",\0\0\0\0")
    gif[at + 5 : at + 9] = struct.pack("<HH", 65_535, 65_535)

    assert isinstance(images.thumbnail(bytes(gif)), Thumbnail | NotAnImage)


def test_a_picture_that_takes_too_long_is_given_up_and_the_next_is_read():
    images = PillowImages(timeout=2.0)
    assert isinstance(images.probe(picture()), ImageInfo)
    first = images._helper._process
    images._timeout = 0.000_1

    found = images.thumbnail(picture((3000, 3000), "RGB"))

    assert found == NotAnImage("takes longer than 0.0001 s to be read")
    assert first.returncode == -signal.SIGKILL
    images._timeout = 10.0
    assert isinstance(images.thumbnail(picture()), Thumbnail)
    images.close()


def test_a_helper_that_was_ended_is_replaced(images):
    assert isinstance(images.probe(picture()), ImageInfo)
    os.kill(images._helper.pid, signal.SIGKILL)

    assert isinstance(images.probe(picture()), ImageInfo)


def test_a_helper_without_memory_is_no_fault_of_the_server():
    images = PillowImages(memory=0)

    assert isinstance(images.thumbnail(picture((500, 500), "RGB")), NotAnImage)
    images.close()


def test_files_that_are_too_large_empty_or_no_files_are_told(images, tmp_path):
    large = PillowImages(max_bytes=1000)
    data = picture((100, 100))
    (tmp_path / "large.png").write_bytes(data)
    (tmp_path / "empty.png").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe.png")

    assert "at most 1,000" in large.probe(tmp_path / "large.png").problem
    assert "at most 1,000" in large.probe(data).problem
    assert images.probe(tmp_path / "empty.png") == NotAnImage("is empty")
    assert images.probe(b"") == NotAnImage("is empty")
    assert images.probe(tmp_path / "pipe.png") == NotAnImage("is no regular file")
    assert isinstance(images.probe(tmp_path), NotAnImage)
    with pytest.raises(NotFound, match="no file"):
        images.probe(tmp_path / "none.png")
    large.close()


def test_many_threads_take_turns(images):
    sides = [8 + i % 20 for i in range(60)]

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda side: images.probe(picture((side, side))), sides))

    assert [f.width for f in found] == sides


def test_a_box_is_kept_within_reason(images):
    assert decoded(images.thumbnail(picture((100, 50)), (0, -5))).size == (1, 1)
    assert decoded(images.thumbnail(picture((2, 2)), (10**9, 10**9))).size == (2048, 2048)


def test_after_a_fork_each_process_has_its_own_helper():
    script = """
import io, os, sys
from PIL import Image
from mlife.adapters.images_pillow import ImageInfo, PillowImages
out = io.BytesIO(); Image.new("L", (8, 8)).save(out, "PNG")
images = PillowImages()
images.probe(out.getvalue())
mine = images._helper.pid
child = os.fork()
assert isinstance(images.probe(out.getvalue()), ImageInfo)
assert (images._helper.pid == mine) == (child != 0)
if child:
    assert os.waitpid(child, 0)[1] == 0
    assert isinstance(images.probe(out.getvalue()), ImageInfo)
images.close()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=30)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_helper_ends_with_its_parent():
    script = """
import os, signal
from mlife.adapters.images_pillow import PillowImages
images = PillowImages()
images.probe(b"x")
print(images._helper.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=30)

    helper = int(done.stdout)
    for _ in range(100):
        try:
            state = Path(f"/proc/{helper}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            break
        if state == "Z":
            break
        time.sleep(0.02)
    else:
        pytest.fail(f"helper {helper} is still there")


def test_a_missing_pillow_is_told(tmp_path, monkeypatch):
    (tmp_path / "PIL").mkdir()
    (tmp_path / "PIL" / "__init__.py").write_text("raise ImportError('No module named PIL')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    images = PillowImages()

    with pytest.raises(Misconfigured, match="pip install pillow"):
        images.probe(b"x")
    images.close()


def test_a_helper_that_cannot_be_started_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))

    with pytest.raises(Unavailable, match="can't be started"):
        PillowImages().probe(b"x")


SAMPLES = [picture((24, 24), "L" if kind == "GIF" else "RGB", kind) for kind, _, _ in KINDS]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_picture_damaged_anywhere_is_shown_or_told(images, data):
    sample = bytearray(data.draw(st.sampled_from(SAMPLES)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(sample) - 1, data.draw(st.sampled_from([40, 200, 2000])))))
        sample[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))

    assert isinstance(images.probe(bytes(sample)), ImageInfo | NotAnImage)
    assert isinstance(images.thumbnail(bytes(sample)), Thumbnail | NotAnImage)


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        *((picture((9, 9), mode, kind), m.replace("anymap", "pixmap")) for kind, mode, m in KINDS),
        (b"\n <!doctype HTML><p>x", "text/html"),
        (b"\xef\xbb\xbf<html>", "text/html"),
        (b"plain first, then <script>alert(1)</script>", "text/html"),
        ("<script>x</script>".encode("utf-16"), "text/html"),
        (b"<html><svg></svg></html>", "text/html"),
        (b'<?xml version="1.0"?><!-- x --><svg xmlns="http://www.w3.org/2000/svg">', "image/svg+xml"),
        (b'<ns:svg xmlns:ns="http://www.w3.org/2000/svg"><script/>', "image/svg+xml"),
        (b'<?xml version="1.0"?><document/>', "application/xml"),
        (b'{"a": 1}', "application/json"),
        (b"P1 is the first player", "text/plain"),
        (b"path,md5,annotation\n", "text/plain"),
        ("größe".encode()[:-2], "text/plain"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        (b"\0\0\0\x18ftypmp42", "video/mp4"),
        (b"\0\0\0\x18ftypheic", "image/heic"),
        (b"OggS\0", "audio/ogg"),
        (b"\x93NUMPY\x01", "application/x-npy"),
        (b"%PDF-1.7", "application/pdf"),
        (b"PK\x03\x04", "application/zip"),
        (b"GIF89a<script>alert(1)</script>", "image/gif"),
        (b"", "application/octet-stream"),
        (b"\0\1\2\3", "application/octet-stream"),
        (b"BM is text", "text/plain"),
    ],
)
def test_the_kind_of_a_file_is_told_by_its_content(head, media_type):
    assert sniff(head) == PillowImages.sniff(head) == media_type


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_have_a_media_type(head):
    assert "/" in sniff(head)
