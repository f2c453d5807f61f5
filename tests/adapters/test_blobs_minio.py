"""Files on a real S3 server: kills, broken connections, changed bytes, full disks, foreign keys, links, TLS."""

from __future__ import annotations

import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import httpx
import pytest

from infra.local import Certificates
from mlife.adapters.blobs_minio import PART, MinioBlobs
from mlife.adapters.health_s3 import check_s3
from mlife.adapters.s3 import S3, address_of
from mlife.adapters.s3_leftovers import leftovers, remove_leftovers
from mlife.core.errors import Corrupt, HomeUnusable, Invalid, Misconfigured, NotFound, Unavailable
from tests.adapters.s3_wire import S3Wire
from tests.adapters.small_s3 import SmallS3, can_mount
from tests.components import S3 as S3_SERVER
from tests.components import started

DIGIT = b"\x89PNG\r\n\x1a\n a digit"
LARGE = random.Random(3).randbytes(2 * PART + 12_345)
NOW = timedelta(0)
IS_MINIO = S3_SERVER.name == "minio"
"""It lists no parts: it removes them by itself."""


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def blobs(s3_url, cache):
    return MinioBlobs(s3_url, cache=cache)


@pytest.fixture
def wire(s3_url):
    made = S3Wire(s3_url)
    yield made
    made.close()


@pytest.fixture
def bucket(s3_url):
    """The server, past the port: what a stranger with the key might do."""
    return S3(address_of(s3_url))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def overwrite(bucket, digest, data):
    address = bucket.address
    bucket.client.put_object(address.bucket, address.object_of(digest), io.BytesIO(data), len(data))


def soon(ask, fault, seconds=30):
    """What *ask* gives as soon as it raises *fault* no more."""
    until = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except fault:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def test_a_large_file_travels_in_parts_and_comes_back_whole(blobs, tmp_path):
    (tmp_path / "large").write_bytes(LARGE)

    stored = blobs.put(tmp_path / "large")

    assert (stored.sha256, stored.size) == (sha256(LARGE), len(LARGE))
    with blobs.open(stored.sha256) as stream:
        assert stream.read() == LARGE
    with blobs.open(stored.sha256) as stream:
        stream.seek(-100, os.SEEK_END)
        assert stream.read() == LARGE[-100:]
        stream.seek(PART)
        assert stream.read(7) == LARGE[PART : PART + 7]


SENDER = """
import io, resource, sys
from pathlib import Path
from mlife.adapters.blobs_minio import MinioBlobs
blobs = MinioBlobs(sys.argv[1], cache=Path(sys.argv[2]))
class Endless(io.RawIOBase):
    left = 200
    def read(self, size=-1):
        self.left -= 1
        return bytes([self.left]) * 1_000_000 if self.left >= 0 else b""
    def seekable(self):
        return False
blobs.put(b"x")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sha256 = blobs.put(Endless()).sha256
assert blobs.path(sha256).stat().st_size == 200_000_000
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_file_of_200_mb_needs_a_few_parts_of_memory(s3_url, cache):
    done = subprocess.run(
        [sys.executable, "-c", SENDER, s3_url, str(cache)], capture_output=True, text=True, check=True
    )

    assert int(done.stdout) < 100


@pytest.mark.parametrize("data", [DIGIT, LARGE], ids=["one object", "parts"])
def test_a_file_that_changes_while_it_is_read_is_refused_and_nothing_is_kept(blobs, bucket, data):
    class Changing(io.BytesIO):
        """Somebody writes to it after it was measured."""

        def seek(self, *where):
            self.getbuffer()[-1] ^= 1
            return super().seek(*where)

    with pytest.raises(Invalid, match="changed while it was read"):
        blobs.put(Changing(data))

    assert list(blobs) == []
    assert list(leftovers(bucket, older_than=NOW)) == []


def test_a_file_that_shrinks_while_it_is_read_is_refused_and_nothing_is_kept(blobs):
    class Shrinking(io.BytesIO):
        def seek(self, *where):
            self.truncate(3)
            return super().seek(*where)

    with pytest.raises(Invalid, match="changed while it was read"):
        blobs.put(Shrinking(DIGIT))

    assert list(blobs) == []


WRITER = """
import random, sys
from pathlib import Path
from mlife.adapters.blobs_minio import MinioBlobs
blobs = MinioBlobs(sys.argv[1], cache=Path(sys.argv[2]))
chance = random.Random(int(sys.argv[3]))
while True:
    stored = blobs.put(chance.randbytes(chance.choice([10, 300_000, 20_000_000])))
    print(stored.sha256, flush=True)
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_kill_at_any_moment_leaves_whole_files_and_loses_none_that_was_answered(s3_url, cache, blobs, bucket, seed):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, s3_url, str(cache), str(seed)], stdout=subprocess.PIPE, text=True
    )
    answered = [writer.stdout.readline().strip()]
    time.sleep(random.Random(seed).uniform(0, 0.5))
    writer.kill()
    answered += [line.strip() for line in writer.stdout if line.endswith("\n")]
    writer.wait()
    writer.stdout.close()

    assert set(answered) <= set(blobs)
    for name in blobs:
        blobs.open(name, verify=True).close()
    remove_leftovers(bucket, older_than=NOW)
    assert list(leftovers(bucket, older_than=NOW)) == []


