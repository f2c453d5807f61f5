"""docs/paper.md names pages, commands and tests; each of them must exist."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from starlette.testclient import TestClient

from mlife.cli import root
from mlife.runtime import Home

ROOT = Path(__file__).parents[2]
CELLS = [
    [cell.strip().strip("`") for cell in line.strip("|\n").split("|")]
    for line in (ROOT / "docs" / "paper.md").read_text().splitlines()
    if line.startswith("| ") and line.count("`") >= 2
]


def test_the_map_is_read() -> None:
    assert len(CELLS) > 25


@pytest.mark.parametrize("command", sorted({row[2] for row in CELLS if row[2]}))
def test_a_command_of_the_map_exists(command: str) -> None:
    found: click.Command | None = root
    for word in command.split()[1:]:
        assert isinstance(found, click.Group), command
        found = found.get_command(click.Context(found), word)
    assert found is not None, command


@pytest.mark.parametrize("path", sorted({row[3] for row in CELLS}))
def test_a_test_of_the_map_exists(path: str) -> None:
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("page", sorted({row[1] for row in CELLS if row[1]}))
def test_a_page_of_the_map_is_served_in_an_empty_home(client: TestClient, running_home: Home, page: str) -> None:
    running_home.runner.settle()

    assert client.get(page, headers={"Accept": "text/html"}).status_code == 200


def test_every_quoted_phrase_is_quoted_as_a_phrase() -> None:
    assert all(re.search(r'["“].+["”]', row[0]) for row in CELLS)
