"""
What rules say, and when they raise and end an alarm. Pure: counts in, words out.

A rule has two lines. What it measures must reach the upper one to raise an alarm and fall to the lower one to end it,
so that a value which trembles about one of them is one alarm and not many (docs/alarms.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mlife.core.statistics import rate_excess

Kind = Literal["new_badcase", "rate_change", "pinned_again", "open_cost"]
Channel = Literal["webhook", "mail"]
DAY = timedelta(days=1)

AGAIN_BADCASES = 5
AGAIN_SHARE = 0.5
"""After an acknowledged alarm: the next one needs this many new badcases, and this share of the last one's."""


class Rule(BaseModel):
    """
    What somebody wants to be told of.

    Fields:
        q: which badcases it looks at, in the query language; empty: all.
        least: reports that are needed, whatever the rate says.
        line: rate_change: how many times the usual rate raises an alarm; open_cost: the sum that does.
        lower: the same for the end of the alarm; below `line`.
        significance: p below which a rate is believed (exact, one-sided).
        window_days: days that are compared, today being one; past_days: with how many before them.
        measure: what open_cost adds up.
        deliver: by what it is told, where that is configured; pages and bus have it anyway.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    title: str = Field(min_length=1, max_length=120)
    kind: Kind
    q: str = Field(default="", max_length=2_000)
    least: int = Field(default=10, ge=1, le=1_000_000)
    line: float = Field(default=2.0, ge=0, le=1e9)
    lower: float = Field(default=1.3, ge=0, le=1e9)
    significance: float = Field(default=0.01, gt=0, le=1)
    window_days: int = Field(default=7, ge=1, le=90)
    past_days: int = Field(default=28, ge=1, le=366)
    measure: Literal["badcases", "reports", "priority"] = "badcases"
    deliver: Annotated[tuple[Channel, ...], Field(max_length=2)] = ("webhook", "mail")

    @model_validator(mode="after")
    def _lines_apart(self) -> Self:
        if self.kind in ("rate_change", "open_cost") and self.lower >= self.line:
            raise ValueError(f"lower ({self.lower:g}) must be below line ({self.line:g}), or the alarm would flap")
        if self.kind == "rate_change" and self.line <= 1:
            raise ValueError(
                f"line ({self.line:g}) must be above 1: it is how many times the usual rate raises an alarm"
            )
        return self


NEW_BADCASES = "rul-new-badcases"
BUILT_IN: Mapping[str, Rule] = {
    NEW_BADCASES: Rule(title="New badcases of a version", kind="new_badcase"),
    "rul-rate": Rule(title="A function fails more often", kind="rate_change"),
    "rul-test-data": Rule(title="Test data fails again", kind="pinned_again", line=1, lower=0),
    "rul-open": Rule(title="Too much is open", kind="open_cost", line=100, lower=80),
}
"""Rules that are there without anybody's doing; they can be changed, paused and deleted like any other."""
ACTIVE_FROM_THE_START = frozenset({NEW_BADCASES})
"""Of them; the others wait until somebody resumes them."""


class Turn(StrEnum):
    """What is to be done about an alarm."""

    RAISE = "raise"
    END = "end"
    STAY = "stay"


def turn(*, firing: bool, value: float | None, line: float, lower: float, proven: bool = True) -> Turn:
    """
    Hysteresis: what *value* means for an alarm that is *firing* or not.

    Args:
        value: None: nothing is known now, and all stays.
        proven: is it more than chance? It is asked for the rise only.
    """
    if value is None:
        return Turn.STAY
    if firing:
        return Turn.END if value <= lower else Turn.STAY
    return Turn.RAISE if proven and value >= line else Turn.STAY


@dataclass(frozen=True, slots=True)
class Rate:
    """
    Reports in a window, against those before it.

    Args:
        exposure, exposure_before: requests, or days where traffic was not counted (*basis*).
    """

    count: int
    exposure: float
    before: int
    exposure_before: float
    basis: Literal["requests", "days"]

    @property
    def rate(self) -> float:
        """Reports per request or day."""
        return self.count / self.exposure

    @property
    def usual(self) -> float:
        """The rate before; none at all counts as one report, so that a first one is no infinite rise."""
        return max(self.before, 1) / self.exposure_before

    @property
    def times(self) -> float:
        """How many times the usual rate it is."""
        return self.rate / self.usual

    @property
    def p(self) -> float:
        """Of the exact test that it is above the rate before."""
        return rate_excess(self.count, self.exposure, self.before, self.exposure_before)

    def worth(self, rule: Rule) -> bool:
        """Enough reports, and more than chance?"""
        return self.count >= rule.least and self.p < rule.significance


