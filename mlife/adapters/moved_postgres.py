"""The sign on the door of a log on PostgreSQL: one row beside the events, and a trigger that refuses new ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from psycopg import sql

from mlife.adapters.postgres import Connection, Postgres
from mlife.core.moving import Sign

VERSION: Final = 1

TABLE: Final = """
CREATE TABLE moving (
    one smallint PRIMARY KEY CHECK (one = 1), state text COLLATE "C" NOT NULL, place text COLLATE "C" NOT NULL
)
"""

CLOSED: Final = """
CREATE OR REPLACE FUNCTION {schema}.events_were_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'this log was moved to %: it takes no events any more', (SELECT place FROM {schema}.moving)
        USING ERRCODE = 'read_only_sql_transaction';
END $$;
CREATE TRIGGER events_were_moved BEFORE INSERT ON {schema}.events
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.events_were_moved();
ALTER TABLE {schema}.events ENABLE ALWAYS TRIGGER events_were_moved;
"""
OPENED: Final = "DROP TRIGGER IF EXISTS events_were_moved ON {schema}.events"


class PostgresSignpost:
    """`Signpost` of the log in the schema of *postgres*."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def read(self) -> Sign | None:
        """See `Signpost.read`."""
        with self._postgres.lent() as db:
            made = db.execute("SELECT to_regclass(quote_ident(%s) || '.moving')", (self._postgres.schema,)).fetchone()
            if made is None or made[0] is None:
                return None
            row = db.execute("SELECT state, place FROM moving").fetchone()
            return Sign(*row) if row else None

    def put(self, sign: Sign) -> None:
        """See `Signpost.put`. The trigger is part of the table: every process meets it at once."""
        with self._changing() as db:
            db.execute("INSERT INTO moving VALUES (1, %s, %s)", (sign.state, sign.place))
            if sign.state == "moved":
                db.execute(self._told(CLOSED))

    def take_down(self) -> None:
        """See `Signpost.take_down`."""
        with self._changing():
            pass

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        """One transaction that begins without a sign."""
        self._postgres.ensure("moving", VERSION, TABLE)
        with self._postgres.lent() as db, db.transaction():
            db.execute("DELETE FROM moving")
            db.execute(self._told(OPENED))
            yield db

    def _told(self, statement: str) -> sql.Composed:
        return sql.SQL(statement).format(schema=sql.Identifier(self._postgres.schema))