@pytest.mark.skipif(IS_MINIO, reason="MinIO lists no parts, and removes them by itself")
def test_parts_of_the_dead_are_removed_after_a_day_and_those_of_the_living_are_not(blobs, bucket):
    name = bucket.address.object_of(sha256(LARGE))
    begun = bucket.client._create_multipart_upload(bucket.address.bucket, name, {})

    assert list(leftovers(bucket)) == []
    assert list(leftovers(bucket, older_than=NOW)) == [(name, begun)]
    blobs.put(LARGE)
    assert remove_leftovers(bucket, older_than=NOW) == 1

    assert list(leftovers(bucket, older_than=NOW)) == []
    assert list(blobs) == [sha256(LARGE)]


def test_a_changed_object_is_found_out_and_put_right_by_putting_it_again(blobs, bucket):
    digest = blobs.put(DIGIT).sha256
    for damage in (DIGIT.upper(), DIGIT[:5], DIGIT + b"!", b""):
        overwrite(bucket, digest, damage)
        with pytest.raises(Corrupt, match="is not what was stored"):
            blobs.open(digest, verify=True)
        with pytest.raises(Corrupt, match="is not what was stored"):
            blobs.path(digest)

        blobs.put(DIGIT)

        with blobs.open(digest, verify=True) as stream:
            assert stream.read() == DIGIT


def test_the_stores_own_limit_holds_unless_the_call_has_one(s3_url, cache):
    blobs = MinioBlobs(s3_url, cache=cache, limit=3)

    assert blobs.put(b"1234", limit=4).size == 4
    with pytest.raises(Invalid, match="more than 3 bytes"):
        blobs.put(b"12345")


def test_several_stores_share_a_bucket_under_prefixes_of_their_own(s3_url, cache):
    one, other = MinioBlobs(f"{s3_url}/one", cache=cache / "1"), MinioBlobs(f"{s3_url}/other/deep", cache=cache / "2")
    stored = one.put(DIGIT)

    assert list(one) == [stored.sha256]
    assert list(other) == []
    assert not other.has(stored.sha256)


def test_a_child_after_a_fork_uses_connections_of_its_own(blobs):
    digest = blobs.put(DIGIT).sha256
    child = os.fork()
    if child == 0:
        with blobs.open(digest) as stream:
            os._exit(0 if stream.read() == DIGIT else 1)

    assert os.waitpid(child, 0)[1] == 0
    assert blobs.size(digest) == len(DIGIT)


# ── reading over a bad line ──────────────────────────────────────────────────────────────────────


def test_a_connection_that_breaks_while_a_file_is_read_is_mended(blobs, wire, tmp_path):
    digest = blobs.put(LARGE).sha256
    there = MinioBlobs(wire.url, cache=tmp_path / "other")
    wire.cuts, wire.cut_at = 4, 1_000_000

    with there.open(digest) as stream:
        assert stream.read() == LARGE

    assert wire.cuts == 0


