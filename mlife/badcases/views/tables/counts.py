"""Badcases and reports, and what is counted of them."""

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
    Column("first_event", BigInteger, nullable=False),
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
    Column("regrouped_number", BigInteger),
    Column("said", Text),
    Index("badcase_by_last", "last_number"),
    Index("badcase_by_priority", "priority", "badcase_id"),
    Index("badcase_by_frequency", "frequency", "badcase_id"),
    Index("badcase_by_function", "system", "function", "status"),
    Index("badcase_by_status", "status", "priority", "badcase_id", "frequency"),  # every page counts by it alone
    Index("badcase_by_mute", "muted_until"),
)
"""
One row a badcase. `first_rule`: version of the fingerprint's rule. `first_event`: position of the event that made it,
which stays though reports come and go. `last_severity`: the worst, 0 none to 3 critical.
`regrouped_number`: position of the last merge, split, correction or rule that changed what is counted in it.
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
    Column("place", Text),
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
    Column("fields", Text),
    Column("origin_id", Text),
    Column("placed_id", Text),
    Index("report_by_badcase", "badcase_id", "number"),
    Index("report_by_function", "system", "function", "number"),
    Index("report_by_client", "client", "number"),
    # whatever a report can be asked by is found without reading all of them, and is in the order of the list
    Index("report_by_system", "system", "number"),
    Index("report_by_function_alone", "function", "number"),
    Index("report_by_version", "version_order", "number"),
    Index("report_by_model", "model_id", "number"),
    Index("report_by_device", "device", "number"),
    Index("report_by_place", "place", "number"),
    Index("report_by_truth", "truth", "number"),
    Index("report_by_prediction", "predicted", "number"),
    Index("report_by_score", "score", "number"),
    Index("report_by_severity", "severity", "number"),
    Index("report_by_kind", "kind", "number"),
    Index("report_by_observed", "observed_at", "number"),
    Index("report_by_sha256", "sha256", "number"),
    Index("report_by_media", "media_type", "number"),
)
"""
One row a report. `model_id`: named by the client, else empty (then the version says it). `picture`: what tells its
file from others: its SHA-256, else its link. `badcase_id`: where it counts. `origin_id`: what its fingerprint names;
`placed_id`: where a split put it, else the same; both NULL where that is where it is counted. `place`: its own, else
that of its free fields (`wording.place_in`). `client`, `device`, `place`, `description` are as stored, so perhaps
sealed. `fields`: JSON of the free ones that have something to say.
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

badcase_places = Table(
    "badcase_places",
    metadata,
    Column("badcase_id", Text, primary_key=True),
    Column("place", Text, primary_key=True),
    Column("frequency", Integer, nullable=False),
    Index("badcase_place_by_place", "place", "badcase_id"),
)
"""Reports by where they happened; sealed places are not counted, as none is like another."""

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

badcase_text = TextIndex("badcase_text")
"""Titles, system and function, by `first_event`."""
report_text = TextIndex("report_text")
"""Descriptions, by `number`."""

TABLES = (
    badcase_rows,
    report_rows,
    badcase_weeks,
    badcase_versions,
    badcase_clients,
    badcase_places,
    traffic_rows,
    traffic_totals,
)
