"""Alarms: failures that came together, and whether somebody saw them."""

from __future__ import annotations

from datetime import datetime

from pydantic import ConfigDict

from mlife.badcases.events.moments import From
from mlife.core.events import Event, event


@event("mlife.alarm.raised", stream="alarm/{alarm_id}", key="alarm_id")
class AlarmRaised(Event):
    """
    Failures of one function that came together: one alarm for all badcases of one shift.

    Fields:
        badcase_ids: the new or rising badcases, most reports first, at most 200.
        badcases: how many there are. reports: how many reports they have.
        rate: reports per request in the window; None without traffic counts. usual: the rate before it.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    alarm_id: str
    system: str
    function: str
    version: str
    from_: From
    to: datetime
    badcase_ids: tuple[str, ...]
    badcases: int
    reports: int
    rate: float | None
    usual: float | None
    sentence: str


@event("mlife.alarm.acknowledged", stream="alarm/{alarm_id}", key="alarm_id")
class AlarmAcknowledged(Event):
    """A person saw it."""

    alarm_id: str
    note: str = ""
    by: str | None = None
