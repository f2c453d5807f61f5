"""Collection requests: what is wanted, what came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import func, select

from mlife.core.projection import Reader
from mlife.core.query import Listing, page, read_page
from mlife.core.tables import AnyRow
from mlife.data.views.searching import searchable_requests
from mlife.data.views.tables import documents, request_classes, request_documents, requests

_HEAD = [c for c in requests.c if c.name != "place"]


@dataclass(frozen=True, slots=True)
class ClassProgress:
    """Rows of one class: wanted, received (0 wanted: nobody asked for it)."""

    label: str
    wanted: int
    received: int

    @property
    def share(self) -> float:
        """How much of it has come, 0 to 1."""
        return min(1.0, self.received / self.wanted) if self.wanted else 1.0


@dataclass(frozen=True, slots=True)
class RequestView:
    """
    A demand for data.

    Args:
        state: `open`, `complete` or `given up`.
        wanted, received: rows in all classes together; what nobody asked for is received too.
        classes: those wanted first, then others that came.
        answers: (document id, name, rows) that came in for it.
    """

    request_id: str
    system: str
    function: str
    what: str
    cause_id: str | None
    iteration_id: str | None
    made_by: str | None
    state: str
    note: str
    wanted: int
    received: int
    requested_at: datetime
    version: int
    classes: Sequence[ClassProgress] = ()
    answers: Sequence[tuple[str, str, int]] = ()

    @property
    def useful(self) -> int:
        """Rows received that were asked for."""
        return sum(min(c.wanted, c.received) for c in self.classes)

    @property
    def share(self) -> float:
        """How much of what is wanted has come, 0 to 1."""
        return self.useful / self.wanted if self.wanted else 1.0

    @property
    def still_wanted(self) -> Mapping[str, int]:
        """Class → rows that have not come yet."""
        return {c.label: c.wanted - c.received for c in self.classes if c.received < c.wanted}


def request(read: Reader, request_id: str) -> RequestView | None:
    """The request of that id, with its progress."""
    found = _with_progress(read, read.all(select(*_HEAD).where(requests.c.request_id == request_id)))
    return found[0] if found else None


def request_page(
    read: Reader, q: str, *, now: datetime, sort: str | None = None, after: str | None = None, limit: int = 50
) -> Listing[RequestView]:
    """A page of the requests that *q* finds."""
    asked = page(select(*_HEAD), searchable_requests, q, now=now, sort=sort, after=after, limit=limit)
    return read_page(read, asked, lambda heads: _with_progress(read, heads), among=requests)


def requests_for(
    read: Reader,
    *,
    iteration_id: str | None = None,
    cause_id: str | None = None,
    state: str | None = None,
) -> list[RequestView]:
    """Requests of an iteration, of a cause, or in a state, newest first."""
    statement = select(*_HEAD)
    for column, value in (
        (requests.c.iteration_id, iteration_id),
        (requests.c.cause_id, cause_id),
        (requests.c.state, state),
    ):
        if value is not None:
            statement = statement.where(column == value)
    return _with_progress(read, read.all(statement.order_by(requests.c.place.desc())))


def open_requests(read: Reader) -> int:
    """How many wait for data."""
    return int(read.value(select(func.count()).select_from(requests).where(requests.c.state == "open")))


def _with_progress(read: Reader, heads: Sequence[AnyRow]) -> list[RequestView]:
    ids = [str(h[0]) for h in heads]
    classes: dict[str, list[ClassProgress]] = {}
    for request_id, *of_class in read.all(
        select(
            request_classes.c.request_id,
            request_classes.c.label,
            request_classes.c.wanted,
            request_classes.c.received,
        )
        .where(request_classes.c.request_id.in_(ids))
        .order_by(request_classes.c.wanted == 0, request_classes.c.label)
    ):
        classes.setdefault(request_id, []).append(ClassProgress(*of_class))
    answers: dict[str, list[tuple[str, str, int]]] = {}
    for request_id, document_id, name, count in read.all(
        select(
            request_documents.c.request_id,
            request_documents.c.document_id,
            documents.c.name,
            request_documents.c.rows,
        )
        .outerjoin_from(request_documents, documents, documents.c.document_id == request_documents.c.document_id)
        .where(request_documents.c.request_id.in_(ids))
        .order_by(request_documents.c.place)
    ):
        answers.setdefault(request_id, []).append((document_id, name or document_id, count))
    return [
        replace(RequestView(*h[: len(_HEAD)]), classes=classes.get(i, []), answers=answers.get(i, []))
        for i, h in zip(ids, heads, strict=True)
    ]
