"""
Runs a command on a copy of the packages, laid out as the wheel lays them out.

In a checkout ``projections/`` and ``handlers/`` stand beside ``mlife/`` and are joined to it at run time. A linter and
a type checker only read files and cannot know that. In the copy the two are plain subpackages. File names in the
command's output are turned back into those of the checkout.

Usage: ``python tools/in_wheel_layout.py mypy mlife``
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
JOINED = ("projections", "handlers")
CACHES = shutil.ignore_patterns("__pycache__", "*.pyc")


def lay_out(target: Path) -> None:
    """Copy the packages and their configuration into the empty folder *target*; file times are kept for caches."""
    shutil.copytree(CHECKOUT / "mlife", target / "mlife", ignore=CACHES)
    for name in JOINED:
        shutil.copytree(CHECKOUT / name, target / "mlife" / name, ignore=CACHES)
    shutil.copy2(CHECKOUT / "pyproject.toml", target)


def in_checkout_names(line: str) -> str:
    """``mlife/handlers/data.py:3: error`` as ``handlers/data.py:3: error``."""
    return re.sub(rf"\bmlife/({'|'.join(JOINED)})/", r"\1/", line)


def main(command: list[str]) -> int:
    """Run *command* in the copy, print what it prints, and return its exit code."""
    with tempfile.TemporaryDirectory(prefix="mlife-layout-") as folder:
        lay_out(Path(folder))
        with subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            for line in process.stdout or ():
                print(in_checkout_names(line), end="", flush=True)
        return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
