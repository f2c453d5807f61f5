"""Data Analysis: what exactly the rows that were found are made of, counted by the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, func, literal, select

from mlife.core.projection import Reader
from mlife.data.analysis import FILE_SIZES, LARGEST_FILE, balance
from mlife.data.views.searching import is_stored
from mlife.data.views.tables import row_classes, rows

MOST = 200
"""Entries of one distribution; the rest is counted together."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """
    What rows are made of.

    Args:
        rows: how many. files: distinct files among them. documents: that they stand in.
        unlabelled: rows without annotation. missing: rows whose bytes are not in the store.
        bytes: of all rows that have a size.
        classes: class → rows that have it, most frequent first; a row with several counts for each.
        types: file type → rows; sizes: range of bytes → rows, smallest first; "" where it is not known.
        balance: entropy of the classes over its greatest value, 0 to 1; None with fewer than two.
        more_classes: classes beyond the 200 most frequent.
    """

    rows: int
    files: int
    documents: int
    unlabelled: int
    missing: int
    bytes: int
    classes: Mapping[str, int]
    types: Mapping[str, int]
    sizes: Mapping[str, int]
    balance: float | None
    more_classes: int = 0


def analyse(read: Reader, condition: ColumnElement[bool]) -> Statistics:
    """Count the rows of documents that meet *condition*."""
    total = read.one(
        select(
            func.count(),
            func.count(func.distinct(func.coalesce(rows.c.sha256, rows.c.md5))),
            func.count(func.distinct(rows.c.document_id)),
            func.coalesce(func.sum(case((rows.c.annotation_type.is_(None), 1), else_=0)), 0),
            func.coalesce(func.sum(rows.c.size), 0),
        ).where(condition)
    )
    count, distinct, in_documents, unlabelled, size = total if total is not None else (0, 0, 0, 0, 0)
    missing = read.value(select(func.count()).select_from(rows).where(condition, ~is_stored()))
    classes, more = _classes(read, condition)
    return Statistics(
        count, distinct, in_documents, unlabelled, missing, size, classes, _types(read, condition),
        _sizes(read, condition), balance(classes), more,
    )  # fmt: skip


def _classes(read: Reader, condition: ColumnElement[bool]) -> tuple[dict[str, int], int]:
    """Rows with one class by their label, and those with several by each of them."""
    counts: dict[str, int] = {}
    single = select(rows.c.label, func.count()).where(condition, rows.c.classes == 1).group_by(rows.c.label)
    several = (
        select(row_classes.c.label, func.count())
        .join(rows, rows.c.row_key == row_classes.c.row_key)
        .where(condition)
        .group_by(row_classes.c.label)
    )
    for statement in (single, several):
        for label, n in read.all(statement):
            counts[label] = counts.get(label, 0) + n
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return dict(ordered[:MOST]), max(0, len(ordered) - MOST)


def _types(read: Reader, condition: ColumnElement[bool]) -> dict[str, int]:
    found = read.all(
        select(rows.c.file_type, func.count())
        .where(condition)
        .group_by(rows.c.file_type)
        .order_by(func.count().desc(), rows.c.file_type)
        .limit(MOST)
    )
    return {kind or "": count for kind, count in found}


def _sizes(read: Reader, condition: ColumnElement[bool]) -> dict[str, int]:
    names = [name for _, name in FILE_SIZES] + [LARGEST_FILE]
    bucket = case(
        (rows.c.size.is_(None), literal(-1)),
        *((rows.c.size < limit, literal(at)) for at, (limit, _) in enumerate(FILE_SIZES)),
        else_=literal(len(FILE_SIZES)),
    ).label("bucket")
    counts: dict[int, int] = dict(
        tuple(r) for r in read.all(select(bucket, func.count()).where(condition).group_by(bucket))
    )
    known = {name: counts[at] for at, name in enumerate(names) if at in counts}
    return {**known, "": counts[-1]} if -1 in counts else known
