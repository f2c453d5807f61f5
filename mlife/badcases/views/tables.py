"""
The query tables of badcases: what the projection folds and the queries read.

Numbers named `…number` are positions in the log: they are integer keys, sort by age, and lead to the event itself.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, Table, Text

from mlife.core.tables import Moment, TextIndex, metadata

badcase_rows = Table(
    "badcase_rows",
    metadata,
    Column("badcase_id", Text, primary_key=True),
    Column("system", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("truth", Text),
    Column("predicted", Text),
    Column("fingerprint", Text, nullable=False),
    Column("first_rule", Integer, nullable=False),
    Column("first_number", BigInteger, nullable=False),
    Column("last_number", BigInteger, nullable=False),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
    Column("last_severity", Integer, nullable=False),
    Column("frequency", Integer, nullable=False),
    Column("client_count", Integer, nullable=False, server_default="0"),
    Column("status", Text, nullable=False, server_default="new"),
    Column("priority", Float, nullable=False, server_default="0"),
    Column("priority_set", Float),
    Column("priority_reason", Text),
    Column("owner", Text),
    Column("triaged", Boolean, nullable=False, server_default="0"),
    Column("muted_until", Moment),
    Column("rejected", Text),
    Column("closed_by", Text),
    Column("regressed_by", Text),
    Column("regressed_number", BigInteger),
    Column("said", Text),
    Index("badcase_by_last", "last_number"),
    Index("badcase_by_priority", "priority", "badcase_id"),
    Index("badcase_by_frequency", "frequency", "badcase_id"),
    Index("badcase_by_function", "system", "function", "status"),
    Index("badcase_by_status", "status", "priority", "badcase_id", "frequency"),  # every page counts by it alone
    Index("badcase_by_mute", "muted_until"),
)
"""
One row a badcase. `first_rule`: version of the fingerprint's rule. `last_severity`: the worst, 0 none to 3 critical.
`priority`: 0 to 100, a person's if `priority_set`. `said`: the sentence of its last closing or regression.
"""

report_rows = Table(
    "report_rows",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("uid", Text, nullable=False),
    Column("badcase_id", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("version_order", Text, nullable=False),
    Column("model_id", Text, nullable=False),
    Column("client", Text),
    Column("device", Text),
    Column("severity", Text),
    Column("kind", Text, nullable=False),
    Column("observed_at", Moment, nullable=False),
    Column("truth", Text),
    Column("predicted", Text),
    Column("score", Float),
    Column("picture", Text, nullable=False),
    Column("sha256", Text),
    Column("media_type", Text),
    Column("description", Text),
    Index("report_by_badcase", "badcase_id", "number"),
    Index("report_by_function", "system", "function", "number"),
    Index("report_by_client", "client", "number"),
)
"""
One row a report. `model_id`: named by the client, else empty (then the version says it). `picture`: what tells its
file from others: its SHA-256, else its link. `client`, `device`, `description` are as stored, so perhaps sealed.
"""

badcase_weeks = Table(
    "badcase_weeks",
    metadata,
    Column("badcase_id", Text, primary_key=True),
    Column("week", Integer, primary_key=True),
    Column("frequency", Integer, nullable=False),
)
"""Reports by the week of observation, counted in weeks since Monday 29 December 1969."""

badcase_versions = Table(
    "badcase_versions",
    metadata,
    Column("badcase_id", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("model_id", Text, primary_key=True),
    Column("version_order", Text, nullable=False),
    Column("frequency", Integer, nullable=False),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
    Column("last_number", BigInteger, nullable=False),
    Index("badcase_version_by_order", "version_order", "badcase_id"),
)

badcase_clients = Table(
    "badcase_clients",
    metadata,
    Column("badcase_id", Text, primary_key=True),
    Column("client", Text, primary_key=True),
    Column("frequency", Integer, nullable=False),
    Index("badcase_client_by_client", "client", "badcase_id"),
)
"""A sealed client counts by the id of its key: the same person, without the name."""

traffic_rows = Table(
    "traffic_rows",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("system", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("from_at", Moment, nullable=False),
    Column("to_at", Moment, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Index("traffic_by_version", "system", "function", "version", "number", "requests"),
)

traffic_totals = Table(
    "traffic_totals",
    metadata,
    Column("system", Text, primary_key=True),
    Column("function", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
)

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

iteration_rows = Table(
    "iteration_rows",
    metadata,
    Column("iteration_id", Text, primary_key=True),
    Column("system", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("alarm_id", Text),
    Column("cause_id", Text),
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

badcase_text = TextIndex("badcase_text")
"""Title, system and function, by `first_number`."""
report_text = TextIndex("report_text")
"""Descriptions, by `number`."""

TABLES = (
    badcase_rows,
    report_rows,
    badcase_weeks,
    badcase_versions,
    badcase_clients,
    traffic_rows,
    traffic_totals,
    badcase_verdicts,
    badcase_models,
    badcase_deployments,
    badcase_pins,
    cause_rows,
    cause_badcases,
    alarm_rows,
    iteration_rows,
    iteration_badcases,
    iteration_facts,
)
TEXTS = (badcase_text, report_text)