def test_bytes_that_change_on_their_way_are_never_taken_for_the_file(blobs, wire, tmp_path):
    digest = blobs.put(LARGE).sha256
    there = MinioBlobs(wire.url, cache=tmp_path / "other")
    spot = LARGE[PART : PART + 8]
    wire.change = lambda piece: piece.replace(spot, bytes(8))

    with there.open(digest) as stream, pytest.raises(Corrupt):
        stream.read()
    with pytest.raises(Corrupt):
        there.path(digest)

    assert not [f for f in (tmp_path / "other").rglob("*") if f.is_file() and f.stat().st_size]
    wire.change = lambda piece: piece
    assert there.path(digest).read_bytes() == LARGE


# ── copies on this machine ───────────────────────────────────────────────────────────────────────


def test_a_copy_serves_while_the_server_is_away(s3_server, cache):
    blobs = MinioBlobs(s3_server.url, cache=cache)
    digest = blobs.put(DIGIT).sha256
    path = blobs.path(digest)

    s3_server.stop()

    assert blobs.path(digest) == path
    assert path.stat().st_mode & 0o777 == 0o444
    with blobs.open(digest, verify=True) as stream:
        assert stream.read() == DIGIT


def test_a_damaged_copy_is_replaced_when_it_is_looked_at(blobs):
    digest = blobs.put(DIGIT).sha256
    path = blobs.path(digest)
    path.chmod(0o644)
    path.write_bytes(b"damaged")

    with blobs.open(digest, verify=True) as stream:
        assert stream.read() == DIGIT


def test_what_is_held_stays_when_the_copy_makes_room(blobs, tmp_path):
    digest = blobs.put(DIGIT).sha256
    held = blobs.hold(digest, tmp_path / "run" / "digit.png")

    blobs.path(digest).unlink()

    assert held.read_bytes() == DIGIT
    assert blobs.hold(digest, held) == held


def test_many_processes_may_want_the_same_copy(blobs, s3_url, cache):
    digest = blobs.put(LARGE).sha256
    script = (
        "import sys; from pathlib import Path; from mlife.adapters.blobs_minio import MinioBlobs; "
        "print(MinioBlobs(sys.argv[1], cache=Path(sys.argv[2])).path(sys.argv[3]).stat().st_size)"
    )
    command = [sys.executable, "-c", script, s3_url, str(cache), digest]

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda _: subprocess.check_output(command, text=True), range(4)))

    assert said == [f"{len(LARGE)}\n"] * 4
    assert not [f for f in (cache / "files" / "incoming").iterdir() if f.name != ".lock"]


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


@pytest.fixture
def small_s3(tmp_path):
    if not can_mount():
        pytest.skip("mounting a small disk needs user namespaces")
    server = started(lambda: SmallS3(tmp_path / "small"))
    soon(lambda: list(check_s3(server.url, fix=True)), Unavailable)
    yield server
    server.stop()


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
    assert soon(lambda: blobs.put(LARGE).sha256, HomeUnusable) == sha256(LARGE)  # MinIO clears its disk in a moment


def with_other(url, **changes):
    parts = urlsplit(url)
    key, secret = changes.get("key", parts.username), changes.get("secret", parts.password)
    host = changes.get("host", f"{parts.hostname}:{parts.port}")
    query = "&".join(q for q in (parts.query, changes.get("query", "")) if q)
    scheme, path = changes.get("scheme", parts.scheme), changes.get("path", parts.path)
    return f"{scheme}://{key}:{secret}@{host}{path}{'?' if query else ''}{query}"


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


# ── links ────────────────────────────────────────────────────────────────────────────────────────


def test_a_download_link_gives_the_bytes_as_a_download_to_who_has_no_key(blobs):
    digest = blobs.put(b"<script>alert(1)</script>").sha256
    said = "attachment; filename=\"a.html\"; filename*=UTF-8''%C3%A9.html"

    link = blobs.download_link(digest, disposition=said, media_type="application/octet-stream", seconds=60)
    answer = httpx.get(link)

    assert answer.content == b"<script>alert(1)</script>"
    assert answer.headers["content-disposition"] == said
    assert answer.headers["content-type"] == "application/octet-stream"
    for other in (link.replace("attachment", "inline"), link.replace(digest, "0" * 64), link.replace("=60", "=600")):
        assert other != link
        assert httpx.get(other).status_code == 403
    assert httpx.put(link, content=b"x").status_code == 403


