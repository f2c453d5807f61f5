"""Which rows of training data a query touches, document by document: what an exclusion would leave out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import func, select

from mlife.core.projection import Reader
from mlife.data.views.documents import DocumentView, document_list, rows_condition
from mlife.data.views.tables import documents, rows

MOST_DOCUMENTS = 500
SHOWN = 5
"""Documents of which the first rows are shown."""


@dataclass(frozen=True, slots=True)
class Touched:
    """A document, how many of its rows a query touches, and the numbers of the first of them."""

    document: DocumentView
    rows: int
    first: Sequence[int] = ()


def documents_of_function(read: Reader, system: str, function: str) -> list[DocumentView]:
    """The documents of a function, and those of none, that are no testing data; the youngest if they are many."""
    d = documents.c
    mine = ((d.system == system) & (d.function == function)) | (d.system.is_(None) & d.function.is_(None))
    ids = select(d.document_id).where(mine, d.purpose != "testing").order_by(d.place.desc()).limit(MOST_DOCUMENTS)
    return document_list(read, [row[0] for row in read.all(ids)])


def touched_rows(read: Reader, q: str, heads: Sequence[DocumentView], *, now: datetime) -> list[Touched]:
    """
    Those of the documents that have rows that *q* finds, most first.

    Raises:
        QueryError: it can't be asked.
    """
    if not heads:
        return []
    counted = read.all(
        select(rows.c.document_id, func.count().label("how_many"))
        .where(rows_condition(heads, q, now))
        .group_by(rows.c.document_id)
        .order_by(func.count().desc(), rows.c.document_id)
    )
    by_id = {head.document_id: head for head in heads}
    found = [Touched(by_id[row.document_id], row.how_many) for row in counted]
    return [replace(t, first=_first(read, t.document, heads, q, now)) for t in found[:SHOWN]] + found[SHOWN:]


def _first(read: Reader, of: DocumentView, heads: Sequence[DocumentView], q: str, now: datetime) -> list[int]:
    condition = rows_condition(heads, q, now)
    found = select(rows.c.number).where(condition, rows.c.document_id == of.document_id)
    return [row[0] for row in read.all(found.order_by(rows.c.number).limit(20))]
