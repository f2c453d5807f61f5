"""Saved views."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from mlife.core.tables import Moment, metadata

view_rows = Table(
    "view_rows",
    metadata,
    Column("view_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("list_name", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("sort", Text, nullable=False),
    Column("saved_by", Text),
    Column("number", BigInteger, nullable=False),
    Column("saved_at", Moment, nullable=False),
    Index("view_by_name", "list_name", "name"),
)
"""`list_name`: badcases or reports."""

TABLES = (view_rows,)
