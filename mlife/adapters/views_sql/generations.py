"""
Names of a generation's tables, and where generations stand.

A projection's version and generation are part of its physical table names (`badcase_rows__1_2`). Statements are
written with the plain names, which are replaced in the compiled text (ADR 0004).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from mlife.core.errors import Unavailable
from mlife.core.projection import Projection, Standing, projections


@dataclass(frozen=True)
class Names:
    """
    What plain table names mean in one transaction.

    Args:
        of: the generations they stand for; with the text of a statement it names the rewritten text.
        physical: plain name → physical name.
        behind: plain name → why its table may not be read now.
    """

    of: tuple[tuple[str, int, int], ...]
    physical: Mapping[str, str]
    behind: Mapping[str, Unavailable] = field(default_factory=dict)


class Rewriter:
    """Replaces plain table names in statements; remembers what it has rewritten."""

    def __init__(self) -> None:
        self._pattern: tuple[int, re.Pattern[str]] = (-1, re.compile(r"(?!)"))
        self._done: dict[tuple[str, tuple[tuple[str, int, int], ...]], tuple[str, frozenset[str]]] = {}

    def rewrite(self, sql: str, names: Names) -> str:
        """
        *sql* over the physical tables.

        Raises:
            Unavailable: it uses a table that is behind.
        """
        key = (sql, names.of)
        done = self._done.get(key)
        if done is None:
            if len(self._done) > 5_000:
                self._done.clear()
            used: set[str] = set()

            def physical(found: re.Match[str]) -> str:
                used.add(found[0])
                return names.physical.get(found[0], found[0])

            done = self._plain_names().sub(physical, sql), frozenset(used)
            self._done[key] = done
        if names.behind:
            for name in done[1] & names.behind.keys():
                raise names.behind[name]
        return done[0]

    def _plain_names(self) -> re.Pattern[str]:
        if self._pattern[0] != len(projections):
            plain = "|".join(re.escape(n) for p in projections.values() for n in plain_names(p))
            # a name before a bracket is a function's, unless rows are put into it
            self._pattern = (len(projections), re.compile(rf"\b(?:(?<=INTO )(?:{plain})\b|(?:{plain})\b(?!\s*\())"))
        return self._pattern[1]


def plain_names(projection: Projection) -> list[str]:
    """The names that statements use."""
    return [t.name for t in projection.tables] + [t.name for t in projection.texts]


def physical_name(name: str, standing: Standing) -> str:
    """Where the table *name* of a generation really is."""
    return f"{name}__{standing.version}_{standing.generation}"


def physical_names(projection: Projection, standing: Standing) -> list[str]:
    """Where all tables of a generation really are."""
    return [physical_name(name, standing) for name in plain_names(projection)]


def key_of(standing: Standing) -> tuple[str, int, int]:
    """What identifies a generation."""
    return standing.name, standing.version, standing.generation


def named(standing: Standing) -> dict[str, str | int]:
    """What identifies a generation, as the parameters of a statement."""
    return {"name": standing.name, "version": standing.version, "generation": standing.generation}


def names_of(live: Sequence[Standing], min_position: int = 0) -> Names:
    """What plain names mean to a reader of *live*; tables that stand before *min_position* may not be read."""
    behind = {
        name: Unavailable(
            f"projection {s.name} is {s.state} at position {s.position}, before {min_position}"
            + (f": {s.error}" if s.error else ""),
            remedy="`mlife projection status` shows why; `mlife projection skip` lets it pass over an event"
            if s.state == "stopped"
            else "ask again",
        )
        for s in live
        if s.position < min_position
        for name in plain_names(projections[s.name])
    }
    physical = {name: physical_name(name, s) for s in live for name in plain_names(projections[s.name])}
    return Names(tuple(key_of(s) for s in live), physical, behind)


def all_standings(c: Connection) -> list[Standing]:
    """Every generation of every projection."""
    rows = c.exec_driver_sql(
        "SELECT name, version, generation, position, state, error FROM checkpoints ORDER BY 1, 2, 3"
    )
    return [Standing(*row) for row in rows]


def ours(standings: Iterable[Standing]) -> list[Standing]:
    """Those that this program reads: live ones of its own versions."""
    return [
        s
        for s in standings
        if s.state in ("live", "stopped") and s.name in projections and projections[s.name].version == s.version
    ]
