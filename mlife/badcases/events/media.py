"""What becomes of the bytes that reports link to."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from mlife.core.events import Event, event

JSON = dict[str, Any]
LINKS_IN_EVENT = 8
"""Links that are read as one step: so many may hold up what else waits to be handled."""


@event("mlife.report.data_wanted", stream="links/{badcase_id}", key="badcase_id")
class ReportDataWanted(Event):
    """
    Somebody, or the triage, wants to have the bytes that reports of a badcase link to; a handler reads them.

    Fields:
        links: `{"position", "uid", "number"}`: position and uid of a report, and which of its links, from 0.
    """

    badcase_id: str
    links: tuple[JSON, ...] = Field(min_length=1, max_length=LINKS_IN_EVENT)
    by: str | None = None


@event("mlife.report.data_fetched", stream="report-data/{uid}", key="badcase_id")
class ReportDataFetched(Event):
    """
    The bytes of one of a report's links are in the store: they were read, or somebody sent them.

    Fields:
        uid, position: of the report. number: which of its links, from 0.
        sha256, md5, size, media_type: of the bytes; the type was found by looking at them.
        name: the last part of the link; empty where links are sealed.
        how: `read` from the link, or `sent` by somebody.
    """

    uid: str
    position: int = Field(ge=1)
    number: int = Field(ge=0)
    badcase_id: str
    sha256: str
    md5: str
    size: int = Field(ge=0)
    media_type: str
    name: str = ""
    how: Literal["read", "sent"] = "read"
    by: str | None = None


@event("mlife.report.data_unreadable", stream="report-data/{uid}", key="badcase_id")
class ReportDataUnreadable(Event):
    """
    The bytes of one of a report's links could not be had.

    Fields:
        reason: why, as the predicate of a sentence about the link.
        remedy: what to do about it. is_passing: another try may help.
    """

    uid: str
    position: int = Field(ge=1)
    number: int = Field(ge=0)
    badcase_id: str
    reason: str
    remedy: str = ""
    is_passing: bool = False
