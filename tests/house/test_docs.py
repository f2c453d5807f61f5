"""What README and docs tell to type can be typed: commands, options and links exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from mlife.cli import root

TOP = Path(__file__).parents[2]
PAGES = [TOP / "README.md", *sorted(p for p in (TOP / "docs").glob("*.md") if p.name != "events.md")]
EVERY_PAGE_THAT_IS_READ = {p.name for p in PAGES} - {"README.md"}


def lines(page: Path) -> list[str]:
    """Whole commands: lines of consoles, and code in the text that goes beyond a group's name."""
    text = page.read_text()
    fenced = re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL)
    blocks = "\n".join(code for language, code in fenced if language in ("console", ""))
    typed = re.findall(r"^\s*(?:\$ )?(mlife .*)$", blocks, re.MULTILINE)
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return typed + [f"{said} …" for said in re.findall(r"`(mlife [^`|]+)`", prose)]


def told(line: str) -> list[str]:
    """The words of a command, without its remark, pipe or place for more."""
    return [w for w in shlex.split(re.split(r"\s+#\s|\s{4,}|\s[<>|]\s", line)[0])[1:] if w != "…"]


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that *words* begin with, and what is left of them."""
    found: click.Command = root
    while isinstance(found, click.Group) and words:
        with click.Context(found) as context:
            below = found.get_command(context, words[0])
        assert below is not None, f"no command {words[0]}"
        found, words = below, words[1:]
    return found, words


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_command_that_a_page_tells_exists_with_its_options(page: Path) -> None:
    for line in lines(page):
        found, words = command_of(told(line))
        known = {name for p in found.params for name in (*p.opts, *p.secondary_opts)} | {"--help"}
        for word in words:
            if re.match(r"-[a-z-]", word) and word[1:2] != "." and not isinstance(found, click.Group):
                option = word.partition("=")[0]
                if option.startswith("--") or len(option) == 2:
                    assert option in known, f"{line}: {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link, _, heading in (m.partition("#") for m in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text())):
        target = (page.parent / link) if link else page
        assert target.exists(), f"{page.name}: {link}"
        if heading and target.suffix == ".md":
            heads = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in heads}, f"{link}#{heading}"


def test_the_readme_leads_to_every_page_of_the_docs() -> None:
    linked = set(re.findall(r"\]\(docs/([\w-]+\.md)", PAGES[0].read_text()))
    assert linked == EVERY_PAGE_THAT_IS_READ | {"events.md"}
