"""The command line under bad input: one clear sentence, exit status 1, and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlife.cli.terminal import show
from tests.e2e.conftest import ROOT


def ran(home: Path, *words: str | bytes) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "mlife", *map(os.fsdecode, words), "--home", str(home)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("badcase", "show", b"\xff\xfe"), "no valid text"),
        (("document", "show", b"doc-\xff"), "no valid text"),
        (("event", "tail", "--after", "9" * 30), "64 bits"),
        (("task", "show", "a\x1b[31m\u202eb"), r"there is no task a\x1b[31m\u202eb"),
        (("model", "add", "/dev/zero"), "zero is no file"),
        (("file", "put", "/dev/zero"), "zero is no file"),
    ],
    ids=["no UTF-8", "no UTF-8 in a row", "64 bits", "an escape", "a device as model", "a device as file"],
)
def test_what_cant_be_asked_is_said_in_a_sentence(tmp_path: Path, words: tuple[str | bytes, ...], said: str) -> None:
    done = ran(tmp_path / "home", *words)

    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.replace("\n", "").isprintable()


def test_what_a_terminal_would_obey_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    show([{"title": "a\x1b[31mred \u202egnp.exe \x9b1m"}], as_json=False)

    assert r"a\x1b[31mred \u202egnp.exe \x9b1m" in capsys.readouterr().out
