"""Until when something may ask for no attention: the same for badcases and for rules of alarms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mlife.core.command import Given
from mlife.core.errors import Refused

LONGEST_MUTE = timedelta(days=366)


def end_of_mute(given: Given, until: datetime, reason: str) -> datetime:
    """
    *until* in UTC; without a zone it is meant so.

    Raises:
        Refused: no reason is given, or it is not in the future, or more than a year ahead.
    """
    until = until.replace(tzinfo=UTC) if until.tzinfo is None else until
    if not reason.strip():
        raise Refused("a mute needs a reason", remedy="say why it may wait")
    if not given.now < until <= given.now + LONGEST_MUTE:
        raise Refused(
            f"{until:%Y-%m-%d %H:%M %Z} is no time to mute until", remedy="choose a moment within a year from now"
        )
    return until.astimezone(UTC)  # now that it is near: the last days of all calendars have no other zone
