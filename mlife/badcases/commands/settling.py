"""What handlers decide: closings, regressions. They judged on the query tables; here it is recorded."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from mlife.badcases.events import BadcaseClosed, BadcaseRegressed
from mlife.badcases.states import Badcase
from mlife.core.command import Given
from mlife.core.events import Event


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
