"""Appends until the file may grow no further: `python -m tests.contract.small_disk FILE`; says how many, and why."""

import resource
import sys
from pathlib import Path

from mlife.adapters.events_sqlite import SqliteEventStore
from mlife.core.errors import HomeUnusable
from mlife.core.ports import Append
from tests.contract.drafts import draft


def main(path: Path) -> None:
    """A limit on the size of files is what a full disk is to a program."""
    store = SqliteEventStore(path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
    count = 0
    try:
        while count < 10_000:
            done = store.append(Append([draft("toy/1", str(count + n), data=b"x" * 500) for n in range(7)]))
            count += len(done.positions)
    except HomeUnusable as e:
        try:
            store.append(Append([draft("toy/1", str(count + n), data=b"x" * 50_000) for n in range(7)]))
        except HomeUnusable:
            sys.stdout.write(f"{count}\n{e}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
