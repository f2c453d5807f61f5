"""`mlife badcase merge|unmerge|split|rejoin|why|rule`, as somebody types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mlife.badcases import commands
from mlife.cli import root
from mlife.core.errors import Refused
from mlife.runtime import open_home, settings
from tests.badcases.conftest import report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A home with 9 and 7 read as 4."""
    sent = [report("9", picture=n, client=f"c{n}") for n in range(3)] + [report("7", picture=n) for n in range(2)]
    (tmp_path / "sent.ndjson").write_text("\n".join(map(json.dumps, sent)))
    said(tmp_path, "report", str(tmp_path / "sent.ndjson"))
    return tmp_path


def said(folder: Path, *words: str) -> Any:
    """What a command tells a program."""
    told = CliRunner().invoke(
        root, ["badcase", *words, "--home", str(folder / "home"), "--json"], catch_exceptions=False
    )
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    return lines if words[0] == "list" else lines[0]


def ids(folder: Path) -> dict[str, str]:
    return {b["title"]: b["badcase_id"] for b in said(folder, "list")}


def test_a_merge_is_made_explained_and_taken_back(folder: Path) -> None:
    at = ids(folder)
    nine, seven = at["9 read as 4"], at["7 read as 4"]
    assert said(folder, "merge", seven, nine)["into"] == nine
    why = said(folder, "why", seven)
    assert (why["badcase_id"], why["reports"], why["pictures"]) == (nine, 5, 3)
    assert [(p["how"], p["reports"]) for p in why["parts"]] == [("fingerprint", 3), ("merged", 2)]
    with pytest.raises(Refused, match="is merged into"):
        said(folder, "triage", seven)

    said(folder, "unmerge", seven)
    assert said(folder, "why", seven)["reports"] == 2


def test_a_split_is_made_taken_back_and_made_again(folder: Path) -> None:
    nine = ids(folder)["9 read as 4"]
    new = said(folder, "split", nine, "--title", "two fleets", "--query", "client:c1,c2")
    assert new["reports"] == 2
    assert said(folder, "why", new["badcase_id"])["reports"] == 2
    said(folder, "rejoin", new["badcase_id"])
    assert said(folder, "why", new["badcase_id"])["badcase_id"] == nine
    said(folder, "rejoin", new["badcase_id"], "--again")
    assert said(folder, "why", new["badcase_id"])["reports"] == 2


def test_a_rule_is_looked_at_chosen_applied_and_undone(folder: Path) -> None:
    fields = [report("9", picture=f"t{n}", fields={"place": "tunnel"}) for n in range(2)]
    (folder / "more.ndjson").write_text("\n".join(map(json.dumps, fields)))
    said(folder, "report", str(folder / "more.ndjson"))
    with open_home(settings(folder / "home", config=folder / "no.toml")) as home:
        home.do(commands.describe_function, system="digits", function="digit", fields=[{"name": "place"}])
    assert said(folder, "rule", "digits", "digit", "--field", "place")["effect"]["moved"] == 2
    said(folder, "rule", "digits", "digit", "--field", "place", "--choose")
    (application_id,) = said(folder, "rule", "digits", "digit", "--apply")["applied"]
    assert "9 read as 4, tunnel" in ids(folder)
    assert said(folder, "rule", "digits", "digit", "--apply")["applied"] == []

    said(folder, "rule", "digits", "digit", "--undo", application_id)
    assert "9 read as 4, tunnel" not in ids(folder)


def test_steps_of_a_rule_that_exclude_each_other_and_functions_that_are_not_there_are_refused(folder: Path) -> None:
    at = ["badcase", "rule", "digits", "--home", str(folder / "home")]
    assert CliRunner().invoke(root, [*at, "digit", "--field", "place", "--apply"]).exit_code == 2
    unknown = CliRunner().invoke(root, [*at, "nobody"])
    assert unknown.exit_code == 1
    assert "there is no function nobody" in str(unknown.exception)
