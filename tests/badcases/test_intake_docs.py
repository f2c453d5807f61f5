"""docs/intake.md says what is so: its examples are run in order, in one home, against a real server."""

from __future__ import annotations

import re
import shlex
import socket
import threading
import time
from pathlib import Path

import pytest
import uvicorn
from click.testing import CliRunner

from mlife.badcases.intake.schema import TYPES
from mlife.badcases.intake.spreadsheet import COLUMNS
from mlife.badcases.intake.typed import TYPES as ANNOTATIONS
from mlife.cli import root
from mlife.runtime import open_home, settings
from mlife.server import make_app
from tests.sdk.spooling import report as device_report

PAGE = (Path(__file__).parents[2] / "docs" / "intake.md").read_text()
URL = "http://127.0.0.1:8000"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_names_all_columns_and_types() -> None:
    for name in (*COLUMNS, *TYPES, *ANNOTATIONS):
        assert f"`{name}`" in PAGE, name


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLIFE_HOME", str(tmp_path / "home"))
    (fields,), (table,), (code,) = blocks("json"), blocks("csv"), blocks("python")
    (tmp_path / "fields.json").write_text(fields)
    (tmp_path / "failures.csv").write_text(table)
    (tmp_path / "labels.csv").write_text("report_id,client,truth\nr1,fleet-7,angry\n")
    from mlife.sdk import Spool

    with Spool(tmp_path / "DEVICE") as spool:
        spool.report(device_report(1))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with open_home(settings()) as home:
        server = uvicorn.Server(uvicorn.Config(make_app(home), port=int(url.rpartition(":")[2]), log_level="error"))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            exec(code.replace(URL, url).replace("/var/lib/cam/mlife", str(tmp_path / "spool")), {})
            told = [run(line.replace(URL, url)) for line in "".join(blocks("console")).splitlines()]
        finally:
            server.should_exit = True
            thread.join()
    assert [code for code, _ in told] == [0, 0, 0, 1, 0]
    spooled, _, _, looked, corrected = (text for _, text in told)
    assert "1 new, 0 known, 0 refused" in spooled
    assert "1 new, 0 known, 1 refused" in looked
    assert "fields.speed" in looked
    assert "1 corrected" in corrected


def run(line: str) -> tuple[int, str]:
    """A line of a console, in this process."""
    assert line.startswith("$ mlife ")
    done = CliRunner().invoke(root, shlex.split(line)[2:])
    return done.exit_code, done.output


def test_a_table_of_which_nothing_can_be_read_says_how_to_name_its_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLIFE_HOME", str(tmp_path / "home"))
    table = tmp_path / "theirs.csv"
    table.write_text("Seen,Said\n2026-11-24T03:00:00Z,K\n")
    status, told = run(f"$ mlife badcase report {table} --preview")
    assert (status, "--column 'Seen at=observed_at'" in told) == (1, True)
    assert "leave out --preview" not in told
