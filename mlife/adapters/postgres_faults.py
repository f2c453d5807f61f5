"""What PostgreSQL and its driver complain of, in MLife's words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg

from mlife.core.errors import HomeUnusable, Misconfigured, MLifeError, Unavailable, in_a_line, without_secrets

KEPT: Final = "what was acknowledged is kept"

OUTAGES: Final = (
    "0800",  # connection exceptions; 08P01, a message that can't be read, is the statement's fault
    "40001",  # serialisation failure
    "40P01",  # deadlock
    "53",  # insufficient resources: too many connections, out of memory
    "55P03",  # a lock that was not to be had in time
    "57",  # shutdown, crash, start-up; a cancelled statement
    "25P03",  # a transaction that was idle for too long
    "25P04",  # or took too long
)
"""States, or what they begin with, in which the same statement may work later."""

_NOT_THERE: Final = (Misconfigured, "{shown} is not there ({text})", "create it, or correct the URL")
_DAMAGED: Final = (
    HomeUnusable,
    "{shown} can't read or write its files ({text})",
    f"look at the server's disk and log; {KEPT}",
)

BLAMED: Final[dict[str, tuple[type[MLifeError], str, str]]] = {
    "53100": (HomeUnusable, "the disk of {shown} is full", f"free some space; {KEPT}"),
    "58030": _DAMAGED,
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
    "25006": (
        HomeUnusable,
        "{shown} is read-only ({text})",
        "name the primary in the URL, not a standby; or end the read-only mode",
    ),
    "3D000": _NOT_THERE,
    "3F000": _NOT_THERE,
    "42501": (
        Misconfigured,
        "the user of {shown} may not do what MLife does ({text})",
        "GRANT it CREATE and USAGE on the schema, or let it own the tables",
    ),
}
"""States that name who is to blame: what is raised, problem and remedy."""


_REASON: Final = re.compile(r"connection failed: (connection to server (at|on) .* failed: )?(FATAL: *)?")


@contextmanager
def translated(shown: str) -> Iterator[None]:
    """
    Turn what the server or the way to it is to blame for into sentences with a remedy; others' errors pass.

    Args:
        shown: the URL as people may see it.
    """
    try:
        yield
    except psycopg.Error as fault:
        said = explained(shown, fault)
        if said is None:
            raise
        raise said from fault


def explained(shown: str, fault: psycopg.Error) -> MLifeError | None:
    """*fault*, met on *shown*, as MLife says it; None for one that the statement or its values are to blame for."""
    state = fault.sqlstate or ""
    text = without_secrets(in_a_line(fault).partition(": ")[2])
    if isinstance(fault, psycopg.OperationalError) and not state:
        return _of_connecting(shown, fault, text)
    if state.startswith("28"):
        return _not_let_in(shown, text)
    if state in BLAMED:
        kind, problem, remedy = BLAMED[state]
        return kind(problem.format(shown=shown, text=text), remedy=remedy)
    if state.startswith(OUTAGES) or (isinstance(fault, psycopg.InterfaceError) and "closed" in text):
        return _away(shown, text)
    return None


def _of_connecting(shown: str, fault: psycopg.OperationalError, text: str) -> MLifeError:
    """libpq gives no state for a connection that could not be made, only the server's sentence; or one that broke."""
    whole = str(fault)
    if not whole.startswith("connection failed"):
        return _away(shown, text)
    reason = without_secrets(_REASON.sub("", whole.partition("\n")[0]).strip())
    if "authentication failed" in whole or "no password supplied" in whole or "no pg_hba.conf entry" in whole:
        return _not_let_in(shown, reason)
    if "FATAL" in whole and "does not exist" in whole:
        return Misconfigured(f"{shown} names what is not there ({reason})", remedy="create it, or correct the URL")
    if "certificate" in whole or ("SSL" in whole and "SYSCALL" not in whole and "closed" not in whole):
        return Misconfigured(
            f"TLS with {shown} fails ({reason})",
            remedy="look at sslmode, sslrootcert, sslcert and sslkey in the URL, and at the server's certificate",
        )
    return _away(shown, reason)


def _not_let_in(shown: str, text: str) -> Misconfigured:
    return Misconfigured(
        f"{shown} does not let MLife in ({text})", remedy="correct user and password in the URL, or pg_hba.conf"
    )


def _away(shown: str, text: str) -> Unavailable:
    return Unavailable(
        f"{shown} can't be used now ({text})",
        remedy="start it, or correct host and port in the URL; then send it again: what was written is known",
    )
