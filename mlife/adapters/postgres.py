"""PostgreSQL as MLife uses it: connections, a pool of them, advisory locks' numbers, first use by several processes."""

from __future__ import annotations

import hashlib
import os
import re
import select
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict

from mlife.adapters.postgres_faults import explained, translated
from mlife.core.errors import Misconfigured, Unavailable, without_secrets

__all__ = ["Connection", "Postgres", "explained", "translated"]

Connection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"

OLDEST: Final = 14
"""The oldest major version that MLife is tested with."""

DEFAULTS: Final = {
    "connect_timeout": "5",
    "application_name": "mlife",
    # a server that is gone without a word is noticed after some 20 seconds, also in the middle of a statement
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "2",
    "tcp_user_timeout": "20000",
}
"""What the URL does not say; it may say otherwise."""

_HOST: Final = r"(?:\[[^\]@/?#]*\]|[^@:/?#,\[\]]*)(?::\d*)?"
_READABLE: Final = re.compile(
    rf"postgres(?:ql)?://(?:[^@:/?#]*(?::[^@/?#]*)?@)?{_HOST}(?:,{_HOST})*(?:[/?].*)?", re.DOTALL
)
"""A URL in which libpq sees the same user, secret and hosts as people do."""

SESSION: Final = """
SET client_encoding = 'UTF8';
SET timezone = 'UTC';
SET tcp_keepalives_idle = 10;
SET tcp_keepalives_interval = 5;
SET tcp_keepalives_count = 2;
SET idle_session_timeout = 0;
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
"""
"""
The server must notice too: a lock of a client that is gone without a word would be held for hours. And what is
acknowledged must be on the disk, whatever the role's settings say.
"""

IDLE: Final = 8
"""Connections that are kept for the next one who needs one."""

PATIENCE: Final = 10.0
"""Seconds that one who needs a connection waits while all are lent."""

SCHEMA_TABLE: Final = """
CREATE TABLE IF NOT EXISTS mlife_schema (
    name text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL
)
"""


