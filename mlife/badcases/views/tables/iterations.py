"""Iterations, their targets and their story."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from mlife.core.tables import Moment, metadata

iteration_rows = Table(
    "iteration_rows",
    metadata,
    Column("iteration_id", Text, primary_key=True),
    Column("system", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("alarm_id", Text),
    Column("cause_id", Text),
    Column("query", Text, nullable=False, server_default=""),
    Column("view_id", Text),
    Column("frozen_at", BigInteger),
    Column("opened_by", Text),
    Column("number", BigInteger, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("outcome", Text),
    Column("deployment_id", Text),
    Column("note", Text),
    Column("closed_at", Moment),
    Index("iteration_by_number", "number"),
    Index("iteration_open", "outcome", "number"),
)

iteration_badcases = Table(
    "iteration_badcases",
    metadata,
    Column("iteration_id", Text, primary_key=True),
    Column("badcase_id", Text, primary_key=True),
    Index("iteration_of_badcase", "badcase_id"),
)

iteration_facts = Table(
    "iteration_facts",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("iteration_id", Text, nullable=False),
    Column("word", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("href", Text),
    Column("actor", Text),
    Column("happened_at", Moment, nullable=False),
    Index("iteration_fact_by_iteration", "iteration_id", "number"),
)
"""The story of an iteration: its events in a sentence each."""

TABLES = (iteration_rows, iteration_badcases, iteration_facts)
