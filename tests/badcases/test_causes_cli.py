"""Causes, comments and undo on the command line: words for people, JSON for machines, refusals that end with 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from mlife.badcases.intake.taking import Intake
from mlife.cli.badcase import command as badcase
from mlife.cli.cause import command as cause
from mlife.cli.iteration import command as iteration
from mlife.core.errors import Refused
from mlife.runtime import open_home, settings
from tests.badcases.conftest import report

NINE, SEVEN = "9 read as 4", "7 read as 1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A home with two badcases."""
    with open_home(settings(tmp_path / "home", config=tmp_path / "no.toml")) as home:
        answer = Intake(home.ports.store, home.sealer).reports([report("9", "4"), report("7", "1", picture=2)])
        home.see(answer.position)
    return tmp_path / "home"


def run(folder: Path, command: Any, *args: str) -> str:
    result = CliRunner().invoke(command, [*args, "--home", str(folder)])
    assert result.exit_code == 0, (result.output, result.exception)
    return str(result.output)


def told(folder: Path, command: Any, *args: str) -> Any:
    return orjson.loads(run(folder, command, *args, "--json").splitlines()[-1])


def ids(folder: Path) -> dict[str, str]:
    """Title → id."""
    rows = [orjson.loads(line) for line in run(folder, badcase, "list", "--json").splitlines()]
    return {row["title"]: row["badcase_id"] for row in rows}


def test_a_cause_is_made_changed_and_taken_back_in_the_terminal(folder: Path) -> None:
    bc = ids(folder)
    a = told(folder, cause, "name", "open tops", "--badcase", bc[NINE])["cause_id"]
    b = told(folder, cause, "name", "slanted", "--badcase", bc[SEVEN])["cause_id"]
    assert "is called thin" in run(folder, cause, "rename", a, "thin")
    assert told(folder, cause, "extend", a, "--badcase", bc[SEVEN])["added"] == 1
    assert told(folder, cause, "reduce", a, bc[SEVEN])["removed"] == 1
    wanted = ("--collect", "thin strokes", "--wanted", "9=40", "--wanted", "4=40")
    assert told(folder, cause, "remedy", a, "collect", *wanted)["changed"] is True
    assert told(folder, cause, "remedy", a, "collect", *wanted)["changed"] is False
    for verb, at in (("name", "x"), ("extend", a)):
        refused = CliRunner().invoke(cause, [verb, at, "--badcase", "bc-none", "--home", str(folder)])
        assert "there is no badcase bc-none" in str(refused.exception)
    run(folder, cause, "merge", a, b)
    assert "merged is taken back" in run(folder, cause, "undo", a)
    run(folder, cause, "delete", a, "--reason", "none")
    assert [c["title"] for c in map(orjson.loads, run(folder, cause, "list", "--json").splitlines())] == ["slanted"]
    run(folder, cause, "reopen", a)
    listed = {c["cause_id"]: c for c in map(orjson.loads, run(folder, cause, "list", "--json").splitlines())}
    assert (listed[a]["title"], listed[a]["badcases"], listed[a]["wanted"]) == ("thin", 1, {"9": 40, "4": 40})
    assert "nothing is proposed" in run(folder, cause, "propose")
    dismissed = told(folder, cause, "dismiss", "client", "x", "--system", "digits", "--function", "digit")
    assert told(folder, cause, "restore", dismissed["proposal_id"])["changed"] is True


def test_a_badcase_is_commented_on_and_an_action_is_taken_back(folder: Path) -> None:
    nine = ids(folder)[NINE]
    comment_id = told(folder, badcase, "comment", nine, "wet lenses")["comment_id"]
    run(folder, badcase, "comment", nine, "wet lenses only", "--edit", comment_id)
    assert "wet lenses only" in run(folder, badcase, "comment", nine)
    run(folder, badcase, "comment", nine, "--delete", comment_id)
    assert "nobody has said anything" in run(folder, badcase, "comment", nine)

    run(folder, badcase, "assign", nine, "ana")
    assert told(folder, badcase, "undo", nine)["what"] == "assigned"
    refused = CliRunner().invoke(badcase, ["undo", nine, "--home", str(folder)])
    assert isinstance(refused.exception, Refused)
    shown = run(folder, badcase, "show", nine)
    assert "by the formula: frequency" in shown


def test_an_iteration_says_what_its_query_was(folder: Path) -> None:
    opened = told(folder, iteration, "open", "turn", "--query", "truth:9")
    shown = told(folder, iteration, "show", opened["iteration_id"])

    assert (shown["query"], shown["joined"], shown["left"]) == ("truth:9", [], [])
    assert "frozen from truth:9" in run(folder, iteration, "show", opened["iteration_id"])