class Postgres:
    """
    One database, and the schema of it that comes first on the search path.

    Any thread may use it. `shown` is the URL as people may see it, `schema` the schema's name.

    Args:
        url: `postgresql://user:secret@host:port/database?…`, with whatever parameters libpq knows (TLS, `options`).
        size: connections that may be lent at once; who needs another waits.

    Raises:
        Misconfigured: the URL, the user, the database, the schema or the server's version is not what it must be.
        Unavailable: the server can't be reached now.
    """

    def __init__(self, url: str, *, size: int = 20) -> None:
        self.shown = without_secrets(url)
        self._pid = os.getpid()
        self._url = self._completed(url)
        self._idle: list[Connection] = []
        self._places = threading.BoundedSemaphore(size)
        self._size = size
        self._closed = threading.Event()
        self.schema = ""
        try:
            with self.lent() as db:
                self.schema = self._looked_at(db)
        except BaseException:
            self.close()
            raise

    def _completed(self, url: str) -> dict[str, Any]:
        if not _READABLE.fullmatch(url):  # libpq would take a part of the secret for a host or a port, and repeat it
            raise Misconfigured(
                f"{self.shown} can't be read: a special character stands in user or secret, or a port is no number",
                remedy="write postgresql://user:secret@host:port/database, special characters as %XX (@ is %40)",
            )
        try:
            return {**DEFAULTS, **conninfo_to_dict(url)}
        except psycopg.ProgrammingError as fault:
            # what libpq says of a wrong % repeats the password
            said = "a % in it stands for nothing" if "percent-encoded" in str(fault) else without_secrets(str(fault))
            raise Misconfigured(
                f"{self.shown} can't be read as the URL of a PostgreSQL database ({said.strip()})",
                remedy="write postgresql://user:secret@host:port/database, special characters as %XX",
            ) from None

    def _looked_at(self, db: Connection) -> str:
        """The schema that tables are made in, once the database has been found to be fit."""
        row = db.execute("SELECT current_schema(), current_setting('server_encoding')").fetchone()
        assert row is not None
        schema, encoding = row
        if encoding != "UTF8":
            raise Misconfigured(
                f"the database of {self.shown} keeps text as {encoding}",
                remedy="make one with ENCODING 'UTF8' TEMPLATE template0",
            )
        if schema is None:
            raise Misconfigured(
                f"{self.shown} names a search_path of which no schema exists",
                remedy="CREATE SCHEMA first, or leave the search_path out of the URL",
            )
        return str(schema)

    # --- connections ---

    def connect(self, *, autocommit: bool = True) -> Connection:
        """
        A connection of the caller's own, which the caller closes; rows are plain tuples.

        Raises:
            Misconfigured, Unavailable: see `Postgres`.
        """
        if os.getpid() != self._pid:
            raise Unavailable(
                f"{self.shown} was opened before this process was forked", remedy="open the home in the child"
            )
        with translated(self.shown):
            db = psycopg.connect(**self._url, autocommit=True)
            try:
                if db.info.server_version < OLDEST * 10_000:
                    raise Misconfigured(
                        f"{self.shown} is PostgreSQL {db.info.server_version // 10_000}",
                        remedy=f"MLife needs {OLDEST} or newer: upgrade the server",
                    )
                db.execute(SESSION)
                db.autocommit = autocommit
            except BaseException:
                db.close()
                raise
        return db

    @contextmanager
    def lent(self) -> Iterator[Connection]:
        """A connection in autocommit mode for the block. An outage is told in words; others' errors pass."""
        if self._closed.is_set():
            raise Unavailable("the home is closed", remedy="open it again")
        if not self._places.acquire(timeout=PATIENCE):
            raise Unavailable(f"all {self._size} connections to {self.shown} are in use", remedy="try again")
        try:
            db = self._taken()
            try:
                with translated(self.shown):
                    yield db
            finally:
                self._take_back(db)
        finally:
            self._places.release()

    def _taken(self) -> Connection:
        while True:
            try:
                db = self._idle.pop()
            except IndexError:
                return self.connect()
            if _is_quiet(db):
                return db
            db.close()

    def _take_back(self, db: Connection) -> None:
        fit = not db.closed and db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        if not fit or self._closed.is_set() or len(self._idle) >= IDLE:
            db.close()
        else:
            self._idle.append(db)

    def close(self) -> None:
        """Close the connections that are idle now; those that are lent follow when they come back."""
        self._closed.set()
        while self._idle:
            self._idle.pop().close()

    # --- what a schema holds ---

    def number(self, name: str) -> int:
        """The advisory lock (63 bits) of *name* in this schema; those of another schema are others."""
        digest = hashlib.sha256(f"mlife\0{self.schema}\0{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    def ensure(self, name: str, version: int, ddl: str, *, upgrades: Mapping[int, str] | None = None) -> None:
        """
        Make the tables of *name*, once, whoever comes first.

        Args:
            name: of this set of tables, e.g. `log`.
            version: of the tables, from 1; kept in the table `mlife_schema`.
            ddl: makes them as they are in *version*.
            upgrades: version → what leads to it from the version before.

        Raises:
            Misconfigured: a newer MLife has made them, no upgrade leads here, or the user may not make tables.
        """
        with self.lent() as db:
            if self._version(db, name) == version:
                return
            with db.transaction():
                db.execute("SELECT pg_advisory_xact_lock(%s)", (self.number("schema"),))
                db.execute(SCHEMA_TABLE)
                stored = self._version(db, name)
                if stored is None:
                    db.execute(ddl.encode())
                else:
                    self._upgrade(db, name, stored, version, upgrades or {})
                db.execute(
                    "INSERT INTO mlife_schema VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET version = %s",
                    (name, version, version),
                )

    def _version(self, db: Connection, name: str) -> int | None:
        made = db.execute("SELECT to_regclass(quote_ident(%s) || '.mlife_schema')", (self.schema,)).fetchone()
        if made is None or made[0] is None:
            return None
        row = db.execute("SELECT version FROM mlife_schema WHERE name = %s", (name,)).fetchone()
        return None if row is None else int(row[0])

    def _upgrade(self, db: Connection, name: str, stored: int, version: int, upgrades: Mapping[int, str]) -> None:
        if stored > version:
            raise Misconfigured(
                f"the {name} tables of {self.shown} have version {stored}; this program knows {version}",
                remedy="install the newer MLife that made them",
            )
        for step in range(stored + 1, version + 1):
            if step not in upgrades:
                raise Misconfigured(
                    f"the {name} tables of {self.shown} have version {stored}, too old for this program",
                    remedy=f"install the MLife between that knows version {step}, start it once, then this one",
                )
            db.execute(upgrades[step].encode())


def _is_quiet(db: Connection) -> bool:
    """Is nothing to be read from an idle connection? What a server says unasked is that it has ended it."""
    poll = select.poll()
    poll.register(db.fileno(), select.POLLIN)
    return not poll.poll(0)
