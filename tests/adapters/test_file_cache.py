"""Copies of files that make room for others."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import subprocess
import sys
import time

import pytest

from mlife.adapters.file_cache import FileCache, hold
from mlife.core.errors import Corrupt, HomeUnusable
from tests.adapters.small_s3 import can_mount

KILOBYTE = 1000


def kept(cache, number):
    """A copy of a thousand bytes, and its digest."""
    data = number.to_bytes(2, "big") * (KILOBYTE // 2)
    digest = hashlib.sha256(data).hexdigest()
    return digest, cache.keep(digest, io.BytesIO(data))


def asked(path, seconds_ago):
    """Let *path* have been asked for some time ago."""
    then = time.time() - seconds_ago
    os.utime(path, (then, then))


def test_what_was_not_asked_for_longest_makes_room(tmp_path):
    cache = FileCache(tmp_path, 10 * KILOBYTE, in_use=0)
    copies = [kept(cache, n) for n in range(10)]
    for age, (_, path) in enumerate(reversed(copies)):
        asked(path, 100 + age)
    found = cache.find(copies[0][0])  # the oldest, but somebody needs it now

    kept(cache, 10)

    assert found.exists()
    assert cache.find(copies[1][0]) is None
    assert cache.find(copies[9][0]) is not None
    assert sum(size for _, size, _ in cache.sizes()) <= 10 * KILOBYTE


def test_what_is_in_use_stays_though_the_folder_is_too_large(tmp_path):
    cache = FileCache(tmp_path, 3 * KILOBYTE)

    copies = [kept(cache, n) for n in range(10)]

    assert all(cache.find(digest) for digest, _ in copies)


def test_what_somebody_holds_is_not_taken_away(tmp_path):
    cache = FileCache(tmp_path / "cache", 2 * KILOBYTE, in_use=0)
    digest, path = kept(cache, 0)
    held = hold(path, tmp_path / "run" / "held")
    asked(path, 1000)

    for n in range(1, 6):
        asked(kept(cache, n)[1], 500)

    assert cache.find(digest) is not None
    assert held.stat().st_size == KILOBYTE
    assert hold(path, held) == held


def test_what_is_not_what_it_should_be_is_not_kept(tmp_path):
    class Wrong(io.BytesIO):
        """A source that finds out at its end."""

        def read(self, size=-1):
            piece = super().read(5)
            if not piece:
                raise Corrupt("not what was stored")
            return piece

    cache = FileCache(tmp_path, KILOBYTE)
    with pytest.raises(Corrupt):
        cache.keep("ab" * 32, Wrong(b"wrong bytes"))

    assert cache.find("ab" * 32) is None
    assert list((tmp_path / "incoming").iterdir()) == []


def test_what_a_killed_process_was_copying_is_removed_and_what_a_living_one_copies_is_not(tmp_path):
    cache = FileCache(tmp_path, KILOBYTE)
    (tmp_path / "incoming").mkdir()
    dead, living = tmp_path / "incoming" / "dead", tmp_path / "incoming" / "living"
    for partial in (dead, living):
        partial.write_bytes(b"half a fi")
    asked(dead, 4000)

    kept(cache, 1)

    assert not dead.exists()
    assert living.exists()


def test_one_process_makes_room_at_a_time(tmp_path):
    cache = FileCache(tmp_path, KILOBYTE, in_use=0)
    _, path = kept(cache, 0)
    asked(path, 1000)
    with (tmp_path / "incoming" / ".lock").open("r+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        kept(cache, 1)
        assert path.exists()

    kept(cache, 2)
    assert not path.exists()


FILL = """
import io, sys
from pathlib import Path
from mlife.adapters.file_cache import FileCache
from mlife.core.errors import HomeUnusable
cache = FileCache(Path(sys.argv[1]), 10**9)
try:
    cache.keep("ab" * 32, io.BytesIO(bytes(10**6)))
except HomeUnusable as e:
    print(e)
print([f.name for f in Path(sys.argv[1]).rglob("*") if f.is_file()])
"""


@pytest.mark.skipif(not can_mount(), reason="mounting a small file system needs user namespaces")
def test_a_full_disk_is_one_clear_sentence_and_leaves_nothing_behind(tmp_path):
    script = f'mount -t tmpfs -o size=200k none "{tmp_path}" && exec "{sys.executable}" -c "$0" "{tmp_path}"'

    done = subprocess.run(["unshare", "-rm", "sh", "-c", script, FILL], capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert done.stdout == (
        f"can't keep files in {tmp_path}: No space left on device: free some space, or let fewer files be kept here: "
        "cache=… in MLIFE_FILES\n[]\n"
    )


def test_a_folder_that_is_a_file_is_one_clear_sentence(tmp_path):
    (tmp_path / "cache").write_bytes(b"")

    with pytest.raises(HomeUnusable, match="can't keep files in"):
        kept(FileCache(tmp_path / "cache", KILOBYTE), 1)
