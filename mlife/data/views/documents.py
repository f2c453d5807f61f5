"""Documents and their rows: lists, one of them, what they are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select

from mlife.core.projection import Reader
from mlife.core.query import Listing, compile_query, page, parse, read_page, starts_with
from mlife.core.tables import AnyRow
from mlife.data.views.searching import searchable_documents, searchable_rows
from mlife.data.views.tables import documents, files, rows

RUN = 2_000
"""Rows read at a time when all of them are."""

_HEAD = [c for c in documents.c if c.name != "place"]


@dataclass(frozen=True, slots=True)
class DocumentView:
    """
    A table of labelled files.

    Args:
        columns: free column → type.
        rows: those that it has now.
        next_number: of the next row.
        version: of its stream.
    """

    document_id: str
    name: str
    system: str | None
    function: str | None
    purpose: str
    form: str
    columns: Mapping[str, str]
    rows: int
    next_number: int
    version: int
    request_id: str | None
    iteration_id: str | None
    made_by: str | None
    imported_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class RowView:
    """
    A row of a document.

    Args:
        sha256: of the row, else of the one stored file that has its MD5; None if neither is known.
        stored: are its bytes in the store?
        media_type: of the stored file; None without one.
        body: all of the row, as in a JSON document.
    """

    document_id: str
    number: int
    path: str
    md5: str
    sha256: str | None
    label: str | None
    file_type: str | None
    size: int | None
    stored: bool
    media_type: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_picture(self) -> bool:
        """Can a thumbnail be drawn of it?"""
        kind = self.media_type or ""
        return self.stored and kind.startswith("image/") and kind != "image/svg+xml"

    @property
    def key(self) -> str:
        """What selects it in its document."""
        return str(self.number)


def document(read: Reader, document_id: str) -> DocumentView | None:
    """The document of that id."""
    found = read.one(select(*_HEAD).where(documents.c.document_id == document_id))
    return None if found is None else DocumentView(*found)


def document_list(read: Reader, document_ids: Sequence[str]) -> list[DocumentView]:
    """Those of the documents that exist, in the order asked."""
    statement = select(*_HEAD).where(documents.c.document_id.in_(document_ids))
    found = {view.document_id: view for view in (DocumentView(*r) for r in read.all(statement))}
    return [found[i] for i in dict.fromkeys(document_ids) if i in found]


def document_page(
    read: Reader, q: str, *, now: datetime, sort: str | None = None, after: str | None = None, limit: int = 50
) -> Listing[DocumentView]:
    """A page of the documents that *q* finds."""
    asked = page(select(*_HEAD), searchable_documents, q, now=now, sort=sort, after=after, limit=limit)
    return read_page(read, asked, lambda heads: [DocumentView(*r[: len(_HEAD)]) for r in heads], among=documents)


def rows_in_documents(q: str, now: datetime) -> ColumnElement[bool]:
    """The condition of being a row of a document that *q* finds."""
    condition = compile_query(parse(q), searchable_documents, now)
    return rows.c.document_id.in_(select(documents.c.document_id).where(condition))


def rows_condition(
    heads: Sequence[DocumentView], q: str, now: datetime, numbers: Sequence[int] = ()
) -> ColumnElement[bool]:
    """
    The condition of being a row of *heads* that *q* finds.

    Args:
        numbers: only rows with these numbers, of the one document.
    """
    free = {name: kind for head in heads for name, kind in head.columns.items()}
    parts: list[ColumnElement[bool]] = [rows.c.document_id.in_([h.document_id for h in heads])]
    if q.strip():
        parts.append(compile_query(parse(q), searchable_rows(free), now))
    if numbers:
        parts.append(rows.c.number.in_(numbers))
    return and_(*parts)


def row_page(
    read: Reader,
    heads: Sequence[DocumentView],
    q: str,
    *,
    now: datetime,
    sort: str | None = None,
    after: str | None = None,
    limit: int = 50,
) -> Listing[RowView]:
    """A page of the rows of *heads* that *q* finds."""
    free = {name: kind for head in heads for name, kind in head.columns.items()}
    theirs = rows.c.document_id.in_([h.document_id for h in heads])
    asked = page(_rows().where(theirs), searchable_rows(free), q, now=now, sort=sort, after=after, limit=limit)
    return read_page(read, asked, lambda found: [_row(r) for r in found], among=rows, where=theirs)


def row(read: Reader, document_id: str, number: int) -> RowView | None:
    """One row of a document."""
    found = read.one(_rows().where(rows.c.document_id == document_id, rows.c.number == number))
    return None if found is None else _row(found)


def bodies(
    read: Reader, heads: Sequence[DocumentView], condition: ColumnElement[bool]
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """
    Every row of *heads* that meets *condition* as (document id, number, row as in a JSON document).

    They come document by document, in the order of their numbers: that walks one index, whatever the condition is.
    """
    for head in heads:
        last = 0
        while True:
            found = read.all(
                select(rows.c.number, rows.c.body)
                .where(rows.c.document_id == head.document_id, rows.c.number > last, condition)
                .order_by(rows.c.number)
                .limit(RUN)
            )
            for number, body in found:
                yield head.document_id, number, body
            if len(found) < RUN:
                break
            last = found[-1][0]


def numbers_of(read: Reader, condition: ColumnElement[bool]) -> list[int]:
    """The numbers of the rows that meet *condition*, ascending."""
    return [r[0] for r in read.all(select(rows.c.number).where(condition).order_by(rows.c.number))]


def rows_at(read: Reader, document_id: str, paths: Sequence[str], md5s: Sequence[str]) -> dict[tuple[str, str], int]:
    """(MD5, path) → number of the rows of a document that are among these."""
    found = read.all(
        select(rows.c.md5, rows.c.path, rows.c.number).where(
            rows.c.document_id == document_id, rows.c.md5.in_(md5s), rows.c.path.in_(paths)
        )
    )
    return {(md5, path): number for md5, path, number in found}


def test_document(read: Reader, system: str, function: str) -> DocumentView | None:
    """The test document of a function; None if nothing was pinned yet."""
    found = read.one(
        select(*_HEAD)
        .where(
            documents.c.system == system,
            documents.c.function == function,
            documents.c.purpose == "testing",
            starts_with(documents.c.document_id, "doc-test-"),
        )
        .order_by(documents.c.place)
    )
    return None if found is None else DocumentView(*found)


def test_document_rows(read: Reader, system: str, function: str) -> list[RowView]:
    """The rows of the test document of a function, in order; none without one."""
    head = test_document(read, system, function)
    if head is None:
        return []
    found = read.all(_rows().where(rows.c.document_id == head.document_id).order_by(rows.c.row_key))
    return [_row(r) for r in found]


@dataclass(frozen=True, slots=True)
class PinnedRow:
    """A testing row that stands for a report. `annotation` is the truth; `uid` the report."""

    badcase_id: str
    document_id: str
    number: int
    sha256: str
    annotation: Any
    label: str | None
    must_pass: bool
    uid: str | None


def pinned(read: Reader, badcase_ids: Sequence[str]) -> dict[str, list[PinnedRow]]:
    """Badcase → its pinned rows, in the order of pinning; badcases without any are left out."""
    by_badcase: dict[str, list[PinnedRow]] = {}
    for start in range(0, len(badcase_ids), 500):
        found = read.all(
            select(rows.c.badcase_id, rows.c.document_id, rows.c.number, rows.c.sha256, rows.c.label, rows.c.body)
            .where(rows.c.badcase_id.in_(badcase_ids[start : start + 500]))
            .order_by(rows.c.row_key)
        )
        for badcase_id, document_id, number, sha256, label, body in found:
            by_badcase.setdefault(badcase_id, []).append(
                PinnedRow(
                    badcase_id,
                    document_id,
                    number,
                    sha256 or "",
                    body.get("annotation"),
                    label,
                    bool(body.get("must_pass")),
                    body.get("report"),
                )
            )
    return by_badcase


def _rows() -> Select[Any]:
    """Rows with the file that each names, by SHA-256 or, where that is not known, by MD5."""
    same = files.alias("file_of_md5")
    by_md5 = select(same.c.sha256).where(same.c.md5 == rows.c.md5).order_by(same.c.place).limit(1).scalar_subquery()
    digest = func.coalesce(rows.c.sha256, by_md5)
    return select(
        rows.c.document_id,
        rows.c.number,
        rows.c.path,
        rows.c.md5,
        digest.label("file_sha256"),
        rows.c.label,
        rows.c.file_type,
        func.coalesce(rows.c.size, files.c.size).label("file_size"),
        files.c.sha256.is_not(None).label("stored"),
        files.c.media_type,
        rows.c.body,
    ).outerjoin_from(rows, files, files.c.sha256 == digest)


def _row(r: AnyRow) -> RowView:
    return RowView(r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], bool(r[8]), r[9], r[10])
