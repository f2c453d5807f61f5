"""Where downloaded and built components are kept, and how they are made exactly once."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.local.server import Broken, Missing


def cache() -> Path:
    """The folder of this user's components; `XDG_CACHE_HOME` moves it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlife" / "components"


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Hold the lock *file*; another process that wants it waits. It is free again when its holder dies."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """
    The folder *name* of the cache; *make* fills it if it is not there yet.

    Several processes may ask at once: one makes it, the others wait. A folder under its final name is whole, because
    it is filled under another name and then renamed.
    """
    folder = cache() / name
    with alone(cache() / f"{name}.lock"):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(prefix=f"{name}.", dir=cache()) as half:
                make(Path(half) / "made")
                (Path(half) / "made").rename(folder)
    return folder


def found(name: str) -> Path:
    """
    The folder *name* of the cache.

    Raises:
        Missing: it was not made yet.
    """
    folder = cache() / name
    if not folder.is_dir():
        raise Missing(f"{name} is not in {cache()}", remedy="`make components` downloads and builds it once")
    return folder


def program(name: str, remedy: str) -> str:
    """
    The path of the command *name*.

    Raises:
        Missing: it is not installed; *remedy* says how to get it.
    """
    if path := shutil.which(name):
        return path
    raise Missing(f"the command {name} is not installed", remedy=remedy)


def run(*words: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """
    What the command *words* printed.

    Raises:
        Broken: it failed; the message holds the end of what it said, and not the words, which may be secret.
    """
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stdout[-3000:].strip()
        raise Broken(f"{words[0]} ended with {done.returncode}", remedy=f"it said:\n{said}")
    return done.stdout
