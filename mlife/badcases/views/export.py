"""Badcases and reports as plain rows, as many as there are: for exports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select

from mlife.badcases.exporting import Column
from mlife.badcases.views.search import (
    FREE,
    counted_badcases,
    searchable_badcases,
    searchable_reports,
    severity_word,
)
from mlife.badcases.views.tables import badcase_rows, badcase_versions, report_fields, report_rows
from mlife.core.projection import Reader
from mlife.core.query import Searchable, compile_query, in_order, parse
from mlife.core.tables import AnyRow

b, r, v, f = badcase_rows.c, report_rows.c, badcase_versions.c, report_fields.c
PART = 5_000
"""Rows that are in memory at once."""

_lowest = (
    select(v.version).where(v.badcase_id == b.badcase_id).order_by(v.version_order, v.version).limit(1)
).scalar_subquery()
_highest = (
    select(v.version).where(v.badcase_id == b.badcase_id).order_by(v.version_order.desc(), v.version.desc()).limit(1)
).scalar_subquery()

BADCASES: Sequence[tuple[Column, ColumnElement[Any]]] = (
    (Column("badcase_id", "text"), b.badcase_id),
    (Column("system", "text"), b.system),
    (Column("function", "text"), b.function),
    (Column("title", "text"), b.title),
    (Column("truth", "text"), b.truth),
    (Column("prediction", "text"), b.predicted),
    (Column("status", "text"), b.status),
    (Column("reports", "integer"), b.frequency),
    (Column("clients", "integer"), b.client_count),
    (Column("severity", "text"), severity_word),
    (Column("priority", "number"), b.priority),
    (Column("owner", "text"), b.owner),
    (Column("first_at", "moment"), b.first_at),
    (Column("last_at", "moment"), b.last_at),
    (Column("first_version", "text"), func.coalesce(_lowest, "")),
    (Column("last_version", "text"), func.coalesce(_highest, "")),
    (Column("muted_until", "moment"), b.muted_until),
    (Column("rejected", "text"), b.rejected),
    (Column("closed_by", "text"), b.closed_by),
    (Column("regressed_by", "text"), b.regressed_by),
    (Column("said", "text"), b.said),
)
REPORTS: Sequence[tuple[Column, ColumnElement[Any]]] = (
    (Column("position", "integer"), r.number),
    (Column("uid", "text"), r.uid),
    (Column("badcase_id", "text"), r.badcase_id),
    (Column("system", "text"), r.system),
    (Column("function", "text"), r.function),
    (Column("version", "text"), r.version),
    (Column("model_id", "text"), r.model_id),
    (Column("client", "text", sealed=True), r.client),
    (Column("device", "text", sealed=True), r.device),
    (Column("place", "text", sealed=True), r.place),
    (Column("severity", "text"), r.severity),
    (Column("kind", "text"), r.kind),
    (Column("observed_at", "moment"), r.observed_at),
    (Column("truth", "text"), r.truth),
    (Column("prediction", "text"), r.predicted),
    (Column("score", "number"), r.score),
    (Column("sha256", "text"), r.sha256),
    (Column("media_type", "text"), r.media_type),
    (Column("description", "text", sealed=True), r.description),
)


def columns_of(of: str, declared: Mapping[str, str] | None = None) -> list[Column]:
    """
    The columns of an export of badcases or reports, in order.

    Args:
        declared: names and types of declared fields (`views.fields.sought`); each is a column of an export of reports.
    """
    return [column for column, _ in _shape(of, declared)[1]]


def rows_of(
    read: Reader,
    of: str,
    q: str = "",
    *,
    now: datetime,
    sort: str | None = None,
    only: Sequence[str] | None = None,
    declared: Mapping[str, str] | None = None,
    size: int = PART,
) -> Iterator[Sequence[AnyRow]]:
    """
    Every badcase or report that matches, part by part, all as they are at one moment.

    Args:
        of: badcases or reports.
        sort: None: as the list shows them.
        only: ids of badcases, positions of reports; None: all that match.
        declared: as for `columns_of`.

    Raises:
        QueryError: the query or the sort can't be used; said before the first row.
    """
    searchable, shape = _shape(of, declared)
    conditions = [compile_query(parse(q), searchable, now)]
    if of == "badcases":
        conditions.append(counted_badcases())
    if only is not None:
        keys: list[Any] = list(only) if of == "badcases" else [int(n) for n in only if n.isdecimal() and len(n) < 19]
        conditions.append(searchable.key.in_(keys))
    statement = select(*(value.label(column.name) for column, value in shape)).where(and_(*conditions))
    return read.parts(in_order(statement, searchable, sort), size)


def _shape(
    of: str, declared: Mapping[str, str] | None
) -> tuple[Searchable, Sequence[tuple[Column, ColumnElement[Any]]]]:
    if of != "reports":
        return searchable_badcases, BADCASES
    return searchable_reports, [*REPORTS, *(_field(name, kind) for name, kind in (declared or {}).items())]


def _field(name: str, kind: str) -> tuple[Column, ColumnElement[Any]]:
    """The column of a declared field."""
    is_number = kind == "number"
    value = select(f.amount if is_number else f.value).where(f.number == r.number, f.name == name)
    return Column(f"{FREE}{name}", "number" if is_number else "text"), value.scalar_subquery()