def test_a_link_ends(blobs):
    digest = blobs.put(DIGIT).sha256
    link = blobs.download_link(digest, disposition="attachment", media_type="text/plain", seconds=1)
    time.sleep(2.1)

    assert httpx.get(link).status_code in {400, 403}


def test_an_upload_becomes_the_file_once_and_may_be_told_again(blobs, bucket):
    link = blobs.upload_link(sha256=sha256(LARGE), size=len(LARGE), seconds=60)
    assert httpx.put(link.url, content=LARGE, headers=dict(link.headers)).status_code == 200
    assert list(blobs) == []

    stored = blobs.take_upload(link.upload_id, sha256=sha256(LARGE), size=len(LARGE))

    assert stored == blobs.take_upload(link.upload_id, sha256=sha256(LARGE), size=len(LARGE)) == blobs.put(LARGE)
    assert list(leftovers(bucket, older_than=NOW)) == []
    with blobs.open(sha256(LARGE), verify=True) as stream:
        assert stream.read() == LARGE


def test_the_store_itself_refuses_other_bytes_than_the_link_is_for(blobs):
    link = blobs.upload_link(sha256=sha256(DIGIT), size=len(DIGIT), seconds=60)
    others = [
        (DIGIT.upper(), dict(link.headers)),
        (DIGIT + b"!", dict(link.headers)),
        (DIGIT, {}),
        (b"", dict(link.headers)),
    ]

    for content, headers in others:
        assert httpx.put(link.url, content=content, headers=headers).status_code in {400, 403}

    with pytest.raises(NotFound, match="nothing was put to the link"):
        blobs.take_upload(link.upload_id, sha256=sha256(DIGIT), size=len(DIGIT))


@pytest.mark.parametrize("came", [DIGIT.upper(), DIGIT[:3], b""])
def test_other_bytes_than_were_announced_are_thrown_away_also_where_the_store_took_them(blobs, bucket, came):
    link = blobs.upload_link(sha256=sha256(DIGIT), size=len(DIGIT), seconds=60)
    address = bucket.address
    bucket.client.put_object(address.bucket, f"{address.incoming}{link.upload_id}", io.BytesIO(came), len(came))

    with pytest.raises(Invalid, match="other bytes came") as told:
        blobs.take_upload(link.upload_id, sha256=sha256(DIGIT), size=len(DIGIT))

    assert told.value.refusals[0].field == "sha256"
    assert list(blobs) == []
    assert list(leftovers(bucket, older_than=NOW)) == []


def test_an_upload_that_is_changed_while_it_is_looked_at_is_not_kept(blobs, bucket, monkeypatch):
    link = blobs.upload_link(sha256=sha256(DIGIT), size=len(DIGIT), seconds=60)
    name = f"{bucket.address.incoming}{link.upload_id}"
    bucket.client.put_object(bucket.address.bucket, name, io.BytesIO(DIGIT), len(DIGIT))
    looked_at = MinioBlobs._looked_at

    def then_changed(self, name):
        found = looked_at(self, name)
        bucket.client.put_object(bucket.address.bucket, name, io.BytesIO(DIGIT.upper()), len(DIGIT))
        return found

    monkeypatch.setattr(MinioBlobs, "_looked_at", then_changed)

    with pytest.raises(Invalid, match="changed while it was looked at"):
        blobs.take_upload(link.upload_id, sha256=sha256(DIGIT), size=len(DIGIT))

    assert list(blobs) == []


@pytest.mark.parametrize("upload_id", ["", "../x", "0" * 31, "G" * 32, f"{'0' * 32}/x"])
def test_an_upload_of_a_strange_name_is_not_found(blobs, upload_id):
    with pytest.raises(NotFound):
        blobs.take_upload(upload_id, sha256=sha256(DIGIT), size=1)


def test_links_can_be_turned_off_or_lead_to_the_name_that_clients_know(s3_url, cache):
    off = MinioBlobs(with_other(s3_url, query="links=off"), cache=cache)
    public = MinioBlobs(with_other(s3_url, query="links=https://files.example.com"), cache=cache)
    asked = {"disposition": "attachment", "media_type": "text/plain", "seconds": 60}

    assert off.upload_link(sha256="0" * 64, size=1, seconds=60) is None
    assert off.download_link("0" * 64, **asked) is None
    assert public.download_link("0" * 64, **asked).startswith("https://files.example.com/")


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
