"""A writing process of the tests of the log: `python -m tests.contract.log_writer WHERE NAME SEED BATCHES`."""

import os
import random
import sys
import time
from pathlib import Path

from mlife.adapters.events_postgres import PostgresEventStore
from mlife.adapters.events_sqlite import SqliteEventStore
from mlife.adapters.postgres import Postgres
from mlife.core.errors import Unavailable
from mlife.core.ports import Append, Appended, EventStore
from tests.contract.drafts import draft


def opened(where: str) -> EventStore:
    """The log at *where*: a file, or the URL of a PostgreSQL schema."""
    return PostgresEventStore(Postgres(where)) if where.startswith("postgresql://") else SqliteEventStore(Path(where))


def main(where: str, name: str, seed: int, batches: int) -> None:
    """
    Append batches of random size; say each acknowledged event as `number position` on a line of its own.

    What is refused in an outage is sent again until it is taken.
    """
    store = opened(where)
    chance = random.Random(seed)
    number = 0
    os.write(1, b"ready\n")
    if sys.stdin.readline() == "":
        return
    for _ in range(batches):
        size = chance.choice((1, 1, 3, 20))
        drafts = [draft(f"{name}/{(number + n) % 7}", f"{name}-{number + n}", single=n % 2) for n in range(size)]
        done = sent(store, Append(drafts, whole=chance.random() < 0.5))
        os.write(1, "".join(f"{number + n} {p}\n" for n, p in enumerate(done.positions)).encode())
        number += size
    store.close()


def sent(store: EventStore, append: Append) -> Appended:
    """The answer to *append*, however often it must be sent."""
    while True:
        try:
            return store.append(append)
        except Unavailable:
            time.sleep(0.02)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
