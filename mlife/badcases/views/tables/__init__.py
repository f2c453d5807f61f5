"""
The query tables of badcases: what the projection folds and the queries read.

Numbers named `…number` are positions in the log: they are integer keys, sort by age, and lead to the event itself.
"""

from mlife.badcases.views.tables import alarms, causes, counts, iterations, models
from mlife.badcases.views.tables.alarms import alarm_rows
from mlife.badcases.views.tables.causes import cause_badcases, cause_rows
from mlife.badcases.views.tables.counts import (
    badcase_clients,
    badcase_rows,
    badcase_text,
    badcase_versions,
    badcase_weeks,
    report_rows,
    report_text,
    traffic_rows,
    traffic_totals,
)
from mlife.badcases.views.tables.iterations import iteration_badcases, iteration_facts, iteration_rows
from mlife.badcases.views.tables.models import badcase_deployments, badcase_models, badcase_pins, badcase_verdicts

__all__ = [
    "TABLES",
    "TEXTS",
    "alarm_rows",
    "badcase_clients",
    "badcase_deployments",
    "badcase_models",
    "badcase_pins",
    "badcase_rows",
    "badcase_text",
    "badcase_verdicts",
    "badcase_versions",
    "badcase_weeks",
    "cause_badcases",
    "cause_rows",
    "iteration_badcases",
    "iteration_facts",
    "iteration_rows",
    "report_rows",
    "report_text",
    "traffic_rows",
    "traffic_totals",
]

TABLES = (*counts.TABLES, *models.TABLES, *causes.TABLES, *alarms.TABLES, *iterations.TABLES)
TEXTS = (badcase_text, report_text)
