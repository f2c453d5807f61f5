"""
The three exact pieces of statistics behind every judgement, in plain Python.

Nothing here is approximated by a normal curve except Wilson's interval, which is one by definition. Counts may be as
large as 1,000,000: tails are summed in the order of falling terms from a logarithm, so nothing overflows.
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, inf, lgamma, log, log1p, sqrt
from statistics import NormalDist
from typing import NamedTuple

from mlife.core.errors import Invalid


class Interval(NamedTuple):
    """A range of shares, both ends in [0, 1]."""

    low: float
    high: float


def wilson_interval(passed: int, total: int, confidence: float = 0.95) -> Interval:
    """
    Where the true share of passes lies, after *passed* of *total*.

    Nothing seen means nothing known: (0, 1).

    Raises:
        Invalid: *passed* is not in 0..total, or *confidence* is not between 0 and 1.
    """
    _check_counts(passed, total)
    z = _quantile(confidence)
    if total == 0:
        return Interval(0.0, 1.0)
    share, z2 = passed / total, z * z
    scale = 1 + z2 / total
    middle = (share + z2 / (2 * total)) / scale
    reach = z * sqrt(share * (1 - share) / total + z2 / (4 * total * total)) / scale
    low = 0.0 if passed == 0 else max(0.0, middle - reach)
    high = 1.0 if passed == total else min(1.0, middle + reach)
    return Interval(low, high)


def binomial_at_least(count: int, trials: int, chance: float) -> float:
    """The chance of *count* or more successes in *trials*, each with *chance* in [0, 1]."""
    if count <= 0:
        return 1.0
    if count > trials or chance <= 0.0:
        return 0.0
    if chance >= 1.0:
        return 1.0
    if count > trials * chance:
        return _tail_up(count, trials, chance)
    return max(0.0, 1.0 - binomial_at_most(count - 1, trials, chance))


def binomial_at_most(count: int, trials: int, chance: float) -> float:
    """The chance of *count* or fewer successes in *trials*, each with *chance* in [0, 1]."""
    return binomial_at_least(trials - count, trials, 1.0 - chance)


def mcnemar_exact(lost: int, gained: int) -> float:
    """
    Two-sided exact McNemar test: could models that differ on these rows be equally good?

    Args:
        lost: rows that the old model had right and the new one has wrong.
        gained: rows the other way round. Rows on which both agree say nothing and are not asked for.

    Returns:
        The p-value; 1.0 when the models never differ.
    """
    _check_counts(lost, lost + gained)
    return min(1.0, 2.0 * binomial_at_most(min(lost, gained), lost + gained, 0.5))


def rate_excess(count: int, exposure: float, before: int, exposure_before: float, factor: float = 1.0) -> float:
    """
    One-sided exact test: is the rate now above *factor* times the rate before?

    Two Poisson counts, given their sum, leave *count* binomial (Przyborowski and Wilenski 1940): under
    the null its share is at most exposure·factor / (exposure·factor + exposure_before).

    Args:
        count: failures now.
        exposure: the requests they came from.
        before: failures at the time that is compared with.
        exposure_before: the requests of that time.
        factor: share of the old rate that was accepted, at least 0. At 0 any count is an excess.

    Returns:
        The p-value: small when the rate has really grown.

    Raises:
        Invalid: a negative count or factor, or an exposure that is not above 0.
    """
    if min(count, before) < 0 or factor < 0:
        raise Invalid(f"counts and factor can't be negative: {count}, {before}, {factor}")
    if not 0 < exposure < inf or not 0 < exposure_before < inf:
        raise Invalid(
            f"a rate needs requests above 0, not {exposure} and {exposure_before}",
            remedy="send traffic counts for both periods",
        )
    allowed = exposure * factor
    return binomial_at_least(count, count + before, allowed / (allowed + exposure_before))


def _tail_up(count: int, trials: int, chance: float) -> float:
    """P(X ≥ count) for a *count* above the mean, where each term is smaller than the last."""
    log_term = (
        lgamma(trials + 1)
        - lgamma(count + 1)
        - lgamma(trials - count + 1)
        + count * log(chance)
        + (trials - count) * log1p(-chance)
    )
    odds = chance / (1.0 - chance)
    total, term, at = 1.0, 1.0, count
    while at < trials:
        term *= (trials - at) / (at + 1) * odds
        total += term
        at += 1
        if term < total * 1e-17:
            break
    return min(1.0, exp(log_term) * total)


@lru_cache(maxsize=32)
def _quantile(confidence: float) -> float:
    """How many standard deviations hold *confidence* of a normal curve, both sides together."""
    if not 0.0 < confidence < 1.0:
        raise Invalid(f"a confidence of {confidence} is not between 0 and 1")
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def _check_counts(part: int, total: int) -> None:
    if not 0 <= part <= total:
        raise Invalid(f"{part} of {total} is not a count")
