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
    Column("collect", Text, nullable=False, server_default=""),
    Column("wanted", Text, nullable=False, server_default="{}"),
    Column("query", Text, nullable=False, server_default=""),
    Column("ended", Text, nullable=False, server_default=""),
    Column("into_cause_id", Text),
    Column("proposal_id", Text),
    Column("named_by", Text),
    Column("number", BigInteger, nullable=False),
    Column("named_at", Moment, nullable=False),
    Index("cause_by_number", "number"),
)

"""
`remedy` null: none chosen. `collect`, `wanted` (JSON: label → rows), `query`: of it. `ended`: empty, `deleted` or
`merged` (into `into_cause_id`); what has ended has no badcases.
"""

cause_badcases = Table(
    "cause_badcases",
    metadata,
    Column("cause_id", Text, primary_key=True),
    Column("badcase_id", Text, primary_key=True),
    Index("cause_of_badcase", "badcase_id"),
)

proposal_rows = Table(
    "proposal_rows",
    metadata,
    Column("proposal_id", Text, primary_key=True),
    Column("system", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("attribute", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("dismissed_by", Text),
    Column("dismissed_at", Moment, nullable=False),
    Column("number", BigInteger, nullable=False),
)
"""Proposals of causes that were dismissed; others are found when they are asked for."""

TABLES = (cause_rows, cause_badcases, proposal_rows)
