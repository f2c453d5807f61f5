"""A server of files that is away, full, refuses us or is no such server; TLS; and what the doctor says."""

from __future__ import annotations

import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from infra.local import Certificates
from mlife.adapters.blobs_minio import MinioBlobs
from mlife.adapters.health_s3 import check_s3
from mlife.adapters.s3 import S3, address_of
from mlife.core.errors import HomeUnusable, Misconfigured, Unavailable
from tests.adapters.s3_things import DIGIT, IS_MINIO, LARGE, sha256, soon, with_other
from tests.components import S3 as S3_SERVER
from tests.components import started

# ── away, full, refused ──────────────────────────────────────────────────────────────────────────


def everything(blobs, digest):
    """Each thing that asks the server."""
    return (
        lambda: blobs.put(b"something new"),
        lambda: blobs.open(digest),
        lambda: blobs.path(digest),
        lambda: blobs.size(digest),
        lambda: blobs.has("0" * 64),
        lambda: list(blobs),
        lambda: blobs.take_upload("0" * 32, sha256=digest, size=1),
    )


def test_a_server_that_is_away_is_told_within_seconds_and_used_again_when_it_is_back(s3_server, cache):
    blobs = MinioBlobs(s3_server.url, cache=cache)
    digest = blobs.put(DIGIT).sha256
    s3_server.kill()

    for ask in everything(blobs, digest):
        began = time.monotonic()
        with pytest.raises(Unavailable, match="is away: the connection is refused"):
            ask()
        assert time.monotonic() - began < 3

    s3_server.start()
    assert blobs.size(digest) == len(DIGIT)
    assert blobs.put(DIGIT).sha256 == digest


