"""A running `mlife up` of a test: load on it, a stream from it, and everything that it says."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.ops.conftest import command, environment, report

PATIENCE = 120.0
"""Seconds until something must have happened that happens by itself."""


@dataclass
class Answer:
    """What a server answered."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Serving:
    """A server process; its output is in the file *log*."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def ask(self, path: str, body: str | None = None, *, timeout: float = 30, **headers: str) -> Answer:
        """GET *path*, or POST *body* to it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET" if body is None else "POST", path, body, headers)
            got = connection.getresponse()
            return Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read().decode())
        finally:
            connection.close()

    def page(self, path: str) -> Answer:
        """The page that a person gets."""
        return self.ask(path, accept="text/html")

    def post(self, *numbers: int) -> Answer:
        """Send reports."""
        lines = "\n".join(json.dumps(report(n)) for n in numbers)
        return self.ask("/api/v1/reports", lines, **{"content-type": "application/x-ndjson"})

    @property
    def said(self) -> str:
        return self.log.read_text()


@contextmanager
def up(folder: Path, *words: object, **variables: str) -> Iterator[Serving]:
    """`mlife up` with *variables* as its settings, on a free port, until the end of the block."""
    with beside(folder, " ".join(map(str, ("up", "--port", 0, *words))), **variables) as (process, log):
        yield Serving(process, _port(process, log), log)


@contextmanager
def beside(folder: Path, words: str, **variables: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """`mlife *words*` until the end of the block: the process, and the file of what it says."""
    log = folder / f"{words.replace(' ', '-')}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command(*words.split(), "--home", folder / "home"),
            cwd=folder,
            env=environment(PYTHONUNBUFFERED="1", **variables),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process, log
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    found = until(lambda: re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text()) or process.poll() is not None)
    assert isinstance(found, re.Match), log.read_text()
    return int(found[1])


def until(is_so: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Wait until *is_so* gives something that is true; that."""
    deadline = time.monotonic() + patience
    while True:
        found = is_so()
        if found:
            return found
        assert time.monotonic() < deadline, f"not so after {patience} s"
        time.sleep(0.05)


@dataclass
class Load:
    """Several clients that send report after report, each until it is acknowledged, and keep what they were told."""

    server: Serving
    clients: int = 4
    acknowledged: dict[int, int] = field(default_factory=dict)
    refusals: list[Answer] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *fault: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _send(self, client: int) -> None:
        number = 1_000_000 * (client + 1)
        while not self._stop.is_set():
            try:
                answer = self.server.post(number)
            except (OSError, http.client.HTTPException) as fault:
                self.broken.append(repr(fault))
                time.sleep(0.2)
                continue
            if answer.status == 200:
                self.acknowledged[number] = answer.json["position"]
                number += 1
            else:
                self.refusals.append(answer)
                time.sleep(min(0.2, float(answer.headers.get("retry-after", 1))))


@dataclass
class Listener:
    """A client of the stream of events, which goes on where it stopped if the stream ends."""

    server: Serving
    positions: list[int] = field(default_factory=list)
    connections: int = 0
    _connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Listener:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        return self

    def __exit__(self, *fault: object) -> None:
        self._stop.set()
        if self._connection is not None and self._connection.sock is not None:
            with suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(60)

    def _listen(self) -> None:
        while not self._stop.is_set():
            connection = self._connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
            try:
                last = str(self.positions[-1]) if self.positions else "0"
                connection.request(
                    "GET", "/api/v1/events", headers={"Last-Event-ID": last, "Accept": "text/event-stream"}
                )
                answer = connection.getresponse()
                if answer.status != 200:
                    time.sleep(0.2)
                    continue
                self.connections += 1
                self._read(connection, answer)
            except (OSError, http.client.HTTPException):
                time.sleep(0.2)
            finally:
                connection.close()

    def _read(self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> None:
        while not self._stop.is_set():
            line = answer.readline()
            if not line:
                return
            if line.startswith(b"id: "):
                self.positions.append(int(line[4:]))
