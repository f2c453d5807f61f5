"""Opens a home's log as somebody who may only read it: `python -m tests.contract.read_only FOLDER`."""

import os
import sys
from pathlib import Path

from mlife.adapters.events_sqlite import SqliteEventStore
from mlife.core.errors import MLifeError


def main(folder: Path) -> None:
    """Root may write anything, so it turns into nobody first."""
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    else:
        for path in (folder, *folder.iterdir()):
            path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        SqliteEventStore(folder / "log.db")
    except MLifeError as e:
        sys.stdout.write(f"{e.status} {e}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
