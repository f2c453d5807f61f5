"""Conversions and measurements in processes of their own: bounded in memory, time and what they write, then gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from json import JSONDecodeError, dumps, loads
from pathlib import Path
from typing import Any

from mlife.core.errors import Misconfigured, Refused, Unavailable
from mlife.core.media.conversions import Made, Values

AT_ONCE = 2
MEASURING_SECONDS = 10.0
"""A page waits for it."""


class ProcessWorkshop:
    """
    Starts a process for each file; may be used from many threads.

    Args:
        memory: bytes of address space that it may use beyond what it starts with.
        seconds: until it is killed. most: bytes that it may write.
    """

    def __init__(self, *, memory: int = 2 << 30, seconds: float = 60.0, most: int = 512 << 20) -> None:
        self._memory, self._seconds, self._most = memory, seconds, most
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def convert(self, name: str, source: Path, values: Values, folder: Path) -> Made:
        """See `Workshop`."""
        target = folder / "copy"
        told = self._ask(
            {"ask": "convert", "name": name, "source": str(source), "values": dict(values)}, folder, self._seconds
        )
        if "problem" in told:
            raise Refused(f"the file {told['problem']}", remedy="choose other values, or another file")
        return Made(target, str(told["suffix"]))

    def measure(self, source: Path, media_type: str) -> Mapping[str, Any]:
        """See `Workshop`."""
        asked = {"ask": "measure", "source": str(source), "media_type": media_type}
        return self._ask(asked, source.parent, min(self._seconds, MEASURING_SECONDS))

    def _ask(self, request: dict[str, Any], folder: Path, seconds: float) -> dict[str, Any]:
        limits = {"memory": self._memory, "seconds": int(seconds) + 1, "most": self._most}
        with self._turns:
            told = self._run(dumps({**request, "target": str(folder / "copy"), **limits}).encode(), seconds)
        if "missing" in told:
            raise Misconfigured(f"{told['missing']} is not installed", remedy="pip install 'mlife[media]'")
        return told

    def _run(self, request: bytes, seconds: float) -> dict[str, Any]:
        command = [sys.executable, "-P", "-m", "mlife.adapters.workshop_worker"]
        try:
            # A session of its own, so that whatever it starts ends with it.
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env={k: v for k, v in os.environ.items() if not k.startswith("MLIFE_")},  # no secrets of ours
            )
        except OSError as e:
            raise Unavailable(f"no process can be started: {e.strerror}", remedy="try again") from e
        try:
            told, _ = process.communicate(request, timeout=seconds)
        except subprocess.TimeoutExpired:
            return {"problem": f"takes longer than {seconds:g} s"}
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        try:
            answer: dict[str, Any] = loads(told)
        except JSONDecodeError:
            return {"problem": "makes its reader crash"}
        return answer
