"""A writing process of the tests of the log: `python -m tests.contract.log_writer FILE NAME SEED BATCHES`."""

import os
import random
import sys
from pathlib import Path

from mlife.adapters.events_sqlite import SqliteEventStore
from mlife.core.ports import Append
from tests.contract.drafts import draft


def main(path: Path, name: str, seed: int, batches: int) -> None:
    """Append batches of random size; say each acknowledged event as `number position` on a line of its own."""
    store = SqliteEventStore(path)
    chance = random.Random(seed)
    number = 0
    os.write(1, b"ready\n")
    if sys.stdin.readline() == "":
        return
    for _ in range(batches):
        size = chance.choice((1, 1, 3, 20))
        drafts = [draft(f"{name}/{(number + n) % 7}", f"{name}-{number + n}", single=n % 2) for n in range(size)]
        done = store.append(Append(drafts, whole=chance.random() < 0.5))
        os.write(1, "".join(f"{number + n} {p}\n" for n, p in enumerate(done.positions)).encode())
        number += size
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
