"""
The query tables of badcases: what the projection folds and the queries read.

Numbers named `…number` are positions in the log: they are integer keys, sort by age, and lead to the event itself.
"""

from mlife.badcases.views.tables import (
    alarms,
    bulk,
    causes,
    comments,
    counts,
    fields,
    grouping,
    history,
    iterations,
    media,
    models,
    saved,
)
from mlife.badcases.views.tables.alarms import alarm_rows
from mlife.badcases.views.tables.bulk import bulk_refusals, bulk_rows
from mlife.badcases.views.tables.causes import cause_badcases, cause_rows, proposal_rows
from mlife.badcases.views.tables.comments import comment_rows
from mlife.badcases.views.tables.counts import (
    badcase_clients,
    badcase_places,
    badcase_rows,
    badcase_text,
    badcase_versions,
    badcase_weeks,
    report_rows,
    report_text,
    traffic_rows,
    traffic_totals,
)
from mlife.badcases.views.tables.fields import badcase_fields, function_rows, report_fields
from mlife.badcases.views.tables.grouping import (
    SAID,
    badcase_aliases,
    dismissed_rows,
    likeness_rows,
    move_rows,
    report_moves,
    ruling_rows,
)
from mlife.badcases.views.tables.history import badcase_statuses
from mlife.badcases.views.tables.iterations import iteration_badcases, iteration_facts, iteration_rows
from mlife.badcases.views.tables.media import derived_rows, report_data
from mlife.badcases.views.tables.models import badcase_deployments, badcase_models, badcase_pins, badcase_verdicts
from mlife.badcases.views.tables.saved import view_rows

__all__ = [
    "SAID",
    "TABLES",
    "TEXTS",
    "alarm_rows",
    "badcase_aliases",
    "badcase_clients",
    "badcase_deployments",
    "badcase_fields",
    "badcase_models",
    "badcase_pins",
    "badcase_places",
    "badcase_rows",
    "badcase_statuses",
    "badcase_text",
    "badcase_verdicts",
    "badcase_versions",
    "badcase_weeks",
    "bulk_refusals",
    "bulk_rows",
    "cause_badcases",
    "cause_rows",
    "comment_rows",
    "derived_rows",
    "dismissed_rows",
    "function_rows",
    "iteration_badcases",
    "iteration_facts",
    "iteration_rows",
    "likeness_rows",
    "move_rows",
    "proposal_rows",
    "report_data",
    "report_fields",
    "report_moves",
    "report_rows",
    "report_text",
    "ruling_rows",
    "traffic_rows",
    "traffic_totals",
    "view_rows",
]

TABLES = (
    *media.TABLES,
    *counts.TABLES,
    *fields.TABLES,
    *models.TABLES,
    *causes.TABLES,
    *alarms.TABLES,
    *iterations.TABLES,
    *comments.TABLES,
    *bulk.TABLES,
    *saved.TABLES,
    *grouping.TABLES,
    *history.TABLES,
)
TEXTS = (badcase_text, report_text)
