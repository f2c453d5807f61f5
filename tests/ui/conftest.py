"""
A server with the sample feature on loopback, and Chromium on it.

The server is a child process: features register in theirs, and the sample's rooms must not meet the real ones.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.browsing import ROOT


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where the sample server listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen([sys.executable, "-m", "tests.ui.sample", str(port)], cwd=ROOT) as server:
        until = time.monotonic() + 60
        while time.monotonic() < until and server.poll() is None:
            try:
                httpx.get(address + "/sample/0.png", timeout=30)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield address
        server.terminate()


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    """A program that asks the sample server."""
    with httpx.Client(base_url=address) as made:
        yield made