def rate_of(
    reports: Mapping[int, int], requests: Mapping[int, int], *, rule: Rule, today: int, passed: float, first: int
) -> Rate | None:
    """
    The rate of the last `window_days` against the `past_days` before them; None if there is no past.

    Where requests are known of both, a day counts if its requests are: reports of others would be a rate of nothing.
    Else reports per day are compared.

    Args:
        reports, requests: by day, counted from 1970.
        today: the last day. passed: how much of it is over, 0 to 1.
        first: the first day of the function with a report; what lies before is no past.
    """
    start = today - rule.window_days + 1
    begin = start - rule.past_days
    now = {d: n for d, n in requests.items() if start <= d <= today and n > 0}
    past = {d: n for d, n in requests.items() if begin <= d < start and n > 0}
    if now and past:
        counts = sum(reports.get(d, 0) for d in now), sum(reports.get(d, 0) for d in past)
        return Rate(counts[0], sum(now.values()), counts[1], sum(past.values()), "requests")
    begin = max(begin, first)
    if begin >= start:
        return None
    count = sum(n for d, n in reports.items() if start <= d <= today)
    before = sum(n for d, n in reports.items() if begin <= d < start)
    exposure = rule.window_days - 1 + max(passed, 1 / 24)
    return Rate(count, exposure, before, start - begin, "days")


@dataclass(frozen=True, slots=True)
class Wave:
    """
    New badcases of one version of a function.

    Args:
        badcases: how many. last_badcases: how many the last alarm had; 0 if there was none.
        acknowledged: alarms about it that somebody saw. waiting: is there one that nobody saw?
    """

    badcases: int
    reports: int
    acknowledged: int
    waiting: bool
    last_badcases: int


def worth_an_alarm(wave: Wave, rule: Rule) -> bool:
    """Enough reports; and not while an alarm about the version waits, nor soon after one was seen."""
    if wave.waiting or wave.reports < rule.least:
        return False
    new = wave.badcases
    return wave.acknowledged == 0 or (new >= AGAIN_BADCASES and new >= AGAIN_SHARE * wave.last_badcases)


def bundle_of(system: str, function: str, last: str = "") -> str:
    """What one alarm of a rule is about: *last* is a version or a cause."""
    return "/".join(part for part in (system, function, last) if part)


# --- in words ---


def plural(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count} {noun}{'s' * (count != 1)}"


def shown(rate: float, basis: str) -> str:
    """A rate as people read it."""
    return f"{rate:.1%} of requests" if basis == "requests" else f"{rate:.1f} a day"


def rise_sentence(about: str, rate: Rate, rule: Rule) -> str:
    """A rise with its numbers."""
    seen = f"{plural(rate.count, 'report')} in {plural(rule.window_days, 'day')}, {shown(rate.rate, rate.basis)}"
    return f"{about} fails more often: {seen}, usually {shown(rate.usual, rate.basis)} ({rate.times:.1f} times)"


def fall_sentence(rate: float, usual: float, basis: str) -> str:
    """The end of a rise."""
    return f"over: {shown(rate, basis)}, usually {shown(usual, basis)}"


def cost_sentence(about: str, value: float, rule: Rule, *, over: bool = False) -> str:
    """A sum against its lines."""
    what = {"badcases": "open badcases", "reports": "reports of open badcases", "priority": "of open priority"}
    if over:
        return f"over: {value:,.0f} {what[rule.measure]}, at most {rule.lower:,.0f} again"
    return f"{about} has {value:,.0f} {what[rule.measure]}; {rule.line:,.0f} is where it is too much"


def again_sentence(about: str, badcases: int) -> str:
    """Test data that fails again."""
    return f"{plural(badcases, 'badcase')} of {about} in the test data fail{'s' * (badcases == 1)} again in the field"
