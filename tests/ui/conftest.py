"""
A server with the sample feature on loopback, and Chromium on it.

The server is a child process: features register in theirs, and the sample's rooms must not meet the real ones.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[2]
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


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


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


class Visit:
    """A tab that notes what a page must not do: complain on the console, ask elsewhere."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.address, self.complaints = address, list[str]()
        self.context = browser.new_context(**{"viewport": {"width": 1360, "height": 1040}} | options)
        self.page = self.context.new_page()
        self.page.on("console", lambda m: self._note(m.text) if m.type in {"error", "warning"} else None)
        self.page.on("pageerror", lambda e: self._note(str(e)))
        self.page.on("request", lambda r: None if r.url.startswith(address) else self._note(f"left for {r.url}"))

    def _note(self, complaint: str) -> None:
        on_purpose = ("the server responded with a status of 4", "Response Status Error Code 4")
        if not any(words in complaint for words in on_purpose):
            self.complaints.append(complaint)

    def to(self, path: str) -> Any:
        """Open *path* and wait until it is whole."""
        self.page.goto(self.address + path, wait_until="load")
        return self.page


@pytest.fixture
def visit(chromium: Any, address: str) -> Iterator[Callable[..., Visit]]:
    """Opens tabs; at the end each must have been without complaint."""
    visits: list[Visit] = []

    def start(**options: Any) -> Visit:
        visits.append(Visit(chromium, address, **options))
        return visits[-1]

    yield start
    complaints = [c for v in visits for c in v.complaints]
    for v in visits:
        v.context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, fetched once by npm into `build/`; without npm or network its tests are skipped."""
    cache = ROOT / "build" / "axe"
    source = cache / "package" / "axe.min.js"
    if not source.exists():
        if shutil.which("npm") is None:
            pytest.skip("no npm to fetch axe-core with")
        cache.mkdir(parents=True, exist_ok=True)
        fetched = subprocess.run(
            ["npm", "pack", "axe-core@4.14.1", "--silent"],
            cwd=cache,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        if fetched.returncode:
            pytest.skip(f"npm can't fetch axe-core: {fetched.stderr.strip()[-200:]}")
        shutil.unpack_archive(cache / fetched.stdout.strip(), cache)
    return source.read_text()
