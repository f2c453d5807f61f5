"""What all tests share: page tests need a browser, and only a developer's machine may do without."""

import os
import shutil

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked ``browser`` where Debian's Chromium is missing; in CI they run, and fail, instead."""
    if shutil.which("chromium") or os.environ.get("CI"):
        return
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason="chromium is not installed: as root, apt-get install chromium"))
