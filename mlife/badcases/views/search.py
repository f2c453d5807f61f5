"""What can be asked about badcases and reports: the fields of the query language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Table, and_, case, func, or_, select, type_coerce

from mlife.badcases.standing import NEEDS_ME, OPEN, STATUSES
from mlife.badcases.views.tables import (
    badcase_clients,
    badcase_fields,
    badcase_places,
    badcase_rows,
    badcase_statuses,
    badcase_text,
    badcase_verdicts,
    badcase_versions,
    cause_badcases,
    iteration_badcases,
    report_fields,
    report_rows,
    report_text,
)
from mlife.badcases.views.tables.history import CAME_BACK, SOLVED
from mlife.core.query import Counted, Field, Searchable, Text
from mlife.core.sealing import NUMBER, TEXT

b, r = badcase_rows.c, report_rows.c
SEVERITIES = ("minor", "major", "critical")
KINDS = ("failure", "rare", "long_tail")


def flag(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """*condition* as a yes or no that can be asked for: never null."""
    return type_coerce(case((condition, True), else_=False), Boolean)


def readable(column: Any) -> ColumnElement[bool]:
    """Is there a text that anybody may read, and not a sealed one?"""
    return and_(column.is_not(None), func.substr(column, 1, len(TEXT)).not_in((TEXT, NUMBER)))


def _with(table: Table) -> Any:
    """A condition on a table of many rows a badcase, as a condition on the badcase."""
    return lambda condition: b.badcase_id.in_(select(table.c.badcase_id).where(condition))


FREE = "field."
"""How the names of declared fields begin: `field.place:tunnel`."""


def _reports_by(value: Any, *which: ColumnElement[bool]) -> Counted:
    """Reports by a value that badcases have, or that stands in a small table of theirs."""
    frequency = b.frequency if value.table is badcase_rows else value.table.c.frequency
    return Counted(value, func.sum(frequency), and_(frequency != 0, *which))


def _badcases_by(value: Any, *which: ColumnElement[bool]) -> Counted:
    """Badcases by a value that stands in a small table of theirs."""
    return Counted(value, func.count(value.table.c.badcase_id.distinct()), and_(value.table.c.frequency != 0, *which))


def _badcase_field(name: str) -> Field:
    """A declared field, in any report of a badcase."""
    c = badcase_fields.c
    named = c.name == name.removeprefix(FREE)
    return Field(
        name,
        c.value,
        "free",
        "A declared field of its reports.",
        via=lambda condition: b.badcase_id.in_(select(c.badcase_id).where(named, condition)),
        amount=c.first_amount,
        moment=c.first_moment,
        counted=_badcases_by(c.value, named),
    )


def _report_field(name: str) -> Field:
    """A declared field of a report."""
    c = report_fields.c
    named = c.name == name.removeprefix(FREE)
    return Field(
        name,
        c.value,
        "free",
        "A declared field.",
        via=lambda condition: r.number.in_(select(c.number).where(named, condition)),
        amount=c.amount,
        moment=c.moment,
        counted=_reports_by(badcase_fields.c.value, badcase_fields.c.name == name.removeprefix(FREE)),
    )


def _words(words: Sequence[Text]) -> str:
    return " ".join(w.value + "*" * w.prefix for w in words)


def _badcase_words(words: Sequence[Text]) -> ColumnElement[bool]:
    """In its title, system and function, or in the description of one of its reports."""
    terms = _words(words)
    described = select(r.badcase_id).where(report_text.matches(r.number, terms))
    return or_(badcase_text.matches(b.first_event, terms), b.badcase_id.in_(described))


def _report_words(words: Sequence[Text]) -> ColumnElement[bool]:
    return report_text.matches(r.number, _words(words))


severity_word = case(
    (b.last_severity == 3, "critical"), (b.last_severity == 2, "major"), (b.last_severity == 1, "minor")
)
"""The worst severity of a badcase's reports as a word; null if none was given."""

