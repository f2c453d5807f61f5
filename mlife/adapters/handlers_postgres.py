"""
Handlers' book-keeping on PostgreSQL, in tables of its own.

They are no query tables: whoever drops those to have them made anew must not have every handler act over its past.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from mlife.adapters.postgres import Connection, Postgres
from mlife.core.handler import DeadLetter

SCHEMA: Final = """
CREATE TABLE handler_checkpoints (handler text COLLATE "C" PRIMARY KEY, position bigint NOT NULL);
CREATE TABLE handler_attempts (
    handler text COLLATE "C" NOT NULL, position bigint NOT NULL, attempts bigint NOT NULL,
    PRIMARY KEY (handler, position)
);
CREATE TABLE dead_letters (
    handler text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, position bigint NOT NULL,
    attempts bigint NOT NULL, error text COLLATE "C" NOT NULL, retry boolean NOT NULL DEFAULT false,
    PRIMARY KEY (handler, position)
);
CREATE INDEX dead_letters_key ON dead_letters (handler, key, position)
"""

MOVE: Final = """
INSERT INTO handler_checkpoints SELECT * FROM unnest(%s::text[], %s::bigint[])
ON CONFLICT (handler) DO UPDATE SET position = greatest(handler_checkpoints.position, excluded.position)
"""
"""Never backwards: of two processes that move it, one may be late."""

FORGET: Final = """
DELETE FROM handler_attempts AS a USING unnest(%s::text[], %s::bigint[]) AS moved(handler, position)
WHERE a.handler = moved.handler AND a.position <= moved.position AND NOT EXISTS (
    SELECT FROM dead_letters d WHERE d.handler = a.handler AND d.position = a.position
)
"""
"""Attempts at a parked fact stay: a retry that kills the process is counted, however far the others are."""

ATTEMPT: Final = """
INSERT INTO handler_attempts VALUES (%s, %s, %s)
ON CONFLICT (handler, position) DO UPDATE SET attempts = handler_attempts.attempts + excluded.attempts
RETURNING attempts
"""

PARK: Final = """
INSERT INTO dead_letters VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (handler, position) DO UPDATE
SET key = excluded.key, attempts = excluded.attempts, error = excluded.error, retry = false
"""

DUE: Final = """
SELECT handler, key FROM dead_letters d WHERE retry OR (attempts = 0 AND NOT EXISTS (
    SELECT FROM dead_letters e WHERE e.handler = d.handler AND e.key = d.key AND e.position < d.position
))
GROUP BY handler, key ORDER BY min(position)
"""
"""Of each key: was a retry asked for, or has the first letter never been tried (what it waited for is gone)?"""


class PostgresHandlerBook:
    """`HandlerBook` in the schema of *postgres*."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        postgres.ensure("handlers", 1, SCHEMA)

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._postgres.lent() as db:
            return db.execute(sql.encode(), values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """
        One transaction in one round trip.

        A last commit that a crash of the server loses is harmless: checkpoints and letters are lost from the end, and
        facts are handled again. So nobody waits for the disk.
        """
        with self._postgres.lent() as db, db.pipeline(), db.transaction():
            db.execute("SET LOCAL synchronous_commit = off")
            yield db

    def positions(self) -> dict[str, int]:
        """See `HandlerBook.positions`."""
        return dict(self._rows("SELECT handler, position FROM handler_checkpoints"))

    def move(self, positions: dict[str, int]) -> None:
        """See `HandlerBook.move`."""
        moved = sorted(positions.items())  # in one order, or two processes could wait for each other
        columns = ([handler for handler, _ in moved], [position for _, position in moved])
        with self._writing() as db:
            db.execute(MOVE, columns)
            db.execute(FORGET, columns)

    def attempt(self, handler: str, position: int, change: int = 1) -> int:
        """See `HandlerBook.attempt`."""
        with self._writing() as db:
            made = db.execute(ATTEMPT, (handler, position, change))
        row = made.fetchone()
        assert row is not None
        return int(row[0])

    def park(self, letter: DeadLetter) -> None:
        """See `HandlerBook.park`."""
        values = (letter.handler, letter.key, letter.position, letter.attempts, letter.error)
        with self._writing() as db:
            if not letter.attempts:
                db.execute("INSERT INTO dead_letters VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING", values)
                return
            db.execute(PARK, values)
            db.execute(
                "UPDATE dead_letters SET retry = false WHERE handler = %s AND key = %s AND retry",
                (letter.handler, letter.key),
            )

    def letters(self, handler: str = "", key: str | None = None) -> list[DeadLetter]:
        """See `HandlerBook.letters`."""
        rows = self._rows(
            "SELECT handler, key, position, attempts, error, retry FROM dead_letters "
            "WHERE (%s::text = '' OR handler = %s) AND key = coalesce(%s::text, key) ORDER BY position, handler",
            (handler, handler, key),
        )
        return [DeadLetter(*row) for row in rows]

    def due(self) -> list[tuple[str, str]]:
        """See `HandlerBook.due`."""
        return [(handler, key) for handler, key in self._rows(DUE)]

    def parked_keys(self, handler: str) -> set[str]:
        """See `HandlerBook.parked_keys`."""
        return {key for (key,) in self._rows("SELECT DISTINCT key FROM dead_letters WHERE handler = %s", (handler,))}

    def ask_retry(self, handler: str, key: str) -> int:
        """See `HandlerBook.ask_retry`."""
        with self._writing() as db:
            db.execute(
                "DELETE FROM handler_attempts AS a USING dead_letters AS d "
                "WHERE d.handler = %s AND d.key = %s AND a.handler = d.handler AND a.position = d.position",
                (handler, key),
            )
            marked = db.execute("UPDATE dead_letters SET retry = true WHERE handler = %s AND key = %s", (handler, key))
        return marked.rowcount

    def unpark(self, handler: str, position: int) -> None:
        """See `HandlerBook.unpark`."""
        with self._writing() as db:
            db.execute("DELETE FROM dead_letters WHERE handler = %s AND position = %s", (handler, position))
            db.execute("DELETE FROM handler_attempts WHERE handler = %s AND position = %s", (handler, position))

    def close(self) -> None:
        """Nothing of its own is open."""
