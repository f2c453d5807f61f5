"""Models, verdicts, deployments and test rows as badcases see them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, Table, Text

from mlife.core.tables import Moment, metadata

badcase_verdicts = Table(
    "badcase_verdicts",
    metadata,
    Column("badcase_id", Text, primary_key=True),
    Column("model_id", Text, primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("passes", Integer, nullable=False),
    Column("evidence", Integer, nullable=False),
    Column("low", Float, nullable=False),
    Column("high", Float, nullable=False),
    Column("missing", Integer, nullable=False),
    Column("broken", Boolean, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("judged_at", Moment, nullable=False),
    Index("badcase_verdict_by_model", "model_id"),
)
"""The latest word of the gate on a badcase, for each model."""

badcase_models = Table(
    "badcase_models",
    metadata,
    Column("model_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("system", Text),
    Column("function", Text),
    Column("parents", Text, nullable=False),
    Column("task_id", Text),
    Column("iteration_id", Text),
    Column("number", BigInteger, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("passed", Boolean),
    Column("judged_sentence", Text),
    Index("badcase_model_by_iteration", "iteration_id"),
)
"""Models as badcases see them. `parents`: JSON list. `passed`: the gate's word, None before."""

badcase_deployments = Table(
    "badcase_deployments",
    metadata,
    Column("deployment_id", Text, primary_key=True),
    Column("system", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("model_ids", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("overridden_by", Text),
    Column("number", BigInteger, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("activated_number", BigInteger),
    Column("activated_at", Moment),
    Index("badcase_deployment_by_version", "system", "version"),
)
"""
Deployments as badcases see them. `function` is empty for all of a system. `model_ids`: JSON list. `state`: created,
active, replaced, failed. `activated_…`: of the last time.
"""

badcase_pins = Table(
    "badcase_pins",
    metadata,
    Column("badcase_id", Text, primary_key=True),
    Column("sha256", Text, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("annotation", Text, nullable=False),
    Column("must_pass", Boolean, nullable=False),
    Column("document_id", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Index("badcase_pin_by_file", "sha256"),
)
"""Files of reports that are testing rows. `annotation`: JSON of the truth."""

TABLES = (badcase_verdicts, badcase_models, badcase_deployments, badcase_pins)
