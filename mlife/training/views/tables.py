"""The tables. Results are kept per task; `task_latest` says whose count for a model on a group: the last task's."""

from __future__ import annotations

import hashlib

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, Table, Text

from mlife.core.tables import Moment, metadata

task_rows = Table(
    "task_rows",
    metadata,
    Column("task_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("system", Text),
    Column("function", Text),
    Column("iteration_id", Text),
    Column("group_ids", Text, nullable=False),  # JSON list
    Column("model_ids", Text, nullable=False),  # JSON list: those to test
    Column("parents", Text, nullable=False),  # JSON list
    Column("entry_point", Text, nullable=False),
    Column("workdir", Text),
    Column("parameters", Text, nullable=False),  # JSON object
    Column("seed", BigInteger, nullable=False),
    Column("model_name", Text, nullable=False),
    Column("time_limit", Float),
    Column("attempt", Integer, nullable=False),
    Column("worker", Text),
    Column("error", Text),
    Column("metrics", Text, nullable=False),  # JSON object
    Column("digests", Text, nullable=False),  # JSON object
    Column("tested", Text, nullable=False),  # JSON: model id → group id → samples
    Column("model_id", Text),
    Column("seconds", Float),
    Column("drafted_by", Text),
    Column("started_by", Text),
    Column("drafted_at", Moment, nullable=False),
    Column("queued_at", Moment),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("changed_at", Moment, nullable=False),
    Column("stream_version", Integer, nullable=False),
    Index("task_rows_by_change", "changed_at", "task_id"),
    Index("task_rows_by_state", "state", "queued_at"),
    Index("task_rows_by_iteration", "iteration_id"),
)

task_files = Table(
    "task_files",
    metadata,
    Column("task_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
)

task_links = Table(
    "task_links",
    metadata,
    Column("task_id", Text, primary_key=True),
    Column("role", Text, primary_key=True),  # group, tested, trained
    Column("linked_id", Text, primary_key=True),
    Index("task_links_by_linked", "linked_id", "role"),
)

task_group_facts = Table(
    "task_group_facts",
    metadata,
    Column("group_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("system", Text),
    Column("function", Text),
    Column("size", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
)

task_model_facts = Table(
    "task_model_facts",
    metadata,
    Column("model_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("system", Text),
    Column("function", Text),
    Column("sha256", Text, nullable=False),
    Column("task_id", Text),
    Column("position", BigInteger, nullable=False),
)

task_deployed = Table(
    "task_deployed",
    metadata,
    Column("system", Text, primary_key=True),
    Column("function", Text, primary_key=True),  # empty for the whole system
    Column("target", Text, primary_key=True),
    Column("model_ids", Text, nullable=False),  # JSON list
    Column("position", BigInteger, nullable=False),
)

task_scores = Table(
    "task_scores",
    metadata,
    Column("set_id", BigInteger, primary_key=True),  # set_key of the next three
    Column("task_id", Text, nullable=False),
    Column("model_id", Text, nullable=False),
    Column("group_id", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("correct", Integer, nullable=False),
    Index("task_scores_by_task", "task_id"),
)

task_latest = Table(
    "task_latest",
    metadata,
    Column("model_id", Text, primary_key=True),
    Column("group_id", Text, primary_key=True),
    Column("set_id", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Index("task_latest_by_group", "group_id", "model_id"),
)

task_results = Table(
    "task_results",
    metadata,
    Column("set_id", BigInteger, primary_key=True),
    Column("sha256", Text, primary_key=True),
    Column("truth", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("score", Float),
    Column("correct", Boolean, nullable=False),
    Index("task_results_by_confusion", "set_id", "truth", "label"),
)


def set_key(task_id: str, model_id: str, group_id: str) -> int:
    """The number of what a model answered on a group in a task: 63 bits of a digest, so that every replay agrees."""
    digest = hashlib.sha256(f"{task_id}\0{model_id}\0{group_id}".encode()).digest()
    return int.from_bytes(digest[:8]) >> 1
