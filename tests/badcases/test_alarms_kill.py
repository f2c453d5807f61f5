"""A real `mlife up` that is killed while it tells an alarm: the next one tells it again, under the same id."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.badcases.conftest import report
from tests.processes import ROOT

pytestmark = pytest.mark.slow
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


class SlowHook:
    """An HTTP server that answers nothing until it is let go."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.let_go = threading.Event()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                hook.ids.append(self.headers["webhook-id"])
                hook.let_go.wait(60)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.let_go.set()
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"private+http://127.0.0.1:{self.server.server_address[1]}/hook"


@contextmanager
def up(home: Path, hook: SlowHook) -> Iterator[str]:
    """`mlife up` on *home* for the block, and where it answers; killed at the end."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MLIFE_")}
    with subprocess.Popen(
        [sys.executable, "-m", "mlife", "up", "--home", str(home), "--port", "0"],
        cwd=ROOT / "tests",
        env={**clean, "MLIFE_WEBHOOK": hook.url, "MLIFE_WEBHOOK_SECRET": SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        assert child.stdout is not None
        found = re.search(r"http://[\d.:]+", child.stdout.readline())
        try:
            assert found, "it did not start"
            yield found[0]
        finally:
            child.send_signal(signal.SIGKILL)


def eventually(so: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until it is so."""
    until = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.1)


@pytest.fixture
def hook() -> Iterator[SlowHook]:
    """A server that does not answer yet."""
    slow = SlowHook()
    yield slow
    slow.close()


def test_an_alarm_that_was_being_told_when_the_process_was_killed_is_told_again(tmp_path: Path, hook: SlowHook) -> None:
    with up(tmp_path / "home", hook) as address:
        body = "\n".join(json.dumps(report(picture=n)) for n in range(12))
        httpx.post(f"{address}/api/v1/reports", content=body, headers={"content-type": "application/x-ndjson"})
        eventually(lambda: len(hook.ids) == 1)
        began = time.monotonic()
        listed = httpx.get(f"{address}/api/v1/badcases", timeout=30).json()
        assert listed["total"] == 1
        assert time.monotonic() - began < 5, "a target that does not answer holds nobody up"
    hook.let_go.set()
    with up(tmp_path / "home", hook) as address:
        alarm_id = httpx.get(f"{address}/api/v1/alarms", timeout=30).json()["alarms"][0]["alarm_id"]

        def delivered() -> bool:
            one = httpx.get(f"{address}/api/v1/alarms/{alarm_id}", timeout=30).json()
            return [d["made_at"] is not None for d in one["deliveries"]] == [True]

        eventually(delivered)
    assert len(hook.ids) == 2
    assert len(set(hook.ids)) == 1
