"""The user's code as a child process: started, listened to, and ended when it must be."""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlife.core.errors import Invalid
from mlife.training import launch
from mlife.training.entry_point import EntryPoint
from mlife.training.live import LiveLog

EXIT = "exit.json"
CODE = "code.json"
ALIVE = "alive.lock"
"""Locked by the code's processes for as long as one of them lives."""

LOOK = 0.2
"""Seconds between looks at the clock, the worker's stop, and the task's stream."""

DRAIN = 1.0
"""Seconds to read what is left in the pipe when the code has ended."""

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
SECRETS = ("MLIFE_TOKEN",)

Why = Literal["ended", "cancelled", "stopped", "too long"]


@dataclass(frozen=True, slots=True)
class Ended:
    """
    How the user's code ended.

    Args:
        why: by itself (`ended`, with its exit *code*), or what ended it.
        code: None when no exit was recorded: it was killed together with what watches it.
    """

    why: Why
    code: int | None
    seconds: float


def run(
    entry: EntryPoint,
    folder: Path,
    *,
    workdir: Path,
    environment: Mapping[str, str],
    log: LiveLog,
    limit: float,
    interrupted: Callable[[], Why | None],
) -> Ended:
    """
    Run *entry* in *workdir* until it ends, is interrupted, or takes longer than *limit* seconds.

    Args:
        folder: of the attempt; `exit.json` and `code.json` are written there.
        interrupted: asked several times a second.

    Raises:
        Invalid: *workdir* is no folder.
    """
    spec = _spec(entry, folder, workdir)
    begun = time.monotonic()
    child = _started(spec, folder, workdir, environment)
    try:
        why = _listen(child, log, begun + limit, interrupted)
    finally:
        _kill_group(child)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
    seconds = round(time.monotonic() - begun, 3)
    return Ended(why, exit_of(folder)[0] if why == "ended" else None, seconds)


def _spec(entry: EntryPoint, folder: Path, workdir: Path) -> Path:
    """What `launch.py` is told, in a file."""
    if not workdir.is_dir():
        raise Invalid(
            f"the working folder {workdir} is not there", remedy="start the task with a folder of this machine"
        )
    spec = folder / "spec.json"
    spec.write_text(
        json.dumps(
            {
                "module": entry.module,
                "function": entry.function,
                "command": list(entry.command),
                "workdir": str(workdir),
                "exit_file": str(folder / EXIT),
                "code_file": str(folder / CODE),
            }
        )
    )
    return spec


def _started(spec: Path, folder: Path, workdir: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with (folder / ALIVE).open("wb") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        return subprocess.Popen(  # noqa: S603 - running the user's code is what a task is for
            [sys.executable, "-P", launch.__file__, str(spec)],
            stdin=subprocess.PIPE,  # held open for as long as this process lives
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=workdir,
            start_new_session=True,
            pass_fds=(alive.fileno(),),
            bufsize=0,
        )


def _listen(
    child: subprocess.Popen[bytes], log: LiveLog, deadline: float, interrupted: Callable[[], Why | None]
) -> Why:
    assert child.stdout is not None
    looked = drained = 0.0
    with selectors.DefaultSelector() as ready:
        ready.register(child.stdout, selectors.EVENT_READ)
        is_open = True
        while is_open or child.poll() is None:
            if is_open and ready.select(LOOK):
                data = os.read(child.stdout.fileno(), 1 << 16)
                if data:
                    log.feed(data)
                else:
                    is_open = False
            elif not is_open:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(LOOK)
            log.beat()
            now = time.monotonic()
            if child.poll() is not None and is_open:  # a process that the code left behind may hold the pipe
                drained = drained or now + DRAIN
                if now > drained:
                    break
                continue
            if now - looked < LOOK:
                continue
            looked = now
            why = interrupted()
            if why is not None or now > deadline:
                return why or "too long"
    return "ended"


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def wait_for_death(folder: Path, timeout: float = 5.0) -> None:
    """Wait until no process of the code that ran in *folder* is left: it dies a moment after its worker."""
    deadline = time.monotonic() + timeout
    with suppress(FileNotFoundError), (folder / ALIVE).open("rb") as alive:
        while time.monotonic() < deadline:
            with suppress(BlockingIOError):
                fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(0.01)


def exit_of(folder: Path) -> tuple[int | None, float]:
    """Exit code and seconds of the code that ran in *folder*; None when it did not get to its end."""
    try:
        said = json.loads((folder / EXIT).read_bytes())
        return int(said["code"]), float(said["seconds"])
    except (OSError, ValueError):
        return None, 0.0


def code_of(folder: Path) -> dict[str, Any]:
    """File and SHA-256 of the source that ran; empty when it was never found."""
    try:
        said: dict[str, Any] = json.loads((folder / CODE).read_bytes())
    except (OSError, ValueError):
        return {}
    return said


def environment_for(task_id: str, manifest: Path, output: Path, seed: int) -> dict[str, str]:
    """This process's environment without secrets, one thread unless it says otherwise, and the contract's variables."""
    made = {name: value for name, value in os.environ.items() if name not in SECRETS}
    for name in ONE_THREAD:
        made.setdefault(name, "1")
    made["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{made.get('PATH', os.defpath)}"
    made |= {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", "PYTHONHASHSEED": str(seed % 2**32)}
    made |= {"MLIFE_TASK_ID": task_id, "MLIFE_TASK": str(manifest), "MLIFE_OUTPUT": str(output)}
    return made
