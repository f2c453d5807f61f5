"""
Which badcase counts what: merges as other names, reports that were moved, and what was said of badcases by name.

`cause_badcases`, `iteration_badcases`, `badcase_pins` and `badcase_verdicts` hold what is true of a badcase where it is
counted *now*. Their twins `said_…` hold what was said of a badcase under its own name, so that it comes back when a
merge is taken back. Only `mlife.projections.badcases.homes` writes either.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, Text

from mlife.badcases.views.tables.causes import cause_badcases
from mlife.badcases.views.tables.iterations import iteration_badcases
from mlife.badcases.views.tables.models import badcase_pins, badcase_verdicts
from mlife.core.tables import Moment, metadata

badcase_aliases = Table(
    "badcase_aliases",
    metadata,
    Column("badcase_id", Text, primary_key=True),
    Column("into_id", Text, nullable=False),
    Column("home_id", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("merged_by", Text),
    Column("merged_at", Moment, nullable=False),
    Index("badcase_alias_by_home", "home_id"),
)
"""Merged badcases. `into_id`: what a person chose; `home_id`: where that is counted in turn. `number`: the event."""

move_rows = Table(
    "move_rows",
    metadata,
    Column("move_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("batch_id", Text, nullable=False),
    Column("from_id", Text, nullable=False),
    Column("into_id", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("reports", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_by", Text),
    Column("number", BigInteger, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("undone_number", BigInteger),
    Index("move_by_from", "from_id"),
    Index("move_by_into", "into_id"),
    Index("move_by_batch", "batch_id"),
)
"""
Reports that were moved together. `kind`: `split` (its id is the new badcase's) or `rule`. `batch_id`: of what is taken
back together: an application of a rule, or the same id. `undone_number`: the event that did.
"""

report_moves = Table(
    "report_moves",
    metadata,
    Column("move_id", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("into_id", Text, nullable=False),
    Column("origin_id", Text, nullable=False),
    Column("by_person", Boolean, nullable=False),
    Column("made_number", BigInteger, nullable=False),
    Column("live", Boolean, nullable=False),
    Index("report_move_by_report", "number"),
)
"""
The reports of each move. One holds while it is `live` and the report's fingerprint still names `origin_id`; of several
a person's, and the last made, holds.
"""


def _twin(table: Table) -> Table:
    """The same columns, for what was said of a badcase under its own name."""
    made = table.to_metadata(metadata, name=f"said_{table.name}")
    for index in list(made.indexes):
        made.indexes.remove(index)
    if made.primary_key.columns.keys()[0] != "badcase_id":
        Index(f"said_{table.name}_by_badcase", made.c.badcase_id)
    return made


SAID = {t: _twin(t) for t in (cause_badcases, iteration_badcases, badcase_pins, badcase_verdicts)}
"""Table → its twin."""


ruling_rows = Table(
    "ruling_rows",
    metadata,
    Column("function_id", Text, primary_key=True),
    Column("system", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("template", Text),
    Column("fields", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("ruled_by", Text),
    Column("number", BigInteger, nullable=False),
    Column("ruled_at", Moment, nullable=False),
)
"""The rule of each function that has one. `fields`: JSON list."""

dismissed_rows = Table(
    "dismissed_rows",
    metadata,
    Column("suggestion_id", Text, primary_key=True),
    Column("one_id", Text, nullable=False),
    Column("other_id", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
)
"""Suggestions that somebody dismissed."""

likeness_rows = Table(
    "likeness_rows",
    metadata,
    Column("function_id", Text, primary_key=True),
    Column("system", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("embedders", Text),
)
"""The embedders that somebody chose for a function: JSON list; NULL: whatever is installed, as without a row."""

TABLES = (badcase_aliases, move_rows, report_moves, ruling_rows, dismissed_rows, likeness_rows, *SAID.values())
