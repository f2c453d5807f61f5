"""The query tables of models, verdicts and deployments."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, Table, Text
from sqlalchemy.types import JSON

from mlife.core.tables import Moment, metadata

models = Table(
    "model_rows",
    metadata,
    Column("model_id", Text, primary_key=True),
    Column("place", BigInteger, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("name", Text, nullable=False),
    Column("system", Text),
    Column("function", Text),
    Column("origin", Text, nullable=False),
    Column("task_id", Text),
    Column("sha256", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("parents", JSON, nullable=False),
    Column("digests", JSON, nullable=False),
    Column("iteration_id", Text),
    Column("made_by", Text),
    Column("gate", Text, nullable=False),
    Column("judged_at", Moment),
    Column("judged_place", BigInteger),
    Column("opponent_id", Text),
    Column("fixed", Integer, nullable=False),
    Column("failing", Integer, nullable=False),
    Column("unproven", Integer, nullable=False),
    Column("broken", Integer, nullable=False),
    Index("model_rows_by_place", "place"),
    Index("model_rows_by_function", "system", "function", "place"),
    Index("model_rows_by_gate", "gate", "place"),
    Index("model_rows_by_iteration", "iteration_id"),
    Index("model_rows_by_sha256", "sha256"),
)
"""
One row for each model. `origin` is `trained` or `adopted`, `gate` the last verdict's word: `passed`, `refused` or
`not judged`; the counts are of its badcases. `place` is the position of the event that made it.
"""

notes = Table(
    "model_notes",
    metadata,
    Column("place", BigInteger, primary_key=True),
    Column("model_id", Text, nullable=False),
    Column("noted_at", Moment, nullable=False),
    Column("note", Text, nullable=False),
    Column("noted_by", Text),
    Index("model_notes_by_model", "model_id", "place"),
)
"""What people wrote on models."""

verdicts = Table(
    "model_verdicts",
    metadata,
    Column("place", BigInteger, primary_key=True),
    Column("model_id", Text, nullable=False),
    Column("judged_at", Moment, nullable=False),
    Column("system", Text),
    Column("function", Text),
    Column("opponent_id", Text),
    Column("passed", Integer, nullable=False),
    Column("sentences", JSON, nullable=False),
    Column("test_sets", JSON, nullable=False),
    Column("badcases", JSON, nullable=False),
    Column("digests", JSON, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("iteration_id", Text),
    Index("model_verdicts_by_model", "model_id", "place"),
    Index("model_verdicts_by_function", "system", "function", "passed", "place"),
)
"""Every judgement, as `ModelJudged` has it; `place` is its position. The latest of a model counts."""

known = Table(
    "model_badcases",
    metadata,
    Column("model_id", Text, primary_key=True),
    Column("badcase_id", Text, primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("broken", Integer, nullable=False),
    Index("model_badcases_by_badcase", "badcase_id", "verdict"),
    sqlite_with_rowid=False,
)
"""Where a model stands on each badcase, by its latest verdict."""

deployments = Table(
    "deployment_rows",
    metadata,
    Column("deployment_id", Text, primary_key=True),
    Column("place", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Text),
    Column("system", Text, nullable=False),
    Column("function", Text),
    Column("slot", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("version_order", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("model_ids", JSON, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("badcases", JSON, nullable=False),
    Column("more_badcases", JSON, nullable=False),
    Column("replaces", Text),
    Column("overridden_by", Text),
    Column("override_reason", Text),
    Column("iteration_id", Text),
    Column("state", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("activated_at", Moment),
    Column("activated_place", BigInteger),
    Column("ended_at", Moment),
    Column("answered_by", Text),
    Column("reason", Text, nullable=False),
    Column("rolled_back_to", Text),
    Column("rollback_reason", Text, nullable=False),
    Column("stream_version", Integer, nullable=False),
    Index("deployment_rows_by_place", "place"),
    Index("deployment_rows_by_slot", "slot", "place"),
    Index("deployment_rows_by_version", "system", "version"),
    Index("deployment_rows_by_state", "state", "place"),
    Index("deployment_rows_by_iteration", "iteration_id"),
)
"""
One row for each deployment. `state` is `created`, `active`, `replaced`, `rolled back` or `failed`; `slot` what it
answers for, e.g. `dms/emotion@local`; `activated_place` the position of its last activation.
"""

deployed = Table(
    "deployment_models",
    metadata,
    Column("deployment_id", Text, primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("model_id", Text, nullable=False),
    Index("deployment_models_by_model", "model_id"),
    sqlite_with_rowid=False,
)
"""The models of each deployment, in their order."""

slots = Table(
    "deployment_slots",
    metadata,
    Column("slot", Text, primary_key=True),
    Column("system", Text, nullable=False),
    Column("function", Text),
    Column("target", Text, nullable=False),
    Column("deployment_id", Text, nullable=False),
    Column("since_place", BigInteger, nullable=False),
    Column("share", Float, nullable=False),
    Index("deployment_slots_by_deployment", "deployment_id"),
)
"""What answers now: one row for each system, function and target; changed by activations alone."""

policies = Table(
    "policy_rows",
    metadata,
    Column("policy_function", Text, primary_key=True),
    Column("policy", JSON, nullable=False),
    Column("digest", Text, nullable=False),
    Column("loaded_at", Moment, nullable=False),
    Column("loaded_by", Text),
    Column("place", BigInteger, nullable=False),
)
"""The numbers loaded last for a function (`<system>/<function>`) or for `default`."""
