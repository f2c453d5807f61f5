"""MLife's own processes of the cluster size, beside each other as on a server: relay, workers, pages."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.local.server import PATIENCE, Broken, leashed

ROLES = ("relay", "worker projections", "worker handlers", "worker intake")


class Program:
    """
    The processes, for a block; what each says is in `<folder>/<role>.log`.

    Args:
        told: the settings, `MLIFE_…`.
        roles: which processes, in words of the command line.
        pages: also `mlife up`, whose address is `address` then.
    """

    def __init__(
        self, told: Mapping[str, str], folder: Path, *, roles: tuple[str, ...] = ROLES, pages: bool = False
    ) -> None:
        self.told, self.folder, self.roles, self._pages = dict(told), folder, roles, pages
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.address = ""

    def mlife(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of MLife to its end."""
        return subprocess.run(
            [sys.executable, "-m", "mlife", *words],
            env={**os.environ, **self.told},
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self, role: str) -> "subprocess.Popen[bytes]":
        """Start one process, e.g. `worker projections`."""
        words = [sys.executable, "-m", "mlife", *role.split()]
        with self.log(role).open("ab") as log:
            process = subprocess.Popen(
                leashed(words), env={**os.environ, **self.told}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.processes[role] = process
        return process

    def log(self, role: str) -> Path:
        """What the process has said."""
        return self.folder / f"{role.replace(' ', '-')}.log"

    def __enter__(self) -> Self:
        mended = self.mlife("doctor", "--fix")
        if "Traceback" in mended.stderr:
            raise Broken("`mlife doctor --fix` failed", remedy=mended.stderr[-2000:])
        for role in self.roles:
            self.start(role)
        if self._pages:
            self.start("up --port 0")
            self.address = self._address()
        return self

    def _address(self) -> str:
        give_up = time.monotonic() + PATIENCE
        log = self.log("up --port 0")
        while time.monotonic() < give_up:
            if at := re.search(r"http://[\d.:]+", log.read_text(errors="replace")):
                return at[0]
            time.sleep(0.05)
        raise Broken("`mlife up` does not serve", remedy=log.read_text(errors="replace")[-2000:])

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
