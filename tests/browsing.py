"""A real browser for tests: Debian's Chromium, tabs that note complaints, and axe-core's source."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Debian's Chromium; for a module, as its event loop is in the way of other modules' tests."""
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
    """
    The source of axe-core, fetched once by npm into `build/`.

    Without npm its tests are skipped on a developer's machine, and fail in CI.
    """
    kept = ROOT / "build" / "axe" / "axe.min.js"
    if not kept.exists():
        if shutil.which("npm") is None:
            _miss("no npm to fetch axe-core with")
        with tempfile.TemporaryDirectory() as folder:
            fetched = subprocess.run(
                ["npm", "pack", "axe-core@4.14.1", "--silent"],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=90,
                check=False,
            )
            if fetched.returncode:
                _miss(f"npm can't fetch axe-core: {fetched.stderr.strip()[-200:]}")
            shutil.unpack_archive(Path(folder) / fetched.stdout.strip(), folder)
            kept.parent.mkdir(parents=True, exist_ok=True)
            whole = kept.with_suffix(f".{os.getpid()}")
            shutil.copy(Path(folder) / "package" / "axe.min.js", whole)
            whole.replace(kept)
    return kept.read_text()


def _miss(why: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def violations(page: Any, axe_source: str) -> list[str]:
    """What axe-core finds on *page*, as sentences."""
    page.evaluate(axe_source)
    found = page.evaluate("rules => axe.run({runOnly: rules, resultTypes: ['violations'], preload: false})", RULES)
    return [
        f"{v['impact']} {v['id']}: {v['help']}: {[n['html'][:160] + str(n['any'][:1]) for n in v['nodes'][:3]]}"
        for v in found["violations"]
    ]
