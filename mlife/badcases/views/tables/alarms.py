"""Alarms, the rules that raise them, whom they were told to, and the days that rates are counted by."""

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
    Column("rule_id", Text, nullable=False),
    Column("rule_version", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("bundle", Text, nullable=False),
    Column("cause_id", Text),
    Column("basis", Text),
    Column("value", Float),
    Column("p_value", Float),
    Column("ended_at", Moment),
    Column("ended", Text),
    Index("alarm_by_number", "number"),
    Index("alarm_by_function", "system", "function", "version"),
    Index("alarm_by_rule", "rule_id", "bundle", "number"),
    Index("alarm_open", "acknowledged_at", "number"),
)
"""`ended`: the sentence of its end. Alarms from before there were rules are of the built-in one."""

rule_rows = Table(
    "rule_rows",
    metadata,
    Column("rule_id", Text, primary_key=True),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("definition", Text),
    Column("state", Text),
    Column("number", BigInteger, nullable=False, server_default="0"),
    Column("changed_at", Moment),
    Column("changed_by", Text),
)
"""A built-in rule has a row once somebody touched it; what is null is as built in. `number`: where it was created."""

rule_mutes = Table(
    "rule_mutes",
    metadata,
    Column("rule_id", Text, primary_key=True),
    Column("bundle", Text, primary_key=True),
    Column("until_at", Moment, nullable=False),
    Column("reason", Text, nullable=False),
    Column("muted_by", Text),
    Index("rule_mute_by_end", "until_at"),
)

delivery_rows = Table(
    "delivery_rows",
    metadata,
    Column("delivery_id", Text, primary_key=True),
    Column("alarm_id", Text, nullable=False),
    Column("occasion", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("planned_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due_at", Moment),
    Column("made_at", Moment),
    Column("problem", Text),
    Index("delivery_by_alarm", "alarm_id", "number"),
    Index("delivery_due", "due_at"),
)
"""`due_at` null: delivered, or given up with the last `problem`."""

badcase_days = Table(
    "badcase_days",
    metadata,
    Column("badcase_id", Text, primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("frequency", Integer, nullable=False),
)
"""Reports by the day of observation, counted from 1970, UTC."""

traffic_days = Table(
    "traffic_days",
    metadata,
    Column("system", Text, primary_key=True),
    Column("function", Text, primary_key=True),
    Column("day", Integer, primary_key=True),
    Column("requests", BigInteger, nullable=False),
)
"""Requests by the day on which their interval ends."""

TABLES = (alarm_rows, rule_rows, rule_mutes, delivery_rows, badcase_days, traffic_days)
