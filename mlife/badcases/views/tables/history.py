"""When badcases came to be what they are."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from mlife.core.tables import Moment, metadata

badcase_statuses = Table(
    "badcase_statuses",
    metadata,
    Column("badcase_id", Text, primary_key=True),
    Column("status", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("reached_at", Moment, nullable=False),
    Column("hours", Integer),
    Column("week", Integer),
    Index("badcase_status_by_week", "status", "week", "badcase_id"),
)
"""
The first time that a badcase had a status: the event, and whole hours and weeks since its first report was taken in
(NULL where that is not known). Beside statuses there are `solved`, the first of shipped and closed, and `came back`,
the first of regressed and recurring after it. A report alone that makes a badcase recurring is not noted: a run of
reports is folded as a whole.
"""

SOLVED, CAME_BACK = "solved", "came back"

TABLES = (badcase_statuses,)
