"""What suggestions are made of: a few files and descriptions of each badcase of a function, and what was dismissed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from mlife.badcases.standing import STATUSES
from mlife.badcases.views.tables import badcase_rows, dismissed_rows, report_rows
from mlife.core.projection import Reader
from mlife.core.sealing import TEXT as SEALED

b, d, r = badcase_rows.c, dismissed_rows.c, report_rows.c
MOST_BADCASES = 400
"""Badcases of a function that are compared with each other, most reports first."""
FILES_OF_ONE = 3
WORDS_OF_ONE = 10
LOOKED_AT = STATUSES[:-1]
"""A rejected badcase is no failure to be compared."""


def compared(read: Reader, system: str, function: str) -> list[str]:
    """The badcases of a function that are compared, most reports first."""
    rows = read.all(
        select(b.badcase_id)
        .where(b.system == system, b.function == function, b.frequency != 0, b.status.in_(LOOKED_AT))
        .order_by(b.frequency.desc(), b.badcase_id)
        .limit(MOST_BADCASES)
    )
    return [row[0] for row in rows]


def latest_files(read: Reader, badcase_ids: Sequence[str]) -> dict[str, list[str]]:
    """The latest distinct files of each badcase, found from the end of its reports."""
    found = {}
    for badcase_id in badcase_ids:
        rows = read.all(
            select(r.sha256)
            .where(r.badcase_id == badcase_id, r.sha256.is_not(None))
            .order_by(r.number.desc())
            .limit(FILES_OF_ONE)
        )
        found[badcase_id] = list(dict.fromkeys(row[0] for row in rows))
    return found


def latest_words(read: Reader, badcase_ids: Sequence[str]) -> dict[str, list[str]]:
    """The latest descriptions of each badcase that can be read."""
    found = {}
    for badcase_id in badcase_ids:
        rows = read.all(
            select(r.description).where(r.badcase_id == badcase_id).order_by(r.number.desc()).limit(WORDS_OF_ONE)
        )
        found[badcase_id] = [row[0] for row in rows if row[0] and not row[0].startswith(SEALED)]
    return found


def dismissed(read: Reader) -> set[str]:
    """Ids of the suggestions that are dismissed."""
    return {row[0] for row in read.all(select(d.suggestion_id))}
