"""What handlers decide: alarms, closings, regressions. They judged on the query tables; here it is recorded."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mlife.badcases.events import AlarmRaised, BadcaseClosed, BadcaseRegressed
from mlife.badcases.states import Alarm, Badcase
from mlife.core.command import Given
from mlife.core.events import Event, derived_id

NAMED_IN_ALARM = 200


class Closing(BaseModel):
    """A badcase that is fixed, active, and baked. `bake`: requests since the activation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    badcase_id: str
    model_id: str
    deployment_id: str
    bake: int
    sentence: str
    iteration_id: str | None = None


class Regression(BaseModel):
    """A badcase that came back; the fields are those of `BadcaseRegressed`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    badcase_id: str
    model_id: str
    fixed_by: str
    deployment_id: str | None
    files: int
    requests: int
    accepted: float
    p_value: float
    sentence: str
    iteration_id: str | None = None


def settle(given: Given, *, closings: list[Closing], regressions: list[Regression]) -> list[Event]:
    """
    Record what the field showed of many badcases, in one append.

    A badcase that has become rejected or closed meanwhile, or regressed on the same model, is passed over.
    """
    events: list[Event] = []
    for regression in regressions:
        badcase = given(Badcase, regression.badcase_id)
        if badcase.rejected is None and badcase.regressed_by != regression.model_id:
            events.append(BadcaseRegressed(**regression.model_dump()))
    regressed = {r.badcase_id for r in regressions}
    for closing in closings:
        badcase = given(Badcase, closing.badcase_id)
        if badcase.rejected is None and badcase.closed_by is None and closing.badcase_id not in regressed:
            events.append(BadcaseClosed(**closing.model_dump()))
    return events


def raise_alarm(
    given: Given,
    *,
    system: str,
    function: str,
    version: str,
    ordinal: Annotated[int, Field(ge=0)],
    since: datetime,
    until: datetime,
    badcase_ids: list[str],
    reports: int,
    rate: float | None,
    usual: float | None,
    sentence: str,
) -> list[Event]:
    """
    One alarm for all badcases of a shift.

    Args:
        ordinal: how many alarms about the version were acknowledged before; with it the alarm's id is a function of
            what it is about, so that a wave in several runs raises one.
        badcase_ids: most reports first.
    """
    alarm_id = f"alm-{derived_id('alarm', system, function, version, ordinal).hex()[:12]}"
    if given(Alarm, alarm_id).exists:
        return []
    return [
        AlarmRaised(
            alarm_id=alarm_id,
            system=system,
            function=function,
            version=version,
            from_=since,
            to=until,
            badcase_ids=tuple(badcase_ids[:NAMED_IN_ALARM]),
            badcases=len(badcase_ids),
            reports=reports,
            rate=rate,
            usual=usual,
            sentence=sentence,
        )
    ]
