"""Looking after every row: false decisions stay below alpha, true differences are found, intervals are honest."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from prsm_lab import errors
from prsm_lab.statistics.sequences import Bets

STREAMS, ROWS = 2000, 400


def followed(make, *, alpha: float = 0.05, rows: int = ROWS) -> Bets:
    """Many streams at once, each with the whole alpha of its own."""
    bets = Bets(streams=STREAMS, points=3)
    bets._limit = math.log(1 / alpha)
    generator = np.random.default_rng(0)
    for _ in range(rows):
        bets.update(make(generator))
    return bets


@pytest.mark.parametrize(
    "chances",
    [(0.5, 0.0, 0.5), (0.25, 0.5, 0.25), (0.1, 0.8, 0.1), (0.02, 0.96, 0.02)],
    ids=["always apart", "often", "seldom", "hardly ever"],
)
def test_equal_variants_are_told_apart_no_more_often_than_alpha(chances):
    """2,000 seeded streams of 0/1 differences of mean nought, looked at after each of 400 rows."""
    bets = followed(lambda generator: generator.choice([-1.0, 0.0, 1.0], STREAMS, p=chances))

    assert bets.decided.mean() <= 0.05


@pytest.mark.parametrize("alpha", [0.2, 0.01])
def test_skewed_differences_too_at_any_level(alpha):
    """Four small losses for one great win; 99.9 % of chance is allowed for."""
    bets = followed(lambda generator: generator.choice([-0.2, 0.8], STREAMS, p=[0.8, 0.2]), alpha=alpha)

    assert bets.decided.sum() <= stats.binom.ppf(0.999, STREAMS, alpha)


def test_a_difference_that_is_there_is_found_with_about_as_many_rows_as_a_planned_trial_needs():
    """15 % wins, 5 % losses: 152 rows were needed for 80 % power, half of the streams stop before 170."""
    bets = followed(lambda generator: generator.choice([-1.0, 0.0, 1.0], STREAMS, p=[0.05, 0.8, 0.15]), rows=170)

    assert bets.decided.mean() > 0.5


def test_intervals_hold_the_mean_at_all_times_at_once():
    """300 streams, 21 candidates: the mean, 0.2, is never left out by more streams than alpha."""
    bets = Bets(streams=300, points=21)
    bets._limit = math.log(1 / 0.05)
    generator = np.random.default_rng(1)
    missed = np.zeros(300, dtype=bool)
    for _ in range(300):
        low, high = bets.update(generator.choice([-1.0, 0.0, 1.0], 300, p=[0.1, 0.6, 0.3]))
        missed |= (low > 0.2) | (high < 0.2)

    assert missed.mean() <= 0.05
    assert (high - low).mean() < 0.45


def test_capital_is_what_the_paper_says():
    """Wealth of both bettors against nought, written out row by row (Waudby-Smith & Ramdas 2024, eqs. 23 to 26)."""
    values = [1, 0, 1, 1, -1, 1, 0, -1, -1, 1] * 6  # long enough for stakes below the most
    bets = Bets(points=3)
    for value in values:
        bets.update(value)

    up = down = 1.0
    seen: list[float] = []
    estimates: list[float] = []
    for t, value in enumerate(values, 1):
        variance = (0.25 + sum((x - guess) ** 2 for x, guess in zip(seen, estimates, strict=True))) / t
        stake = min(math.sqrt(2 * math.log(2 / 0.05) / (variance * t * math.log(t + 1))), 0.5 / 0.5)
        x = (value + 1) / 2
        up, down = up * (1 + stake * (x - 0.5)), down * (1 - stake * (x - 0.5))
        seen.append(x)
        estimates.append((0.5 + sum(seen)) / (t + 1))
    assert bets._up[0, 1] == pytest.approx(math.log(up))
    assert bets._down[0, 1] == pytest.approx(math.log(down))
    assert bets.decided[0] == (max(up, down) / 2 >= 20)


def test_what_is_decided_stays_decided_and_intervals_only_shrink():
    """A run of wins, then as many losses."""
    bets = Bets()
    widths, told = [], []
    for value in [1.0] * 40 + [-1.0] * 40:
        low, high = bets.update(value)
        widths.append(high[0] - low[0])
        told.append(bool(bets.decided[0]))

    assert told[39]
    assert told == sorted(told)
    assert all(later <= earlier + 1e-12 for earlier, later in zip(widths[:45], widths[1:46], strict=True))


def test_several_variants_share_alpha_and_failed_rows_are_no_rows():
    """Each of two streams needs twice the evidence; NaN leaves a stream as it was."""
    one, two = Bets(), Bets(streams=2)
    for _ in range(20):
        one.update(1.0)
        low, _ = two.update([1.0, math.nan])

    assert low[0] < one.low[0]
    assert low[1] == -1.0
    assert two.n.tolist() == [20, 0]
    assert math.isnan(two.mean[1])


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=60))
def test_ends_are_in_order_and_within_the_bounds(values):
    """Whatever comes."""
    bets = Bets(points=41)
    for value in values:
        low, high = bets.update(value)

    assert -1 <= low[0] <= high[0] <= 1
    assert bets.mean[0] == pytest.approx(np.mean(values), abs=1e-9)


@pytest.mark.parametrize("bounds", [(0.0, 10.0), (-5.0, 5.0)])
def test_scores_of_another_range_have_bounds(bounds):
    """A mean of nought is excluded at once where it is no mean of these; a difference outside is refused."""
    bets = Bets(bounds=bounds)

    with pytest.raises(errors.InvalidRequestError, match="outside"):
        bets.update(bounds[1] + 1)
    with pytest.raises(errors.InvalidRequestError, match="2 differences for 1"):
        bets.update([1.0, 1.0])
    with pytest.raises(errors.InvalidRequestError, match="bounds="):
        Bets(bounds=(1.0, 1.0))
    with pytest.raises(errors.InvalidRequestError, match="alpha=0"):
        Bets(alpha=0)