searchable_badcases = Searchable(
    "badcases",
    b.badcase_id,
    (
        Field("status", b.status, "choice", "Where it stands.", choices=STATUSES),
        Field("open", flag(b.status.in_(OPEN)), "flag", "Does it still ask for a look, a fix or a deployment?"),
        Field("needsme", flag(b.status.in_(NEEDS_ME)), "flag", "Does it wait for a person's first look?"),
        Field("system", b.system, "text", "The system that failed."),
        Field("function", b.function, "text", "The function that failed."),
        Field("truth", b.truth, "text", "What is right, for classes.", aliases=("is",)),
        Field("prediction", b.predicted, "text", "What was said, for classes.", aliases=("read",)),
        Field("title", b.title, "text", "The failure in a few words."),
        Field("reports", b.frequency, "number", "How many reports it has.", aliases=("frequency",)),
        Field("clients", b.client_count, "number", "How many clients it hit."),
        Field("priority", b.priority, "number", "From 0 to 100."),
        Field(
            "severity",
            severity_word,
            "choice",
            "The worst severity given.",
            choices=SEVERITIES,
            ordered=True,
            order=b.last_severity,
        ),
        Field("owner", b.owner, "text", "Who looks after it."),
        Field(
            "version",
            badcase_versions.c.version_order,
            "version",
            "A version that it was reported on.",
            via=_with(badcase_versions),
            counted=_badcases_by(badcase_versions.c.version),
        ),
        Field("client", badcase_clients.c.client, "text", "A client that it hit.", via=_with(badcase_clients)),
        Field("place", badcase_places.c.place, "text", "A place where it happened.", via=_with(badcase_places)),
        Field(
            "model",
            badcase_verdicts.c.model_id,
            "text",
            "A model with a verdict on it.",
            via=_with(badcase_verdicts),
        ),
        Field("cause", cause_badcases.c.cause_id, "text", "The cause that it has.", via=_with(cause_badcases)),
        Field(
            "iteration",
            iteration_badcases.c.iteration_id,
            "text",
            "An iteration that aims at it.",
            via=_with(iteration_badcases),
        ),
        Field("first", b.first_at, "date", "When it was observed first.", aliases=("first_seen",)),
        Field("last", b.last_at, "date", "When it was observed last.", aliases=("last_seen",)),
        Field(
            "reached",
            badcase_statuses.c.status,
            "choice",
            "A status that it has had, be it for a moment.",
            choices=(*STATUSES, SOLVED, CAME_BACK),
            via=_with(badcase_statuses),
        ),
        Field(
            "solvedin",
            badcase_statuses.c.week,
            "number",
            "In which week after its first report it was solved; 0 is the first.",
            via=lambda c: b.badcase_id.in_(
                select(badcase_statuses.c.badcase_id).where(badcase_statuses.c.status == SOLVED, c)
            ),
        ),
        Field(
            "observed",
            r.observed_at,
            "date",
            "When one of its reports was observed.",
            via=lambda c: b.badcase_id.in_(select(r.badcase_id).where(c)),
        ),
        Field("muted", b.muted_until, "date", "Until when it is muted."),
        Field("rejected", b.rejected, "text", "Why it was rejected."),
        Field("id", b.badcase_id, "text", "Its id."),
    ),
    text=_badcase_words,
    default_sort="-priority",
    shown=b.frequency != 0,
    families={FREE: _badcase_field},
)

searchable_reports = Searchable(
    "reports",
    r.number,
    (
        Field("badcase", r.badcase_id, "text", "The badcase that it is counted in."),
        Field("system", r.system, "text", "The system that failed.", counted=_reports_by(b.system)),
        Field("function", r.function, "text", "The function that failed.", counted=_reports_by(b.function)),
        Field(
            "version",
            r.version_order,
            "version",
            "The version that failed.",
            counted=_reports_by(badcase_versions.c.version),
        ),
        Field("model", r.model_id, "text", "The model that the client named."),
        Field("client", r.client, "text", "Who sent it.", counted=_reports_by(badcase_clients.c.client)),
        Field("device", r.device, "text", "The device that it was seen on."),
        Field("place", r.place, "text", "Where it happened.", counted=_reports_by(badcase_places.c.place)),
        Field("truth", r.truth, "text", "What is right, for classes.", aliases=("is",), counted=_reports_by(b.truth)),
        Field(
            "prediction",
            r.predicted,
            "text",
            "What was said, for classes.",
            aliases=("read",),
            counted=_reports_by(b.predicted),
        ),
        Field("score", r.score, "number", "How sure the model was, 0 to 1."),
        Field("severity", r.severity, "choice", "How bad it is.", choices=SEVERITIES, ordered=True),
        Field("kind", r.kind, "choice", "What it is a report of.", choices=KINDS),
        Field("observed", r.observed_at, "date", "When it was observed.", aliases=("observed_at",)),
        Field("position", r.number, "number", "Its position in the log.", aliases=("number",)),
        Field("sha256", r.sha256, "text", "SHA-256 of its file."),
        Field("media", r.media_type, "text", "The media type of its file."),
    ),
    text=_report_words,
    default_sort="-position",
    large=True,
    families={FREE: _report_field},
)


def counted_badcases() -> ColumnElement[bool]:
    """Badcases that have reports: one from which all were moved away is not shown."""
    # Not `> 0`: nearly all have some, and SQLite would walk the index of frequencies instead of a better one.
    return and_(b.frequency != 0)
