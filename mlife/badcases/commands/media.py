"""Decisions about the bytes that reports link to."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from mlife.badcases.events.media import LINKS_IN_EVENT, ReportDataFetched, ReportDataUnreadable, ReportDataWanted
from mlife.badcases.linked import ReportData
from mlife.core.command import Given
from mlife.core.errors import Refused
from mlife.core.events import Event

Name = Annotated[str, Field(min_length=1, max_length=128)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Position = Annotated[int, Field(ge=1)]
Number = Annotated[int, Field(ge=0, lt=100)]
MOST_WANTED = 200
"""Links that are asked for at once."""


def want_data(
    given: Given, *, badcase_id: Name, links: Annotated[list[dict[str, Any]], Field(max_length=MOST_WANTED)]
) -> list[Event]:
    """Ask for the bytes of links, in steps of a few, so that others' turns come in between."""
    steps = [links[n : n + LINKS_IN_EVENT] for n in range(0, len(links), LINKS_IN_EVENT)]
    return [ReportDataWanted(badcase_id=badcase_id, links=tuple(some), by=given.actor) for some in steps]


def record_data(
    given: Given,
    *,
    uid: Name,
    position: Position,
    number: Number,
    badcase_id: Name,
    sha256: Sha256,
    md5: str,
    size: int,
    media_type: str,
    expected: Sha256 | None = None,
    name: str = "",
    how: Literal["read", "sent"] = "read",
) -> list[Event]:
    """
    Say that the bytes of a report's link are in the store; the same bytes again change nothing.

    Args:
        expected: the digest that the report gives.

    Raises:
        Refused: they are not what the report says, or others than were there before: an original is immutable.
    """
    before = given(ReportData, uid).fetched.get(number)
    wanted = expected or before
    if wanted is not None and wanted != sha256:
        raise Refused(
            f"these bytes have the SHA-256 {sha256[:16]}…, and "
            f"{'the report says' if expected else 'those that came before have'} {wanted[:16]}…",
            remedy="send the file that was reported, or report again",
        )
    if before == sha256:
        return []
    return [
        ReportDataFetched(
            uid=uid,
            position=position,
            number=number,
            badcase_id=badcase_id,
            sha256=sha256,
            md5=md5,
            size=size,
            media_type=media_type,
            name=name[:256],
            how=how,
            by=given.actor,
        )
    ]


def record_unreadable(
    given: Given,
    *,
    uid: Name,
    position: Position,
    number: Number,
    badcase_id: Name,
    reason: str,
    remedy: str = "",
    is_passing: bool = False,
) -> list[Event]:
    """Say why the bytes of a link could not be had; the same reason again changes nothing."""
    known = given(ReportData, uid)
    if number in known.fetched or known.unreadable.get(number) == reason:
        return []
    return [
        ReportDataUnreadable(
            uid=uid,
            position=position,
            number=number,
            badcase_id=badcase_id,
            reason=reason[:500],
            remedy=remedy[:500],
            is_passing=is_passing,
        )
    ]
