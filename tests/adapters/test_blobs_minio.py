"""Files on a real S3 server: kills, broken connections, changed bytes, copies on this machine."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlife.adapters.blobs_minio import PART, MinioBlobs
from mlife.adapters.s3_leftovers import leftovers, remove_leftovers
from mlife.core.errors import Corrupt, Invalid
from tests.adapters.s3_things import DIGIT, IS_MINIO, LARGE, NOW, overwrite, sha256

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


def test_a_changed_object_is_found_out_and_put_right_by_putting_it_again(s3_url, tmp_path, bucket):
    for damage in (DIGIT.upper(), DIGIT[:5], DIGIT + b"!", b""):
        blobs = MinioBlobs(s3_url, cache=tmp_path / damage.hex())
        digest = blobs.put(DIGIT).sha256
        overwrite(bucket, digest, damage)
        with pytest.raises(Corrupt, match="is not what was stored"), blobs.open(digest) as stream:
            stream.read()
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


@pytest.mark.parametrize("look", [lambda b, d: b.open(d, verify=True).close(), lambda b, _: b.put(DIGIT)])
def test_a_damaged_copy_is_replaced_when_it_is_looked_at_or_put_again(blobs, look):
    digest = blobs.put(DIGIT).sha256
    path = blobs.path(digest)
    path.chmod(0o644)
    path.write_bytes(b"damaged")

    look(blobs, digest)

    assert blobs.path(digest).read_bytes() == DIGIT


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
