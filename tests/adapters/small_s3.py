"""An S3 server on a disk of its own that is small, and can be filled and freed while it runs."""

import errno
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.components import S3

MEGABYTES = 64
"""MinIO takes no smaller one."""


def can_mount() -> bool:
    """Whether somebody without rights may mount a file system for processes of his own."""
    unshare = shutil.which("unshare")
    done = unshare and subprocess.run([unshare, "-rm", "true"], check=False, capture_output=True)
    return bool(done) and done.returncode == 0


class SmallS3(S3):
    """The S3 server of this run, with its data on a memory disk of `MEGABYTES`, which a stop forgets."""

    def _spawn(self, command: Any, user: str | None = None, **environment: str) -> Any:
        mounted = f'mount -t tmpfs -o size={MEGABYTES}m none "{self.data}" && exec setpriv --pdeathsig KILL -- "$@"'
        return super()._spawn(["unshare", "-rm", "sh", "-c", mounted, "sh", *command], user, **environment)

    @property
    def _filler(self) -> Path:
        return Path(f"/proc/{self.pid}/root{self.data}/filler")

    def fill(self) -> None:
        """Leave no room."""
        filler = os.open(self._filler, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            while True:
                os.write(filler, bytes(4096))
        except OSError as full:
            if full.errno != errno.ENOSPC:
                raise
        finally:
            os.close(filler)

    def free(self) -> None:
        """Give the room back."""
        self._filler.unlink()
