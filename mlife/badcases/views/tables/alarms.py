"""Alarms."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, Table, Text

from mlife.core.tables import Moment, metadata

alarm_rows = Table(
    "alarm_rows",
    metadata,
    Column("alarm_id", Text, primary_key=True),
    Column("system", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("from_at", Moment, nullable=False),
    Column("to_at", Moment, nullable=False),
    Column("badcase_ids", Text, nullable=False),
    Column("badcase_count", Integer, nullable=False),
    Column("report_count", Integer, nullable=False),
    Column("rate", Float),
    Column("usual", Float),
    Column("sentence", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("raised_at", Moment, nullable=False),
    Column("acknowledged_at", Moment),
    Column("acknowledged_by", Text),
    Column("note", Text),
    Index("alarm_by_number", "number"),
    Index("alarm_by_function", "system", "function", "version"),
    Index("alarm_open", "acknowledged_at", "number"),
)

TABLES = (alarm_rows,)
