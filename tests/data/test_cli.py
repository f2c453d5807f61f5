"""Data on the command line: tables for people, JSON for machines, exit codes for scripts."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mlife.cli.document import command as document
from mlife.cli.file import command as file
from mlife.cli.group import command as group
from mlife.cli.request import command as request
from mlife.core.errors import Invalid, Refused
from tests.data.conftest import picture, row


def run(home: Path, command: Any, *args: str, fails: type[Exception] | None = None, input: str | None = None) -> Result:
    result = CliRunner().invoke(command, [*args, "--home", str(home)], input=input)
    if fails is None:
        assert result.exit_code == 0, (result.output, result.exception)
    else:
        assert isinstance(result.exception, fails), (result.output, result.exception)
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pictures, two of them in a folder below, and labels.csv over them with one bad row."""
    pictures = tmp_path / "pictures"
    (pictures / "deep").mkdir(parents=True)
    lines = ["path,md5,annotation,lux"]
    for n in range(6):
        path = f"deep/{n}.png" if n % 3 == 0 else f"{n}.png"
        (pictures / path).write_bytes(picture(n))
        lines.append(f"{path},{row(picture(n))['md5']},{n % 2},{n}")
    (tmp_path / "labels.csv").write_text("\n".join([*lines, "7.png,none,1,7"]) + "\n")
    return tmp_path


@pytest.fixture
def imported(folder: Path) -> str:
    args = ("import", str(folder / "labels.csv"), "--files", str(folder / "pictures"))
    run(folder / "home", document, *args, fails=Invalid)
    return str(json.loads(run(folder / "home", document, "list", "--json").output)["document_id"])


def test_a_folder_is_put_and_put_again(folder: Path) -> None:
    first = run(folder / "home", file, "put", str(folder / "pictures"))
    again = json.loads(run(folder / "home", file, "put", str(folder / "pictures"), "--json").output)

    assert "6 files stored, 0 were here already" in first.output
    assert (again["accepted"], again["known"]) == (0, 6)


def test_a_refused_row_is_named_and_the_others_are_in(folder: Path, imported: str) -> None:
    again = run(folder / "home", document, "import", str(folder / "labels.csv"), fails=Invalid)
    shown = json.loads(run(folder / "home", document, "show", imported, "--json").output)

    assert isinstance(again.exception, Invalid)
    assert [(r.line, r.field, r.value) for r in again.exception.refusals] == [(8, "md5", "none")]
    assert (shown["rows"], shown["matching"]) == (6, 6)


def test_standard_input_needs_a_form(folder: Path) -> None:
    refused = CliRunner().invoke(document, ["import", "-", "--home", str(folder / "home")], input="x")
    taken = run(folder / "home", document, "import", "-", "--form", "ndjson", input=json.dumps(row(b"a")))

    assert refused.exit_code == 2
    assert "1 rows imported, 1 without bytes" in taken.output


def test_rows_are_analysed_grouped_shown_and_exported(folder: Path, imported: str) -> None:
    home = folder / "home"
    counts = json.loads(run(home, document, "analyse", imported, "-q", "lux>=2", "--json").output)
    made = json.loads(
        run(
            home, document, "group", imported, "--name", "odd", "--purpose", "training", "-q", "class:1", "--json"
        ).output
    )
    run(home, document, "group", imported, "--name", "t", "--purpose", "testing", fails=Refused)
    rest = run(home, document, "group", imported, "--name", "t", "--purpose", "testing", "--without-leaks").output
    out = folder / "out.xml"
    run(home, document, "export", imported, "-o", str(out))

    assert counts["classes"] == {"0": 2, "1": 2}
    assert (made["rows"], made["purpose"]) == (3, "training")
    assert "3 rows for testing, 3 left out by the leakage guard" in rest
    assert made["digest"] in run(home, group, "show", made["group_id"]).output
    assert "odd" in run(home, group, "list", "purpose:training").output
    assert out.read_bytes().startswith(b"<?xml")
    assert [p.name for p in folder.iterdir() if "part" in p.name] == []


def test_rows_are_removed_by_query(folder: Path, imported: str) -> None:
    home = folder / "home"

    removed = run(home, document, "remove-rows", imported, "-q", "class:0", "--reason", "blurred").output

    assert "3 rows removed" in removed
    exported = run(home, document, "export", imported, "--form", "ndjson").output
    assert [json.loads(line)["annotation"] for line in exported.splitlines()] == ["1", "1", "1"]


def test_a_request_is_opened_listed_and_closed(folder: Path) -> None:
    home = folder / "home"
    asked = ("open", "--system", "dms", "--function", "digit", "--what", "nines", "--wanted", "9=40", "--json")
    request_id = json.loads(run(home, request, *asked).output)["request_id"]

    assert json.loads(run(home, request, "list", "state:open", "--json").output)["still_wanted"] == {"9": 40}
    assert "given up" in run(home, request, "close", request_id, "--given-up", "--note", "no budget").output
    assert "was closed already" in run(home, request, "close", request_id).output


def test_a_script_sees_exit_codes(folder: Path) -> None:
    def exit_code(*args: str) -> int:
        command = [sys.executable, "-m", "mlife", *args, "--home", str(folder / "home")]
        return subprocess.run(command, capture_output=True, check=False).returncode

    assert exit_code("document", "import", str(folder / "labels.csv")) == 1
    assert exit_code("document", "list") == 0
    assert exit_code("document", "group") == 2
