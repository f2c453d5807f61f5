"""What is known of the bytes that reports link to, and of copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import func, select

from mlife.badcases.views.tables import derived_rows, report_data, report_rows
from mlife.core.projection import Reader

d, r = report_data.c, report_rows.c


@dataclass(frozen=True, slots=True)
class LinkView:
    """
    A link that was read, or tried.

    Args:
        number: which of the report's links, from 0.
        sha256: of the bytes; None: they could not be had.
        reason, remedy: why not, and what to do. is_passing: another try may help.
    """

    position: int
    number: int
    sha256: str | None
    media_type: str
    reason: str
    remedy: str
    is_passing: bool
    told_at: datetime


@dataclass(frozen=True, slots=True)
class CopyView:
    """A file that was made of another: by which conversion, with what parameters."""

    sha256: str
    source: str
    operation: str
    parameters: dict[str, Any]
    media_type: str
    made_at: datetime


def links_of_report(read: Reader, position: int) -> dict[int, LinkView]:
    """Number of the link → what is known of it, for those that were tried."""
    rows = read.all(select(report_data).where(d.number == position).order_by(d.link))
    return {row.link: _link(row) for row in rows}


def unreadable(read: Reader, badcase_id: str, *, limit: int = 20) -> tuple[list[LinkView], int]:
    """Links of a badcase's reports that could not be read, the last tried first; and how many there are."""
    mine = report_data.join(report_rows, r.number == d.number)
    failed = (r.badcase_id == badcase_id) & d.sha256.is_(None)
    rows = read.all(
        select(report_data).select_from(mine).where(failed).order_by(d.told_at.desc(), d.number).limit(limit)
    )
    counted = read.one(select(func.count()).select_from(mine).where(failed))
    return [_link(row) for row in rows], counted[0] if counted is not None else 0


def positions_of(read: Reader, badcase_id: str, *, limit: int) -> list[int]:
    """Positions of a badcase's reports, the newest first."""
    return [
        row.number
        for row in read.all(select(r.number).where(r.badcase_id == badcase_id).order_by(r.number.desc()).limit(limit))
    ]


def here(read: Reader, positions: Sequence[int]) -> set[tuple[int, int]]:
    """Of the reports at *positions*: (position, number) of the links whose bytes are in the store."""
    if not positions:
        return set()
    rows = read.all(select(d.number, d.link).where(d.number.in_(list(positions)), d.sha256.is_not(None)))
    return {(row.number, row.link) for row in rows}


def copies_of(read: Reader, sha256: str) -> list[CopyView]:
    """Copies that were made of a file, the last first."""
    c = derived_rows.c
    rows = read.all(select(derived_rows).where(c.source == sha256).order_by(c.number.desc()).limit(50))
    return [
        CopyView(row.sha256, row.source, row.operation, orjson.loads(row.parameters), row.media_type, row.made_at)
        for row in rows
    ]


def _link(row: Any) -> LinkView:
    return LinkView(
        row.number,
        row.link,
        row.sha256,
        row.media_type,
        row.reason,
        row.remedy,
        bool(row.is_passing),
        row.told_at,
    )
