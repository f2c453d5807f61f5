"""Our statistics against scipy's, which is installed for development only."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from mlife.core.errors import Invalid
from mlife.core.statistics import (
    binomial_at_least,
    binomial_at_most,
    mcnemar_exact,
    rate_excess,
    wilson_interval,
)

TOTALS = (1, 2, 6, 17, 100, 997, 1_000_000)
SHARES = (0.0, 0.01, 0.3, 0.5, 0.6, 0.999, 1.0)


@pytest.mark.parametrize("total", TOTALS)
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
def test_wilson_agrees_with_scipy(total, confidence):
    for passed in {round(total * share) for share in SHARES}:
        theirs = binomtest(passed, total).proportion_ci(confidence, method="wilson")
        assert wilson_interval(passed, total, confidence) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize("trials", TOTALS)
@pytest.mark.parametrize("chance", [0.0, 1e-6, 0.02, 0.5, 0.61, 0.98, 1.0])
def test_binomial_tails_agree_with_scipy(trials, chance):
    mean = trials * chance
    spread = max(1.0, (mean * (1 - chance)) ** 0.5)
    for count in {max(0, min(trials, round(mean + k * spread))) for k in (-9, -3, -1, 0, 1, 3, 9)} | {0, trials}:
        assert binomial_at_least(count, trials, chance) == pytest.approx(binom.sf(count - 1, trials, chance), rel=1e-7)
        assert binomial_at_most(count, trials, chance) == pytest.approx(binom.cdf(count, trials, chance), rel=1e-7)


def test_mcnemar_agrees_with_scipy_on_a_grid():
    for lost in range(0, 40, 3):
        for gained in range(0, 40, 4):
            theirs = binomtest(lost, lost + gained).pvalue if lost + gained else 1.0
            assert mcnemar_exact(lost, gained) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize(("lost", "gained"), [(500_000, 500_000), (498_500, 501_500), (0, 1_000_000)])
def test_mcnemar_is_right_and_quick_for_a_million_rows(lost, gained):
    start = time.perf_counter()
    ours = mcnemar_exact(lost, gained)
    assert time.perf_counter() - start < 0.2
    assert ours == pytest.approx(binomtest(lost, lost + gained).pvalue, rel=1e-6, abs=1e-300)


def test_a_rate_is_compared_as_a_binomial_of_the_sum():
    for count, before, factor in ((3, 12, 0.2), (0, 5, 1.0), (9, 0, 0.5), (40, 80, 0.1)):
        share = 400 * factor / (400 * factor + 1000)
        theirs = binomtest(count, count + before, share, alternative="greater").pvalue if count + before else 1.0
        assert rate_excess(count, 400, before, 1000, factor) == pytest.approx(theirs, rel=1e-9)


def test_with_no_residual_accepted_one_failure_is_an_excess():
    assert rate_excess(1, 100, 10, 100, factor=0.0) == 0.0
    assert rate_excess(0, 100, 10, 100, factor=0.0) == 1.0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: wilson_interval(5, 4),
        lambda: wilson_interval(-1, 4),
        lambda: wilson_interval(1, 4, confidence=1.0),
        lambda: mcnemar_exact(-1, 2),
        lambda: rate_excess(1, 0, 1, 10),
        lambda: rate_excess(1, 10, 1, float("nan")),
        lambda: rate_excess(1, 10, 1, 10, factor=-0.1),
    ],
)
def test_impossible_counts_are_refused(wrong):
    with pytest.raises(Invalid):
        wrong()


@given(st.integers(0, 300), st.integers(0, 300))
def test_one_more_pass_never_lowers_the_interval(passed, failed):
    now = wilson_interval(passed, passed + failed)
    more = wilson_interval(passed + 1, passed + failed + 1)
    assert 0.0 <= now.low <= now.high <= 1.0
    assert more.low >= now.low - 1e-12
    assert more.high >= now.high - 1e-12


@given(st.integers(0, 200), st.integers(0, 200), st.floats(0.0, 1.0))
def test_more_failures_are_never_less_of_an_excess(count, before, factor):
    assert rate_excess(count + 1, 300, before, 500, factor) <= rate_excess(count, 300, before, 500, factor) + 1e-12
