"""What is declared of functions, and by which declared fields reports and badcases are found."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Float, Index, Integer, Table, Text, text

from mlife.core.tables import Moment, metadata


def where_known(column: str) -> dict[str, Any]:
    """An index of the rows that have a value there: most have none, and cost nothing."""
    known = text(f"{column} IS NOT NULL")
    return {"sqlite_where": known, "postgresql_where": known}


function_rows = Table(
    "function_rows",
    metadata,
    Column("function_id", Text, primary_key=True),
    Column("system", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("fields", Text, nullable=False),
    Column("template", Text),
    Column("described_by", Text),
    Column("number", BigInteger, nullable=False),
    Column("described_at", Moment, nullable=False),
    Index("function_by_name", "system", "function"),
)
"""What is declared now. `fields`: JSON, as in the event."""

report_fields = Table(
    "report_fields",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("amount", Float),
    Column("moment", Moment),
    Index("report_field_by_value", "name", "value", "number"),
    Index("report_field_by_amount", "name", "amount", "number", **where_known("amount")),
    Index("report_field_by_moment", "name", "moment", "number", **where_known("moment")),
)
"""One row a declared field of a report; `amount` of numbers, `moment` of dates."""

badcase_fields = Table(
    "badcase_fields",
    metadata,
    Column("badcase_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("frequency", Integer, nullable=False),
    Column("first_amount", Float),
    Column("first_moment", Moment),
    Index("badcase_field_by_value", "name", "value", "badcase_id", "frequency"),
    Index("badcase_field_by_amount", "name", "first_amount", "badcase_id", **where_known("first_amount")),
    Index("badcase_field_by_moment", "name", "first_moment", "badcase_id", **where_known("first_moment")),
)
"""Reports of a badcase by a field's value. `first_…` is the value itself, the same in all of them."""

TABLES = (function_rows, report_fields, badcase_fields)
