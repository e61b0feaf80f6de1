"""What a number of rows can show, and how many rows would show a difference."""

from __future__ import annotations

import math
from typing import Final

POWER: Final = 0.8
"""Chance of showing a difference that is there, as is usual (Cohen 1988, "Statistical power analysis")."""
MOST_ROWS: Final = 1_000_000
"""With more rows than these an exact test is hardly more careful than others."""


def smallest_difference(error: float, units: int, alpha: float) -> float:
    """Return the smallest difference that is shown with 80 % power; NaN where the spread is not known.

    Two-sided paired t test, its power by the noncentral t distribution of statsmodels.

    Args:
        error: Standard error of the mean difference.
        units: Independent units: rows, or clusters.
        alpha: Level of the test.

    >>> round(smallest_difference(0.02, 100, 0.05), 4)
    0.0566
    """
    from statsmodels.stats.power import TTestPower

    if units < 2 or not error > 0:
        return math.nan
    effect = TTestPower().solve_power(nobs=units, alpha=alpha, power=POWER)
    return float(effect) * error * math.sqrt(units)


def rows_needed(difference: float, error: float, units: int, rows: int, alpha: float) -> int | None:
    """Return how many rows would show such a difference with 80 % power; None where there is none, or no spread known.

    Never less than what a test of signs needs to reach `alpha` at all (6 rows for 0.05).

    Args:
        difference: The mean difference.
        error: Its standard error at this number of rows.
        units: Independent units: rows, or clusters of them.
        rows: Rows in all these units.
        alpha: Level of the test.

    >>> rows_needed(0.04, 0.02, 100, 100, 0.05)
    199
    """
    from scipy.special import ndtri
    from statsmodels.stats.power import TTestPower

    if units < 2 or difference == 0 or not math.isfinite(error):
        return None
    least = math.ceil(math.log2(2 / alpha))
    effect = abs(difference) / (error * math.sqrt(units)) if error > 0 else math.inf
    if effect > 2:
        needed: float = least
    elif effect < 0.01:  # Guenther's formula (1981, Am. Stat. 35) is exact here; solving is not, with so many degrees
        needed = (float(ndtri(1 - alpha / 2) + ndtri(POWER)) / effect) ** 2 + float(ndtri(1 - alpha / 2)) ** 2 / 2
    else:
        needed = float(TTestPower().solve_power(effect_size=effect, alpha=alpha, power=POWER))
    return math.ceil(max(needed, least) * rows / units)


def mcnemar_power(win: float, loss: float, rows: int, alpha: float) -> float:
    """Return the chance that McNemar's exact test shows a difference, summed over how many rows may differ.

    The test is conservative: at the number of rows that a t test needs for 80 % it has 73 to 76 %.

    Args:
        win: Share of rows that one side alone gets right.
        loss: Share of rows that the other alone gets right.
        rows: Number of rows.
        alpha: Level of the test.

    >>> round(mcnemar_power(0.15, 0.05, 152, 0.05), 2)
    0.75
    """
    import numpy as np
    from scipy import stats

    apart = win + loss
    if apart <= 0:
        return 0.0
    low, high = stats.binom.ppf([1e-10, 1 - 1e-10], rows, apart)
    counts = np.arange(low, high + 1)
    limit = stats.binom.ppf(alpha / 2, counts, 0.5)  # the most losses, or wins, that are few enough
    limit -= stats.binom.cdf(limit, counts, 0.5) > alpha / 2
    share = win / apart
    shown = stats.binom.cdf(limit, counts, share) + stats.binom.cdf(limit, counts, 1 - share)
    return float((stats.binom.pmf(counts, rows, apart) * shown).sum())


def smallest_share_difference(wins: int, losses: int, rows: int, alpha: float) -> float:
    """Return the smallest difference of shares that McNemar's exact test shows with 80 % power; NaN if there is none.

    As many rows differ as did here, or as many as the difference takes if that is more.

    >>> round(smallest_share_difference(15, 5, 100, 0.05), 3)
    0.128
    """
    apart = (wins + losses) / rows
    if not apart or mcnemar_power(1.0, 0.0, rows, alpha) < POWER:
        return math.nan
    low, high = 0.0, 1.0
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        most = max(apart, middle)
        enough = mcnemar_power((most + middle) / 2, (most - middle) / 2, rows, alpha) >= POWER
        low, high = (low, middle) if enough else (middle, high)
    return high


def share_rows_needed(wins: int, losses: int, rows: int, alpha: float) -> int | None:
    """Return from how many rows on McNemar's exact test would show such a difference with 80 % power; None without one.

    >>> share_rows_needed(15, 5, 100, 0.05)
    168
    """
    win, loss = wins / rows, losses / rows
    error = math.sqrt(max(win + loss - (win - loss) ** 2, 0.0) / rows)
    low = rows_needed(win - loss, error, rows, rows, alpha) if rows > 1 else None
    if low is None or low > MOST_ROWS:
        return low
    low, high = math.ceil(low / 2), low
    while mcnemar_power(win, loss, high, alpha) < POWER:
        low, high = high, high + math.ceil(high / 4)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if mcnemar_power(win, loss, middle, alpha) >= POWER else (middle, high)
    return high
