"""Two ways of doing the same rows: how they differ, whether that may be chance, and what these rows could show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np

from prsm_lab.errors import InvalidRequestError
from prsm_lab.statistics import intervals, power
from prsm_lab.statistics.intervals import BATCH_BYTES, Interval, binary, cluster_error, share_ends

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from prsm_lab.statistics.intervals import Array

Test = Literal["auto", "mcnemar", "permutation", "wilcoxon", "bootstrap"]
TESTS: Final = ("auto", "mcnemar", "permutation", "wilcoxon", "bootstrap")
ROUNDING: Final = 1e-12
"""Scores nearer than this are equal: 0.1 + 0.2 is 0.3."""


class Comparison(NamedTuple):
    """What paired rows say of a difference; NaN or None where they say nothing."""

    n: int
    mean: float
    other_mean: float
    difference: float
    low: float
    high: float
    p_value: float
    test: str
    wins: int
    ties: int
    losses: int
    effect_size: float
    mde: float
    n_needed: int | None


def compare_pairs(
    values: ArrayLike,
    others: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    test: Test = "auto",
    alpha: float = 0.05,
    draws: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare values with others of the same rows.

    The interval of the difference is Newcombe's where both are 0 or 1 (it stays within -1 and 1 and is honest where
    hardly any row differs, as Student's is not), the bootstrap's with `test="bootstrap"`, Student's otherwise; within
    clusters Student's with the cluster-robust error.

    Args:
        values: Shape (n,), no NaN.
        others: Shape (n,), no NaN.
        clusters: Shape (n,): rows of one cluster depend on each other; tests then turn whole clusters.
        test: `auto` is McNemar's exact test for values of 0 and 1 without clusters, a permutation test otherwise.
        alpha: Level of interval, smallest difference and rows needed.
        draws: Permutations or bootstrap samples drawn.
        seed: Equal seeds draw equally.

    Raises:
        InvalidRequestError: If `test` is not known, or McNemar's does not fit.

    >>> found = compare_pairs([1, 1, 1, 1, 1, 1, 0, 1], [0, 0, 0, 0, 0, 0, 0, 1])
    >>> found.test, found.difference, found.p_value
    ('mcnemar', 0.75, 0.03125)
    """
    a, b = np.asarray(values, dtype=np.float64), np.asarray(others, dtype=np.float64)
    groups = None if clusters is None else intervals.codes(np.asarray(clusters))
    if groups is not None and len(groups) and groups.max() + 1 == len(groups):
        groups = None  # each row is its own cluster
    shares = binary(a) and binary(b)
    chosen = _chosen(test, shares=shares, clustered=groups is not None)
    if not len(a):
        return _nothing(chosen)
    gaps = a - b
    gaps[np.abs(gaps) <= ROUNDING * np.maximum(np.abs(a), np.abs(b))] = 0.0
    wins, losses, n = int((gaps > 0).sum()), int((gaps < 0).sum()), len(gaps)
    units = n if groups is None else int(groups.max()) + 1
    deviation = float(gaps.std(ddof=1)) if n > 1 else math.nan
    error = deviation / math.sqrt(n) if groups is None else cluster_error(gaps, groups)
    mean = float(gaps.mean())
    if chosen == "bootstrap":
        interval, p_value = _bootstrapped(gaps, groups, alpha, draws, seed)
    else:
        interval = difference_interval(a, b, clusters=groups, confidence=1 - alpha)
        p_value = _p_value(gaps, groups, chosen, draws, seed)
    mde, needed = _outlook(chosen, wins, losses, mean=mean, error=error, units=units, n=n, alpha=alpha)
    return Comparison(
        n, float(a.mean()), float(b.mean()), mean, interval.low, interval.high, p_value, chosen,
        wins, n - wins - losses, losses, mean / deviation if deviation > 0 else math.nan,
        mde, needed,
    )  # fmt: skip


