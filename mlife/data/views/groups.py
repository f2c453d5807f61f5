"""Groups: frozen rows, and their seal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from mlife.core.projection import Reader
from mlife.core.query import Listing, page, read_page
from mlife.core.tables import AnyRow
from mlife.data.views.searching import searchable_groups
from mlife.data.views.tables import files, group_rows, groups

RUN = 2_000
_HEAD = [c for c in groups.c if c.name != "place"]
_KNOWN = frozenset(
    "path md5 annotation sha256 size media_type file_type collection_place captured_at sequence prelabel"
    " prelabel_model labelled_by labelled_at".split()
)


@dataclass(frozen=True, slots=True)
class GroupView:
    """
    A frozen selection of rows.

    Args:
        task_id: of the task that was drafted with it.
        sources: document id → version of its stream that was read.
        digest: SHA-256 over the frozen rows, canonical JSON, one a line.
        checked_at: position at which the leakage guard looked; left_out: rows that it kept out.
        sample: how rows were drawn, in words; empty: all. duplicates: rows that named a file again.
    """

    group_id: str
    task_id: str
    name: str
    purpose: str
    system: str | None
    function: str | None
    sources: Mapping[str, int]
    query: str
    sample: str
    rows: int
    by_class: Mapping[str, int]
    digest: str
    checked_at: int
    left_out: int
    duplicates: int
    iteration_id: str | None
    made_by: str | None
    grouped_at: datetime


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A frozen row. `number` counts from 1; `body` is all of it, as in a JSON document."""

    number: int
    sha256: str
    md5: str
    path: str
    label: str | None
    body: Mapping[str, Any]
    media_type: str | None = None

    @property
    def annotation(self) -> Any:
        """A plain label, or JSON of a richer type; None if it is not labelled."""
        return self.body.get("annotation")

    @property
    def fields(self) -> dict[str, Any]:
        """The free columns."""
        return {name: value for name, value in self.body.items() if name not in _KNOWN}

    @property
    def has_picture(self) -> bool:
        """Can a thumbnail be drawn of it?"""
        kind = self.media_type or ""
        return kind.startswith("image/") and kind != "image/svg+xml"


def group(read: Reader, group_id: str) -> GroupView | None:
    """The group of that id."""
    found = read.one(select(*_HEAD).where(groups.c.group_id == group_id))
    return None if found is None else GroupView(*found)


def group_page(
    read: Reader, q: str, *, now: datetime, sort: str | None = None, after: str | None = None, limit: int = 50
) -> Listing[GroupView]:
    """A page of the groups that *q* finds."""
    asked = page(select(*_HEAD), searchable_groups, q, now=now, sort=sort, after=after, limit=limit)
    return read_page(read, asked, lambda rows: [GroupView(*r[: len(_HEAD)]) for r in rows], among=groups)


def groups_of_document(read: Reader, document_id: str) -> list[GroupView]:
    """The groups that were frozen from a document, newest first."""
    found = read.all(select(*_HEAD).where(groups.c.sources[document_id].is_not(None)).order_by(groups.c.place.desc()))
    return [g for g in (GroupView(*r) for r in found) if document_id in g.sources]


def group_rows_after(read: Reader, group_id: str, after: int = 0, limit: int = RUN) -> list[GroupRow]:
    """Up to *limit* frozen rows after number *after*, in their order."""
    found = read.all(
        select(
            group_rows.c.number, group_rows.c.sha256, group_rows.c.md5, group_rows.c.path, group_rows.c.label,
            group_rows.c.body, files.c.media_type,
        )
        .outerjoin_from(group_rows, files, files.c.sha256 == group_rows.c.sha256)
        .where(group_rows.c.group_id == group_id, group_rows.c.number > after)
        .order_by(group_rows.c.number)
        .limit(limit)
    )  # fmt: skip
    return [_row(r) for r in found]


def group_rows_of(read: Reader, group_id: str) -> Iterator[GroupRow]:
    """All frozen rows in their order, read in runs."""
    last = 0
    while found := group_rows_after(read, group_id, last):
        yield from found
        last = found[-1].number


def _row(found: AnyRow) -> GroupRow:
    return GroupRow(*found)