def test_a_server_that_is_silent_is_given_up_and_not_asked_again_and_again(s3_server):
    there = S3(address_of(s3_server.url), read=1)
    os.kill(s3_server.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(Unavailable, match="takes requests and does not answer"), there.translated():
            there.client.bucket_exists(there.address.bucket)
        assert time.monotonic() - began < 3
    finally:
        os.kill(s3_server.pid, signal.SIGCONT)


def test_a_read_that_the_server_leaves_is_told_within_seconds(s3_server, cache):
    blobs = MinioBlobs(s3_server.url, cache=cache)
    digest = blobs.put(LARGE).sha256
    with blobs.open(digest) as stream:
        assert stream.read(10) == LARGE[:10]
        s3_server.kill()
        began = time.monotonic()
        with pytest.raises(Unavailable):
            stream.read()
        assert time.monotonic() - began < 15


@pytest.mark.parametrize("data", [DIGIT, LARGE], ids=["one object", "parts"])
def test_a_full_server_is_one_clear_sentence_and_leaves_nothing_wrong(small_s3, cache, data):
    blobs = MinioBlobs(small_s3.url, cache=cache)
    before = blobs.put(b"before").sha256
    small_s3.fill()

    with pytest.raises(HomeUnusable, match=f"{small_s3.address}/mlife is full"):
        blobs.put(data + bytes(300_000))
    assert list(blobs) == [before]
    with blobs.open(before, verify=True) as stream:
        assert stream.read() == b"before"

    small_s3.free()
    assert blobs.put(data).size == len(data)


def test_a_server_that_fills_up_in_the_middle_of_a_file_has_nothing_of_it(small_s3, cache):
    blobs = MinioBlobs(small_s3.url, cache=cache)

    with pytest.raises(HomeUnusable, match="is full"):
        blobs.put(bytes(100_000_000))

    assert list(blobs) == []
    if not IS_MINIO:  # which has its disk still full after a minute: it clears what was begun in its own time
        assert soon(lambda: blobs.put(LARGE).sha256, HomeUnusable) == sha256(LARGE)


@pytest.mark.parametrize(
    ("changes", "says", "remedy"),
    [
        ({"secret": "hidden-secret"}, "refuses our key", "correct key and secret"),
        ({"key": "nobody"}, "refuses our key", "correct key and secret"),
        ({"path": "/no-such-bucket"}, "there is no bucket", "`mlife doctor --fix` makes it"),
        ({"scheme": "s3+https"}, "speaks no TLS that we understand", r"s3\+http"),
    ],
)
def test_a_wrong_setting_is_one_clear_sentence_at_every_door(s3_url, cache, changes, says, remedy):
    blobs = MinioBlobs(with_other(s3_url, **changes), cache=cache)

    for ask in everything(blobs, sha256(DIGIT)):
        with pytest.raises(Misconfigured, match=says) as told:
            ask()
        assert "hidden-secret" not in f"{told.value}"
        with pytest.raises(Misconfigured, match=remedy):
            raise told.value


@pytest.mark.skipif(IS_MINIO, reason="MinIO takes any region when none is set")
def test_another_region_is_one_clear_sentence(s3_url, cache):
    with pytest.raises(Misconfigured, match=r"of another region.*us-east-1.*region=…"):
        MinioBlobs(with_other(s3_url, query="region=mars-1"), cache=cache).put(DIGIT)


@pytest.mark.parametrize(
    ("status", "error", "says"), [(404, Misconfigured, "no S3 server"), (502, Unavailable, "fails")]
)
def test_what_is_no_s3_server_is_told_so_and_a_broken_proxy_is_waited_for(cache, status, error, says):
    class Other(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<h1>something else</h1>")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        blobs = MinioBlobs(f"s3+http://key:secret@127.0.0.1:{other.server_port}/bucket", cache=cache)
        with pytest.raises(error, match=says):
            blobs.open("0" * 64)
        other.shutdown()


# ── TLS, and the doctor ──────────────────────────────────────────────────────────────────────────


def test_a_certificate_of_ones_own_is_trusted_by_name_and_no_other_is(tmp_path, cache):
    server = started(lambda: S3_SERVER(tmp_path / "tls", tls=Certificates(tmp_path / "certificates")))
    try:
        assert "ca=" in server.url
        soon(lambda: list(check_s3(server.url, fix=True)), Unavailable)
        blobs = MinioBlobs(server.url, cache=cache)
        digest = blobs.put(LARGE).sha256
        with blobs.open(digest, verify=True) as stream:
            assert stream.read() == LARGE
        link = blobs.upload_link(sha256=sha256(DIGIT), size=len(DIGIT), seconds=60)
        assert link.url.startswith("https://")

        strange = MinioBlobs(server.url.partition("?")[0], cache=cache / "other")
        with pytest.raises(Misconfigured, match=r"is not trusted: .*ca=…"):
            strange.put(DIGIT)
        plain = MinioBlobs(with_other(server.url, scheme="s3+http"), cache=cache / "other")
        with pytest.raises((Misconfigured, Unavailable), match=r"s3\+https"):  # as it answers, or drops the line
            plain.open(digest)
    finally:
        server.stop()


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_an_authority_that_can_not_be_read_is_one_clear_sentence(tmp_path, content):
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)

    with pytest.raises(Misconfigured, match="correct ca= in MLIFE_FILES"):
        MinioBlobs(f"s3+https://key:secret@127.0.0.1:1/bucket?ca={tmp_path}/ca.pem", cache=tmp_path)


def test_the_doctor_says_what_is_missing_and_makes_it(s3_shared):
    url = s3_shared.bucket("for-the-doctor")

    missing = {f.what: f for f in check_s3(url)}
    assert missing["files"].state == "ok"
    assert missing["files clock"].state == "ok"
    assert (missing["files bucket"].state, missing["files bucket"].do) == ("wrong", "`mlife doctor --fix` makes it")

    made = {f.what: f for f in check_s3(url, fix=True)}
    assert made["files bucket"].found == "made now: for-the-doctor"
    again = list(check_s3(url))
    assert [f.what for f in again if f.state != "ok"] == ([] if IS_MINIO else ["files durability"])
    assert [f.what for f in again if f.state == "ok"] == [
        "files",
        "files clock",
        "files writes",
        "files versions",
        "files leftovers",
    ]
    assert list(S3(address_of(url)).client.list_objects("for-the-doctor", recursive=True)) == []


def test_the_doctor_tells_a_full_server_from_a_wrong_key(small_s3):
    small_s3.fill()
    full = {f.what: f for f in check_s3(small_s3.url)}

    assert "is full" in full["files writes"].found or IS_MINIO  # which keeps small objects with its own notes
    with pytest.raises(Misconfigured, match="refuses our key"):
        list(check_s3(with_other(small_s3.url, secret="wrong")))
