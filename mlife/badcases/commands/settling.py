"""What handlers decide: closings, regressions. They judged on the query tables; here it is recorded."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pydantic import BaseModel, ConfigDict

from mlife.badcases.events import BadcaseClosed, BadcaseRegressed, BadcaseReopened
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


class Reopening(BaseModel):
    """A closing by *model_id*, or a return in it, that no longer holds for what is counted in the badcase now."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    badcase_id: str
    model_id: str
    sentence: str


def settle(
    given: Given, *, closings: list[Closing], regressions: list[Regression], reopenings: Sequence[Reopening] = ()
) -> list[Event]:
    """
    Record what the field showed of many badcases, in one append.

    A badcase that has become rejected or closed meanwhile, or regressed on the same model, is passed over.
    """
    events: list[Event] = []
    reopened: set[str] = set()
    for reopening in reopenings:
        badcase = given(Badcase, reopening.badcase_id)
        if reopening.model_id in (badcase.closed_by, badcase.regressed_by):
            reopened.add(reopening.badcase_id)
            events.append(
                BadcaseReopened(badcase_id=reopening.badcase_id, reason=reopening.sentence, judged=True, by=None)
            )
    for regression in regressions:
        badcase = given(Badcase, regression.badcase_id)
        if badcase.rejected is None and badcase.regressed_by != regression.model_id:
            events.append(BadcaseRegressed(**regression.model_dump()))
    regressed = {r.badcase_id for r in regressions}
    for closing in closings:
        badcase = given(Badcase, closing.badcase_id)
        if badcase.rejected is None and _is_open(badcase, reopened) and closing.badcase_id not in regressed:
            events.append(BadcaseClosed(**closing.model_dump()))
    return events


def _is_open(badcase: Badcase, reopened: Collection[str]) -> bool:
    return badcase.closed_by is None or badcase.id in reopened