def _outlook(
    test: str, wins: int, losses: int, *, mean: float, error: float, units: int, n: int, alpha: float
) -> tuple[float, int | None]:
    """What so many rows can show, and how many would show this: by the test that was made, or near it the t test."""
    if test == "mcnemar":
        found = power.smallest_share_difference(wins, losses, n, alpha)
        return found, power.share_rows_needed(wins, losses, n, alpha)
    return power.smallest_difference(error, units, alpha), power.rows_needed(mean, error, units, n, alpha)


def _nothing(test: str) -> Comparison:
    """No rows say nothing."""
    unknown = math.nan
    return Comparison(
        0, unknown, unknown, unknown, unknown, unknown, unknown, test, 0, 0, 0, unknown, unknown, None
    )  # fmt: skip


def _chosen(test: str, *, shares: bool, clustered: bool) -> str:
    if test not in TESTS:
        raise InvalidRequestError(
            f"test={test!r} is none of {', '.join(map(repr, TESTS))}.", details={"parameter": "test"}
        )
    if test == "auto":
        return "mcnemar" if shares and not clustered else "permutation"
    if test == "mcnemar" and not (shares and not clustered):
        why = "whose rows are independent" if shares else "of 0 and 1, one per row and variant"
        raise InvalidRequestError(
            f"McNemar's test is for scores {why}; test='permutation' fits these.", details={"parameter": "test"}
        )
    return test


def difference_interval(
    values: Array, others: Array, *, clusters: NDArray[np.intp] | None = None, confidence: float = 0.95
) -> Interval:
    """Return the mean difference of values and others of the same rows, with the interval that `compare_pairs` gives.

    Args:
        values: Shape (n,), at least one.
        others: Shape (n,).
        clusters: Shape (n,): numbers of clusters from 0.
        confidence: Between 0 and 1.
    """
    gaps = values - others
    if clusters is not None:
        count = int(clusters.max()) + 1
        if count == 1:
            return Interval(float(gaps.mean()), math.nan, math.nan)
        return intervals.spread(float(gaps.mean()), cluster_error(gaps, clusters), count - 1, confidence)
    if binary(values) and binary(others):
        both, only_a = int((values * others).sum()), int((values * (1 - others)).sum())
        only_b = int(((1 - values) * others).sum())
        return newcombe(both, only_a, only_b, len(gaps) - both - only_a - only_b, confidence)
    return intervals.student(gaps, confidence)


def newcombe(both: int, only_a: int, only_b: int, neither: int, confidence: float = 0.95) -> Interval:
    """Return the difference of two shares of the same rows, a - b, with Newcombe's interval.

    Method 10 of Newcombe, R. G. (1998), "Improved confidence intervals for the difference between binomial proportions
    based on paired data", Statistics in Medicine 17: Wilson's intervals of both shares, put together with the rows'
    correlation. (statsmodels has it from its next release on, as `confint_proportions_paired`.)

    Args:
        both: Rows where both have a 1.
        only_a: Rows where a alone has it.
        only_b: Rows where b alone has it.
        neither: Rows where none has it.
        confidence: Between 0 and 1.

    >>> [round(figure, 4) for figure in newcombe(36, 12, 2, 0)]
    [0.2, 0.0569, 0.3404]
    """
    n = both + only_a + only_b + neither
    a, b = both + only_a, both + only_b
    share_a, share_b = a / n, b / n
    (low_a, high_a), (low_b, high_b) = share_ends(a, n, confidence), share_ends(b, n, confidence)
    determinant = both * neither - only_a * only_b
    corrected = max(determinant - n / 2, 0.0) if determinant > 0 else float(determinant)
    margins = a * (n - a) * b * (n - b)
    phi = corrected / math.sqrt(margins) if margins else 0.0
    difference = (only_a - only_b) / n
    down, up = share_a - low_a, high_a - share_a
    below, above = share_b - low_b, high_b - share_b
    low = difference - math.sqrt(max(0.0, down**2 - 2 * phi * down * above + above**2))
    high = difference + math.sqrt(max(0.0, up**2 - 2 * phi * up * below + below**2))
    return Interval(difference, max(-1.0, low), min(1.0, high))


