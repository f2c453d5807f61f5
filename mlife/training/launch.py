"""
What runs between the worker and the user's code: `python -P launch.py <spec.json>`. Standard library only.

It forks once. The child becomes the user's code. The parent watches two things: the child, whose end it writes to a
file (so that a worker that starts later knows that the code is done), and its own standard input, whose end means that
the worker is dead: then it kills the whole process group. If it is killed itself, the kernel kills the child.

The spec: entry_point {module, function, command}, workdir, exit_file, code_file.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import json
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

PR_SET_PDEATHSIG = 1
NOT_FOUND = 127


def main() -> int:
    """Run the spec; the exit status is that of the user's code, 128 + the signal's number if one ended it."""
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    started = time.time()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _die_with(parent)
        return _run(spec, started)
    threading.Thread(target=_watch_worker, daemon=True).start()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    code = 128 - code if code < 0 else code
    _ended(spec, code, started)
    return code


def _ended(spec: dict[str, Any], code: int, started: float) -> None:
    _write(Path(spec["exit_file"]), {"code": code, "seconds": round(time.time() - started, 3)})


def _watch_worker() -> None:
    """Standard input is a pipe that nobody writes to; it ends when the worker does."""
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


def _die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies (Linux; elsewhere the worker kills the group)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(128 + signal.SIGKILL)


def _run(spec: dict[str, Any], started: float) -> int:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.chdir(spec["workdir"])
    command = spec["command"]
    if command:
        _write(Path(spec["code_file"]), _script_of(command))
        try:
            os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
        except OSError as e:
            sys.stderr.write(f"{command[0]} can't be run: {e.strerror}\n")
            return NOT_FOUND
    sys.path.insert(0, spec["workdir"])
    sys.argv = [f"{spec['module']}:{spec['function']}"]
    try:
        module = importlib.import_module(spec["module"])
        _write(Path(spec["code_file"]), _source_of(module))
        function: Any = module
        for name in spec["function"].split("."):
            function = getattr(function, name)
        function()
    except Exception as e:  # noqa: BLE001 - the user's code may raise anything; it is shown without our own frames
        shown = e.__traceback__.tb_next if e.__traceback__ else None
        traceback.print_exception(type(e), e, shown)
        return 1
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    # Said now, not after the interpreter's own end, which takes long with large libraries: a kill in that time would
    # make somebody train the same model again. The parent writes what the exit code really was.
    _ended(spec, 0, started)
    return 0


def _source_of(module: ModuleType) -> dict[str, Any]:
    source = Path(getattr(module, "__file__", None) or "")
    return _digest(source) if source.is_file() else {"file": "", "sha256": hashlib.sha256(b"").hexdigest()}


def _script_of(command: list[str]) -> dict[str, Any]:
    """The module after `-m`, else the first word that is a file of the working folder, else the command line itself."""
    if "-m" in command[1:-1] and "python" in Path(command[0]).name:
        sys.path.insert(0, str(Path.cwd()))
        with suppress(ImportError, ValueError):
            found = importlib.util.find_spec(command[command.index("-m", 1) + 1])
            if found is not None and found.origin is not None and Path(found.origin).is_file():
                return _digest(Path(found.origin))
    for word in command:
        path = Path(word)
        if path.is_file() and path.resolve().is_relative_to(Path.cwd().resolve()):
            return _digest(path.resolve())
    return {"file": "", "sha256": hashlib.sha256("\0".join(command).encode()).hexdigest()}


def _digest(path: Path) -> dict[str, Any]:
    return {"file": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _write(path: Path, value: dict[str, Any]) -> None:
    """Written beside and renamed, so that it is whole or not there."""
    partial = path.with_name(f".{path.name}")
    partial.write_text(json.dumps(value), encoding="utf-8")
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main())
