"""Child processes of tests: real ones, so that they can really be killed."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def start(module: str, *words: object, **environment: str) -> "subprocess.Popen[str]":
    """`python -m tests.<module> *words*`, talking through pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.{module}", *map(str, words)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def finish(child: "subprocess.Popen[str]", timeout: float = 60) -> tuple[str, str]:
    """What *child* said, after its end."""
    out, err = child.communicate(timeout=timeout)
    assert child.returncode == 0, f"exit code {child.returncode}: {err}"
    return out, err


def hear(child: "subprocess.Popen[str]") -> str:
    """The next line that *child* says; empty when it has ended."""
    assert child.stdout is not None
    return child.stdout.readline().strip()


def tell(child: "subprocess.Popen[str]", line: str) -> None:
    """Give *child* a line to read."""
    assert child.stdin is not None
    child.stdin.write(line + "\n")
    child.stdin.flush()