def _p_value(gaps: Array, groups: NDArray[np.intp] | None, test: str, draws: int, seed: int) -> float:
    if test == "mcnemar":
        return mcnemar(int((gaps > 0).sum()), int((gaps < 0).sum()))
    sums: Array = gaps if groups is None else np.bincount(groups, weights=gaps).astype(np.float64)
    if test == "permutation":
        return sign_flips(sums, draws=draws, seed=seed)
    return _wilcoxon(sums if groups is None else sums / np.bincount(groups))


def mcnemar(wins: int, losses: int) -> float:
    """Return the two-sided p-value of McNemar's exact test: wins among the rows that differ are a fair coin's.

    McNemar, Q. (1947), Psychometrika 12; scipy's binomial test.

    >>> mcnemar(6, 0)
    0.03125
    """
    from scipy import stats

    return float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def _wilcoxon(gaps: Array) -> float:
    """Wilcoxon's signed-rank test, by scipy: exact up to 50 rows without ties, rows without a difference left out."""
    from scipy import stats

    return float(stats.wilcoxon(gaps).pvalue) if np.any(gaps) else 1.0


def sign_flips(gaps: Array, *, draws: int = 10_000, seed: int = 0) -> float:
    """Return the two-sided p-value of the paired permutation test: were the variants one, each sign were a fair coin's.

    Exact where there are no more patterns of signs than `draws`; else of seeded draws, the observed pattern counted as
    one of them (Phipson & Smyth 2010, "Permutation p-values should never be zero", Stat. Appl. Genet. Mol. Biol. 9), so
    that it is never 0. scipy's `permutation_test` does the same 20 times slower.

    Args:
        gaps: Shape (n,): differences, or their sums within clusters.
        draws: Most patterns looked at.
        seed: Equal seeds draw equally.

    >>> import numpy as np
    >>> sign_flips(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    0.03125
    """
    moved = np.abs(gaps[gaps != 0])
    n = len(moved)
    if not n:
        return 1.0
    total = float(moved.sum())
    reached = abs(float(gaps.sum())) - 1e-9 * total  # a sum in another order differs in its last digits
    rng = np.random.default_rng(seed)
    exact = n < 62 and 2**n <= draws
    count, found = 2**n if exact else draws, 0
    step = max(1, BATCH_BYTES // (8 * n))
    for start in range(0, count, step):
        size = min(step, count - start)
        if exact:
            signs: Any = (np.arange(start, start + size)[:, None] >> np.arange(n)) & 1
        else:
            signs = np.unpackbits(rng.integers(0, 256, (size, -(-n // 8)), dtype=np.uint8), axis=1, count=n)
        found += int((np.abs(2 * (signs.astype(np.float64) @ moved) - total) >= reached).sum())
    return found / count if exact else (found + 1) / (count + 1)


def _bootstrapped(
    gaps: Array, groups: NDArray[np.intp] | None, alpha: float, draws: int, seed: int
) -> tuple[Interval, float]:
    """The bootstrap's interval and p-value: how often a sample's mean strays from the mean as far as that from nought.

    Efron & Tibshirani (1993), "An introduction to the bootstrap", ch. 16; the observed sample counts as one.
    """
    interval, means = intervals.draw(gaps, clusters=groups, confidence=1 - alpha, draws=draws, seed=seed)
    mean = abs(interval.mean)
    if math.isnan(interval.low):
        return interval, math.nan if mean else 1.0
    strayed = int((np.abs(means - interval.mean) >= mean * (1 - 1e-9)).sum())
    return interval, (strayed + 1) / (draws + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted by Holm's step-down method; NaN stays and does not count.

    Holm, S. (1979), "A simple sequentially rejective multiple test procedure", Scand. J. Stat. 6. Written here because
    statsmodels' `multipletests`, which the tests compare it with, collects garbage at every call: 0.1 s in a small
    process, seconds in a notebook with large frames.

    >>> holm([0.01, 0.04])
    [0.02, 0.04]
    """
    given = np.asarray(p_values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(given))
    order = known[np.argsort(given[known], kind="stable")]
    stepped = given[order] * np.arange(len(order), 0, -1)
    given[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return [float(p) for p in given]
