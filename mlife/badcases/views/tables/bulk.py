"""Bulk jobs, and what they could not do."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, Text

from mlife.core.tables import Moment, metadata

bulk_rows = Table(
    "bulk_rows",
    metadata,
    Column("bulk_id", Text, primary_key=True),
    Column("action", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("input", Text, nullable=False),
    Column("undoes", Text),
    Column("started_by", Text),
    Column("total", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("unchanged", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("moved_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("stopped", Boolean, nullable=False),
    Index("bulk_by_number", "number"),
    Index("bulk_by_undoing", "undoes"),
)
"""One row a job. `input`: JSON. `done` of `total`: how far it is. `undoes`: the job that it takes back."""

bulk_refusals = Table(
    "bulk_refusals",
    metadata,
    Column("bulk_id", Text, primary_key=True),
    Column("badcase_id", Text, primary_key=True),
    Column("problem", Text, nullable=False),
)

TABLES = (bulk_rows, bulk_refusals)
