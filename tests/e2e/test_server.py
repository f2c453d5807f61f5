"""`mlife up` as others meet it: many streams, clients that go away, and its end."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT

STREAMS = 60


@dataclass
class Up:
    """A running `mlife up`."""

    process: subprocess.Popen[str]
    port: int
    home: Path
    streams: list[socket.socket] = field(default_factory=list)

    def post(self, *reports: dict[str, object]) -> dict[str, object]:
        """Send reports as NDJSON; the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        body = "\n".join(map(json.dumps, reports))
        connection.request("POST", "/api/v1/reports", body, {"content-type": "application/x-ndjson"})
        answer: dict[str, object] = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def stream(self, after: int) -> socket.socket:
        """An open stream of events."""
        opened = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        self.streams.append(opened)
        asked = f"GET /api/v1/events?after={after} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
        opened.sendall(asked.encode())
        assert opened.recv(15) == b"HTTP/1.1 200 OK"
        return opened

    def ended(self, number: int) -> tuple[int, float, str]:
        """Exit code, seconds until then, and what it said on standard error."""
        began = time.monotonic()
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, time.monotonic() - began, said

    def cpu(self) -> float:
        """Seconds of processor time until now."""
        numbers = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """A server on a home of its own."""
    command = [sys.executable, "-m", "mlife", "up", "--home", str(tmp_path / "home"), "--port", "0"]
    with subprocess.Popen(
        command, cwd=ROOT / "tests", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert found
        served = Up(process, int(found[1]), tmp_path / "home")
        yield served
        for stream in served.streams:
            stream.close()
        process.kill()


def report(number: int) -> dict[str, object]:
    return {
        "system": "dms",
        "function": "emotion",
        "version": "1.0",
        "client": "car",
        "report_id": f"r{number}",
        "prediction": {"type": "class", "label": "sad"},
        "data": [{"uri": f"s3://cam/{number}.jpg"}],
        "observed_at": "2026-01-02T03:04:05Z",
    }


def read_until(stream: socket.socket, wanted: bytes) -> bytes:
    got = b""
    while wanted not in got:
        some = stream.recv(65_536)
        assert some, f"the stream ended after {got[-200:]!r}"
        got += some
    return got


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_server_that_is_told_to_end_closes_its_files_and_does_not_wait_for_streams(
    up: Up, number: int, code: int
) -> None:
    up.post(report(1))
    streams = [up.stream(0) for _ in range(3)]
    for stream in streams:
        read_until(stream, b"id: 1\n")

    ended, seconds, said = up.ended(number)

    assert (ended, said.strip() in ("", "stopped")) == (code, True), said
    assert seconds < 3.0
    assert not list(up.home.glob("*-wal"))  # the databases were closed, not abandoned


def test_many_streams_cost_little_while_nothing_happens_and_each_hears_of_each_event_once(up: Up) -> None:
    up.post(report(0))
    streams = [up.stream(1) for _ in range(STREAMS)]
    before = up.cpu()
    time.sleep(2.0)
    assert up.cpu() - before < 0.5

    for number in range(1, 3):
        up.post(*(report(number * 10 + k) for k in range(3)))

    for stream in streams:
        heard = re.findall(rb"^id: (\d+)$", read_until(stream, b"id: 7\n"), re.MULTILINE)
        assert heard == [str(position).encode() for position in range(2, 8)]


def test_a_client_that_goes_away_in_the_middle_of_its_request_leaves_no_stack_in_the_servers_log(up: Up) -> None:
    for _ in range(5):
        client = socket.create_connection(("127.0.0.1", up.port))
        head = "POST /api/v1/reports HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n"
        client.sendall(f'{head}\r\n{{"sys'.encode())
        client.close()
    assert up.post(report(1))["accepted"] == 1

    assert up.ended(signal.SIGTERM)[2] == ""
