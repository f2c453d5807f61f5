"""A real `mlife up` as a child process, and a plain client for it."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Server:
    """
    A server that answers.

    Args:
        started: seconds from its start to its first answer on `/healthz`.
    """

    process: subprocess.Popen[bytes]
    port: int
    started: float

    def get(self, path: str) -> bytes:
        """The body of a page."""
        return self._ask("GET", path, None, "*/*")

    def post(self, path: str, body: bytes, media_type: str) -> bytes:
        """What it answers to *body*."""
        return self._ask("POST", path, body, media_type)

    def _ask(self, method: str, path: str, body: bytes | None, media_type: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, body, {"Content-Type": media_type} if body is not None else {})
            answer = connection.getresponse()
            told = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise AssertionError(f"{method} {path} was answered {answer.status}: {told[:400]!r}")
        return told

    def resident(self) -> float:
        """Resident memory of the process, in MB (Linux)."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1_000
        raise AssertionError("the server is gone")


@contextmanager
def up(home: Path) -> Iterator[Server]:
    """`mlife up` on *home* for the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start = time.perf_counter()
    command = [
        sys.executable,
        "-c",
        "from mlife.cli import main; main()",
        "up",
        "--home",
        str(home),
        "--port",
        str(port),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        yield Server(process, port, _first_answer(process, port) - start)
    finally:
        process.terminate()
        process.wait(timeout=60)


def _first_answer(process: subprocess.Popen[bytes], port: int) -> float:
    while process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return time.perf_counter()
        except OSError:
            time.sleep(0.005)
        finally:
            connection.close()
    raise AssertionError(f"`mlife up` ended with {process.returncode} before it answered")
