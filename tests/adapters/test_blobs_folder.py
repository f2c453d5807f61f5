"""The folder of files under kills, full disks and foreign hands."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import sys
import time

import pytest

from mlife.adapters.blobs_folder import FolderBlobs
from mlife.core.errors import Corrupt

WRITER = """
import random, sys
from pathlib import Path
from mlife.adapters.blobs_folder import FolderBlobs
blobs = FolderBlobs(Path(sys.argv[1]))
chance = random.Random(int(sys.argv[2]))
while True:
    stored = blobs.put(chance.randbytes(chance.randrange(1, 400_000)))
    print(stored.sha256, flush=True)
"""


@pytest.fixture
def root(tmp_path):
    return tmp_path / "files"


@pytest.mark.parametrize("seed", range(6))
def test_a_kill_at_any_moment_leaves_whole_files_and_loses_none_that_was_answered(root, seed):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(root), str(seed)], stdout=subprocess.PIPE, text=True)
    answered = [writer.stdout.readline().strip()]
    time.sleep(random.Random(seed).uniform(0, 0.05))
    writer.kill()
    answered += [line.strip() for line in writer.stdout if line.endswith("\n")]
    writer.wait()
    writer.stdout.close()

    blobs = FolderBlobs(root)

    assert not list((root / "incoming").iterdir())
    assert set(answered) <= set(blobs)
    for name in blobs:
        blobs.open(name, verify=True).close()


def test_the_leftovers_of_the_dead_are_removed_and_the_work_of_the_living_is_not(root):
    class Slowly:
        """A stream in whose middle another process starts."""

        def __init__(self):
            self.pieces = [b"first ", b"second", b""]

        def read(self, _size):
            if len(self.pieces) == 2:
                FolderBlobs(root)
            return self.pieces.pop(0)

    blobs = FolderBlobs(root)
    (root / "incoming" / "dead").write_bytes(b"half a fi")

    stored = blobs.put(Slowly())

    assert stored.sha256 == hashlib.sha256(b"first second").hexdigest()
    assert list(blobs) == [stored.sha256]
    assert not list((root / "incoming").iterdir())


def test_files_lie_two_levels_deep_and_are_read_only(root):
    stored = FolderBlobs(root).put(b"x")

    path = root / stored.sha256[:2] / stored.sha256[2:4] / stored.sha256
    assert path.read_bytes() == b"x"
    assert path.stat().st_mode & 0o777 == 0o444


def test_a_changed_file_is_found_out_when_asked_and_put_right_by_putting_it_again(root):
    blobs = FolderBlobs(root)
    stored = blobs.put(b"content")
    path = blobs.path(stored.sha256)
    path.chmod(0o644)

    path.write_bytes(b"c0ntent")
    with pytest.raises(Corrupt, match="changed on the disk"):
        blobs.open(stored.sha256, verify=True)

    for damage in (b"c0ntent", b""):
        path.chmod(0o644)
        path.write_bytes(damage)
        blobs.put(b"content")
        blobs.open(stored.sha256, verify=True).close()


def test_the_stores_own_limit_holds_unless_the_call_has_one(root):
    blobs = FolderBlobs(root, limit=3)

    assert blobs.put(b"1234", limit=4).size == 4
    with pytest.raises(Exception, match="more than 3 bytes"):
        blobs.put(b"1234")


FILL = """
import sys
from pathlib import Path
from mlife.adapters.blobs_folder import FolderBlobs
from mlife.core.errors import HomeUnusable
blobs = FolderBlobs(Path(sys.argv[1]))
small = blobs.put(b"small")
try:
    blobs.put(bytes(1_000_000))
except HomeUnusable as e:
    assert list(blobs) == [small.sha256]
    assert not list((Path(sys.argv[1]) / "incoming").iterdir())
    assert blobs.put(b"other").size == 5
    print(e)
"""


def can_mount():
    unshare = shutil.which("unshare")
    return unshare and subprocess.run([unshare, "-rm", "true"], check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="mounting a small file system needs user namespaces")
def test_a_full_disk_is_one_clear_sentence_and_leaves_nothing_behind(root):
    root.mkdir()
    script = f'mount -t tmpfs -o size=200k none "{root}" && exec "{sys.executable}" -c "$0" "{root}"'

    done = subprocess.run(["unshare", "-rm", "sh", "-c", script, FILL], capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert done.stdout == f"can't write to {root}: the disk is full: free some space, then try again\n"


def test_a_file_size_limit_of_the_system_is_one_clear_sentence(root):
    limited = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n" + FILL

    done = subprocess.run([sys.executable, "-c", limited, str(root)], capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert "the file system's limit" in done.stdout


READ_ONLY = """
import sys
from pathlib import Path
from mlife.adapters.blobs_folder import FolderBlobs
from mlife.core.errors import HomeUnusable
blobs = FolderBlobs(Path(sys.argv[1]))
print(blobs.open(next(iter(blobs))).read())
try:
    blobs.put(b"x")
except HomeUnusable as e:
    print(e)
"""

NOT_OURS = """
import os, sys
from pathlib import Path
from mlife.adapters.blobs_folder import FolderBlobs
from mlife.core.errors import HomeUnusable
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.setegid(65534)
    os.seteuid(65534)
try:
    FolderBlobs(Path("files")).put(b"x")
except HomeUnusable as e:
    print(e)
"""


@pytest.mark.parametrize("made", [False, True])
def test_a_folder_of_somebody_else_is_one_clear_sentence(tmp_path, made):
    home = tmp_path / "home"
    (home / "files" / "incoming" if made else home).mkdir(parents=True)
    for folder in [home, *home.rglob("*")]:
        folder.chmod(0o555)

    done = subprocess.run([sys.executable, "-c", NOT_OURS, str(home)], capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert done.stdout == "can't write to files: permission denied: make it writable for this user\n"


@pytest.mark.skipif(not can_mount(), reason="mounting a small file system needs user namespaces")
def test_a_read_only_disk_is_one_clear_sentence_and_can_still_be_read(root):
    root.mkdir()
    script = f"""
        mount -t tmpfs none "{root}" && "{sys.executable}" -c "$0" "{root}" &&
        mount -o remount,ro "{root}" && exec "{sys.executable}" -c "$1" "{root}"
    """
    fill = "import sys\nfrom pathlib import Path\nfrom mlife.adapters.blobs_folder import FolderBlobs\n"
    fill += "FolderBlobs(Path(sys.argv[1])).put(b'x')"
    use = READ_ONLY

    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, fill, use], capture_output=True, text=True, check=False
    )

    assert done.stderr == ""
    assert done.stdout == f"b'x'\ncan't write to {root}: it is read-only: make it writable for this user\n"
