"""Causes and their badcases."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from mlife.core.tables import Moment, metadata

cause_rows = Table(
    "cause_rows",
    metadata,
    Column("cause_id", Text, primary_key=True),
    Column("system", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("explanation", Text, nullable=False),
    Column("remedy", Text),
    Column("remedy_note", Text),
    Column("named_by", Text),
    Column("number", BigInteger, nullable=False),
    Column("named_at", Moment, nullable=False),
    Index("cause_by_number", "number"),
)

cause_badcases = Table(
    "cause_badcases",
    metadata,
    Column("cause_id", Text, primary_key=True),
    Column("badcase_id", Text, primary_key=True),
    Index("cause_of_badcase", "badcase_id"),
)

TABLES = (cause_rows, cause_badcases)
