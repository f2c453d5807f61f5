"""Comments on badcases."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from mlife.core.tables import Moment, metadata

comment_rows = Table(
    "comment_rows",
    metadata,
    Column("comment_id", Text, primary_key=True),
    Column("badcase_id", Text, nullable=False),
    Column("text", Text),
    Column("written_by", Text),
    Column("written_at", Moment, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("edited_by", Text),
    Column("edited_at", Moment),
    Column("deleted_by", Text),
    Column("deleted_at", Moment),
    Index("comment_by_badcase", "badcase_id", "number"),
)
"""`text`: as stored, so perhaps sealed; null once it was deleted. What it said before is in the log."""

TABLES = (comment_rows,)
