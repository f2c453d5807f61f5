"""MLife's own processes of the cluster size, beside each other as on a server: relay, workers, pages."""

import json
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

from infra.local.server import PATIENCE, Broken, leashed, spawned

ROLES = ("relay", "worker projections", "worker handlers", "worker intake")
PAGES = "up --port 0"
NEEDED = ("database", "kafka", "topic", "topics", "files")
"""What `mlife doctor` must find well before the processes start; that they do not run is no news."""


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
        """Start one process, e.g. `worker projections`; it is killed when we die."""
        words = [sys.executable, "-m", "mlife", *role.split()]
        with self.log(role).open("ab") as log:
            process = spawned(
                leashed(words),
                env={**os.environ, **self.told},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches us alone, and we stop them in order
            )
        self.processes[role] = process
        return process

    def log(self, role: str) -> Path:
        """What the process has said."""
        return self.folder / f"{role.replace(' ', '-')}.log"

    def ended(self) -> dict[str, str]:
        """Role → the end of its log, of each process that is not there any more."""
        return {
            role: self.log(role).read_text(errors="replace")[-2000:]
            for role, process in self.processes.items()
            if process.poll() is not None
        }

    def stop(self) -> None:
        """Ask all to end, and wait; who does not is killed."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __enter__(self) -> Self:
        self._prepare()
        try:
            for role in self.roles:
                self.start(role)
            if self._pages:
                self.start(PAGES)
                self.address = self._address()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def _prepare(self) -> None:
        """Make topics and bucket."""
        mended = self.mlife("doctor", "--fix", "--json")
        found = [json.loads(line) for line in mended.stdout.splitlines() if line.startswith("{")]
        wrong = [f for f in found if f["state"] == "wrong" and f["what"].split()[0] in NEEDED]
        if wrong or not found:
            said = "\n".join(f"{f['what']}: {f['found']}: {f['do']}" for f in wrong) or mended.stderr[-2000:]
            raise Broken("`mlife doctor --fix` did not mend everything", remedy=said)

    def _address(self) -> str:
        give_up = time.monotonic() + PATIENCE
        log = self.log(PAGES)
        while time.monotonic() < give_up and self.processes[PAGES].poll() is None:
            if at := re.search(r"http://[\d.:]+", log.read_text(errors="replace")):
                return at[0]
            time.sleep(0.05)
        raise Broken("`mlife up` does not serve", remedy=log.read_text(errors="replace")[-2000:])
