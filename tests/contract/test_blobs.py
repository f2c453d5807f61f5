"""
What every `Blobs` adapter must do. A new adapter joins by its name in `blobs` and a fixture `<name>_blobs`.
"""

from __future__ import annotations

import hashlib
import io
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlife.adapters.blobs_folder import FolderBlobs
from mlife.core.errors import Invalid, MLifeError, NotFound
from mlife.core.ports import StoredFile

DIGIT = b"\x89PNG\r\n\x1a\n a digit"


def digests(data: bytes) -> StoredFile:
    return StoredFile(hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest(), len(data))


@pytest.fixture
def folder_blobs(tmp_path):
    return FolderBlobs(tmp_path / "files")


@pytest.fixture
def minio_blobs(s3_url, tmp_path):
    from mlife.adapters.blobs_minio import MinioBlobs

    return MinioBlobs(s3_url, cache=tmp_path / "cache")


@pytest.fixture(params=["folder", "minio"])
def blobs(request):
    """An empty store."""
    return request.getfixturevalue(f"{request.param}_blobs")


@pytest.mark.parametrize(
    "data", [b"", b"x", DIGIT, random.Random(1).randbytes(3_000_000)], ids=["empty", "byte", "png", "3MB"]
)
@pytest.mark.parametrize("kind", ["bytes", "stream", "path"])
def test_what_is_put_can_be_read_again(blobs, tmp_path, data, kind):
    (tmp_path / "source").write_bytes(data)
    source = {"bytes": data, "stream": io.BytesIO(data), "path": tmp_path / "source"}[kind]

    stored = blobs.put(source)

    assert stored == digests(data)
    assert blobs.has(stored.sha256)
    assert blobs.size(stored.sha256) == len(data)
    with blobs.open(stored.sha256) as stream:
        assert stream.read() == data
    with blobs.open(stored.sha256, verify=True) as stream:
        assert stream.read() == data


def test_a_local_path_holds_the_bytes(blobs):
    path = blobs.path(blobs.put(DIGIT).sha256)

    assert path is None or path.read_bytes() == DIGIT


def test_a_file_can_be_read_from_anywhere(blobs):
    data = random.Random(2).randbytes(700_000)
    with blobs.open(blobs.put(data).sha256) as stream:
        assert stream.seekable()
        assert stream.seek(-10, os.SEEK_END) == len(data) - 10
        assert stream.read() == data[-10:]
        assert stream.read() == b""
        stream.seek(400_000)
        assert stream.read(5) == data[400_000:400_005]
        assert stream.tell() == 400_005
        stream.seek(3, os.SEEK_CUR)
        assert stream.read(1) == data[400_008:400_009]
        stream.seek(0)
        assert stream.read() == data
        stream.seek(len(data) + 5)
        assert stream.read() == b""


def test_a_path_can_be_held_for_as_long_as_it_is_needed(blobs, tmp_path):
    stored = blobs.put(DIGIT)

    held = blobs.hold(stored.sha256, tmp_path / "run" / "a.png")

    assert held.read_bytes() == DIGIT
    assert blobs.hold(stored.sha256, tmp_path / "run" / "a.png") == held


def test_links_are_given_for_both_ways_or_for_none(blobs):
    stored = blobs.put(DIGIT)

    upload = blobs.upload_link(sha256=stored.sha256, size=stored.size, seconds=60)
    download = blobs.download_link(stored.sha256, disposition="attachment", media_type="text/plain", seconds=60)

    assert (upload is None) == (download is None)
    assert upload is None or (upload.seconds == 60 and upload.url not in repr(upload))


def test_an_upload_that_nobody_began_is_not_found(blobs):
    for upload_id in ("0" * 32, "", "../../etc/passwd"):
        with pytest.raises(NotFound):
            blobs.take_upload(upload_id, sha256="1" * 64, size=1)


def test_a_stream_that_gives_little_at_a_time_is_read_to_its_end(blobs):
    class Bytewise(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 1))

    assert blobs.put(Bytewise(DIGIT)) == digests(DIGIT)


def test_a_stream_is_read_from_where_it_stands_and_left_open(blobs):
    stream = io.BytesIO(b"head" + DIGIT)
    stream.seek(4)

    assert blobs.put(stream) == digests(DIGIT)
    assert not stream.closed


def test_putting_the_same_bytes_twice_changes_nothing(blobs):
    once = blobs.put(DIGIT)
    before = blobs.path(once.sha256).stat() if blobs.path(once.sha256) else None

    twice = blobs.put(io.BytesIO(DIGIT))

    assert twice == once
    assert list(blobs) == [once.sha256]
    if before:
        after = blobs.path(once.sha256).stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_every_file_is_listed_once_in_order(blobs):
    names = {blobs.put(b"%d" % i).sha256 for i in range(40)}

    assert list(blobs) == sorted(names)


def test_many_threads_may_put_the_same_files(blobs):
    contents = [b"%d" % (i % 10) for i in range(80)]

    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(blobs.put, contents))

    assert stored == [digests(c) for c in contents]
    assert list(blobs) == sorted({digests(c).sha256 for c in contents})


@pytest.mark.parametrize("name", ["0" * 64, "", "xyz", "../../etc/passwd", "/etc/passwd", "A" * 64, "0" * 63 + "\0"])
def test_a_file_that_is_not_there_is_not_found(blobs, tmp_path, name):
    for ask in (blobs.open, blobs.size, blobs.path, lambda name: blobs.hold(name, tmp_path / "held")):
        with pytest.raises(NotFound):
            ask(name)
    if name == "0" * 64:
        assert not blobs.has(name)


def test_a_file_above_the_limit_is_refused_and_nothing_is_kept(blobs):
    assert blobs.put(b"12345", limit=5).size == 5
    with pytest.raises(Invalid, match="more than 5 bytes"):
        blobs.put(b"123456", limit=5)

    assert list(blobs) == [digests(b"12345").sha256]


def test_a_source_that_breaks_off_leaves_nothing(blobs):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            if self.tell():
                raise OSError(5, "Input/output error")
            return super().read(4)

    with pytest.raises(MLifeError, match="Input/output error"):
        blobs.put(Broken(DIGIT))

    assert list(blobs) == []


def test_a_source_that_is_no_file_is_not_found(blobs, tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(NotFound, match=path.name):
            blobs.put(path)


def test_a_pipe_or_a_device_is_no_file_and_keeps_nobody_waiting(blobs, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for source in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(NotFound, match="is no file"):
            blobs.put(source)
