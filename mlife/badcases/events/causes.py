"""Causes: why badcases happen, and what is done about it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mlife.core.events import Event, event


@event("mlife.cause.named", stream="cause/{cause_id}", key="cause_id")
class CauseNamed(Event):
    """A person (or a proposal that a person took) says why several badcases happen."""

    cause_id: str
    system: str
    function: str
    title: str
    explanation: str = ""
    badcase_ids: tuple[str, ...] = ()
    by: str | None = None


@event("mlife.cause.extended", stream="cause/{cause_id}", key="cause_id")
class CauseExtended(Event):
    """More badcases have this cause."""

    cause_id: str
    badcase_ids: tuple[str, ...] = Field(min_length=1)
    by: str | None = None


@event("mlife.cause.remedy_chosen", stream="cause/{cause_id}", key="cause_id")
class CauseRemedyChosen(Event):
    """What is done about it."""

    cause_id: str
    remedy: Literal["collect", "exclude", "relabel", "fix_code", "wont_fix"]
    note: str = ""
    by: str | None = None
