"""The bytes that reports link to, and the copies that were made of files."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, Text

from mlife.core.tables import Moment, metadata

report_data = Table(
    "report_data",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("link", Integer, primary_key=True, autoincrement=False),
    Column("uid", Text, nullable=False),
    Column("sha256", Text),
    Column("media_type", Text, nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    Column("remedy", Text, nullable=False, default=""),
    Column("is_passing", Boolean, nullable=False, default=False),
    Column("told_at", Moment, nullable=False),
)
"""One row a link that was read, or tried. `number`: of its report. `link`: from 0. `reason`: empty once it is here."""

derived_rows = Table(
    "derived_rows",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("parameters", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("number", BigInteger, nullable=False),
    Index("derived_by_source", "source", "number"),
)
"""One row a copy. `parameters`: JSON. `number`: position of the event that made it."""

TABLES = (report_data, derived_rows)
"""What the projection declares."""
