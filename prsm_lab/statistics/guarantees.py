"""How much may go to the cheap model, so that with a stated confidence enough of the strong one's quality is kept."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from prsm_lab.errors import InvalidRequestError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from prsm_lab.statistics.intervals import Array

SPREADS: Final = (0.12, 0.22, 0.4)
"""Standard deviations of a row's difference between which nearly all pairs of models lie; each has a stake."""
MOST_STAKE: Final = 0.98
"""Of what a row can lose."""

MOST_RATIO: Final = 1e6
"""Beyond it an upper end is infinite: the rows do not bound it."""


class Chosen(NamedTuple):
    """What a calibration allows."""

    threshold: float
    """Questions whose signal is at least this go to the cheap model; infinite: none may."""
    share: float
    """Of the calibration's rows, those that go there."""
    evidence: float
    """Against the worst case, 1 or more times 1 / alpha: how sure it is; NaN where none may."""


def keeping(
    cheap: ArrayLike, strong: ArrayLike, signal: ArrayLike, *, quality: float, confidence: float, thresholds: ArrayLike
) -> Chosen:
    """Return the lowest threshold at which, with this confidence, a share of the strong model's mean quality is kept.

    With probability of at least `confidence` over the rows, if they come at random from the questions that will be
    asked, E[routed] is at least `quality` · E[strong] at the threshold returned: for any distribution of qualities, any
    signal, at this very number of rows.

    Learn then Test (Angelopoulos, Bates, Candès, Jordan & Lei 2021, arXiv:2110.01052): thresholds are tested in fixed
    sequence, the safest first, each at level 1 - confidence, up to the first that is not rejected; the hypothesis at
    each is that the mean of routed - quality · strong, paired by row, is not above nought. Each test bets on the rows:
    if the hypothesis holds, the mean over stakes of the product of 1 + stake · difference has an expectation of at most
    1, so it exceeds 1 / alpha with probability of at most alpha (Markov's inequality for e-values; Waudby-Smith &
    Ramdas 2024, "Estimating means of bounded random variables by betting", J. R. Stat. Soc. B 86). It adapts to the
    variance, and the order of rows plays no part.

    What it costs to keep 95 % with 90 % confidence (`tests/test_guarantees.py`): a tenth of the best threshold's saving
    in hindsight at 400 to 500 rows where the signal is sharp or the cheap model is as good, at 3,000 where it is noisy,
    at 40,000 where it knows nothing. With fewer than `least_rows` nothing is saved.

    Args:
        cheap: Quality of the cheap model's answer to each row, 0 to 1, shape (n,).
        strong: Of the strong model's.
        signal: Greater where the cheap model is to be trusted; NaN: never.
        quality: Share of the strong model's quality to be kept, above 0 and at most 1.
        confidence: Chance that it is kept, between 0 and 1.
        thresholds: Candidates, which must not depend on the qualities of these rows.

    Raises:
        InvalidRequestError: If a figure is outside its bounds, or shapes differ.

    >>> rows = np.arange(400) / 400
    >>> chosen = keeping(rows > 0.3, np.ones(400), rows, quality=0.95, confidence=0.9, thresholds=rows)
    >>> chosen.threshold, round(chosen.share, 2)
    (0.2775, 0.72)
    """
    c, s, g = _rows(cheap, strong, signal)
    _check_share(quality, confidence)
    steps = np.unique(np.asarray(thresholds, dtype=np.float64))[::-1]
    steps = steps[np.isfinite(steps)]
    if not len(c) or not len(steps):
        return Chosen(math.inf, 0.0, math.nan)
    wealth = log_wealth(c, s, g, steps, quality=quality, confidence=confidence)
    enough = wealth >= -math.log(1 - confidence)
    passed = len(steps) if enough.all() else int(np.argmin(enough))
    if not passed:
        return Chosen(math.inf, 0.0, math.nan)
    threshold = float(steps[passed - 1])
    return Chosen(threshold, float((g >= threshold).mean()), float(np.exp(min(700.0, wealth[passed - 1]))))


def log_wealth(
    cheap: Array, strong: Array, signal: Array, thresholds: Array, *, quality: float, confidence: float
) -> Array:
    """Return the logarithm of the evidence against losing too much at each threshold.

    Args:
        cheap: Shape (n,).
        strong: Shape (n,).
        signal: Shape (n,), minus infinity for rows that are never routed.
        thresholds: Shape (m,), greatest first.
        quality: Share to be kept.
        confidence: At which it is looked at: stakes are best there.

    Returns:
        Shape (m,).
    """
    from scipy.special import logsumexp

    order = np.argsort(-signal, kind="stable")
    stakes = _stakes(len(cheap), quality, confidence)
    kept = np.log1p(np.outer((1 - quality) * strong[order], stakes))
    routed = np.log1p(np.outer(cheap[order] - quality * strong[order], stakes))
    gain = np.vstack([np.zeros(len(stakes)), np.cumsum(routed - kept, axis=0)])
    at = np.searchsorted(-signal[order], -thresholds, side="right")
    return np.asarray(logsumexp(kept.sum(axis=0) + gain[at], axis=1) - math.log(len(stakes)), dtype=np.float64)


def kept_ends(given: Array, strong: Array, *, confidence: float) -> tuple[float, float]:
    """Return the ends of the interval of E[given] / E[strong], for qualities from 0 to 1, paired by row.

    The ratios that a two-sided test does not reject: at each it bets, as in `keeping`, that given - ratio · strong is
    above nought, and that it is below (each side at half the error). It holds at any number of rows, where a bootstrap
    of rows that hardly ever differ does not: where 3 of 100 answers lose, it covers the truth in half of the draws of
    25 rows. The low end is at most 1, as the stakes of that side are.

    Args:
        given: Shape (n,).
        strong: Shape (n,), not all 0.
        confidence: Of the interval.

    >>> low, high = kept_ends(np.ones(400), np.ones(400), confidence=0.95)
    >>> round(low, 3), round(high, 3)
    (0.988, 1.012)
    """
    level = (1 + confidence) / 2
    stakes, needed = _stakes(len(given), 1.0, level), -math.log(1 - level)

    def certain(difference: Array) -> bool:
        return _evidence(difference, stakes) >= needed

    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if certain(given - middle * strong) else (low, middle)
    top = max(1.0, float(given.sum() / strong.sum()))
    while top < MOST_RATIO and not certain(top * strong - given):
        top *= 2
    under, over = 0.0, top
    for _ in range(40):
        middle = (under + over) / 2
        under, over = (under, middle) if certain(middle * strong - given) else (middle, over)
    return low, over if top < MOST_RATIO else math.inf


def _evidence(difference: Array, stakes: Array) -> float:
    """Logarithm of the mean, over stakes, of what betting on these differences brings."""
    from scipy.special import logsumexp

    wealth = np.log1p(np.outer(difference, stakes)).sum(axis=0)
    return float(logsumexp(wealth) - math.log(len(stakes)))


def least_rows(quality: float, confidence: float, strong: float = 1.0) -> int | None:
    """Return how many labelled rows it takes at least to send a single question to the cheap model.

    With fewer, even rows on which the cheap model is never worse prove nothing. To keep all of it (`quality=1`) no
    number does, unless the cheap model is better somewhere: then None.

    Args:
        quality: Share of the strong model's quality to be kept.
        confidence: Chance that it is kept.
        strong: The strong model's quality, the same in every row.

    Raises:
        InvalidRequestError: If a figure is outside its bounds.

    >>> least_rows(0.95, 0.9), least_rows(0.99, 0.9), least_rows(1, 0.9)
    (50, 314, None)
    """
    _check_share(quality, confidence)
    if quality == 1 or not strong > 0:
        return None

    def proves(rows: int) -> bool:
        grown = rows * np.log1p(_stakes(rows, quality, confidence) * (1 - quality) * min(strong, 1.0))
        return bool(np.exp(grown - grown.max()).mean() >= math.exp(-grown.max()) / (1 - confidence))

    high = 1
    while not proves(high):
        high *= 2
    low = high // 2
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (low, middle) if proves(middle) else (middle, high)
    return high


def _stakes(rows: int, quality: float, confidence: float) -> Array:
    """Where a mean is just far enough from nought to be told, the best stake is √(2 log(1 / alpha) / rows) / spread; it
    is fixed before anything is seen. A row can lose `quality` at most."""
    best = math.sqrt(-2 * math.log(1 - confidence) / rows) / np.asarray(SPREADS)
    return np.minimum(best, MOST_STAKE / quality)


def random_order(rows: int, shares: tuple[float, ...], seed: int) -> list[NDArray[np.intp]]:
    """Split rows at random.

    Args:
        rows: How many there are.
        shares: Of each part but the last, which takes what is left.
        seed: Equal seeds split alike.

    >>> [len(part) for part in random_order(10, (0.3, 0.5), 0)]
    [3, 5, 2]
    """
    ends = np.round(np.cumsum(shares) * rows).astype(int)
    return np.split(np.random.default_rng(seed).permutation(rows), ends)


def _rows(cheap: ArrayLike, strong: ArrayLike, signal: ArrayLike) -> tuple[Array, Array, Array]:
    c, s, g = (np.asarray(values, dtype=np.float64) for values in (cheap, strong, signal))
    if not c.ndim == s.ndim == g.ndim == 1 or not len(c) == len(s) == len(g):
        raise InvalidRequestError(
            f"{len(c)} qualities of the cheap model, {len(s)} of the strong one and {len(g)} signals are not one of "
            "each per row.",
            details={"parameter": "signal"},
        )
    for name, values in (("cheap", c), ("strong", s)):
        wrong = ~((values >= 0) & (values <= 1))
        if wrong.any():
            raise InvalidRequestError(
                f"The quality {values[wrong][0]:g} of the {name} model in row {int(wrong.nonzero()[0][0])} does not "
                "lie between 0 and 1. Divide scores by what they can be at most, and leave rows without one out.",
                details={"parameter": name, "row": int(wrong.nonzero()[0][0])},
            )
    return c, s, np.where(np.isnan(g), -np.inf, g)


def _check_share(quality: float, confidence: float) -> None:
    if not 0 < quality <= 1:
        raise InvalidRequestError(
            f"quality={quality!r} is no share above 0 and at most 1 of the strong model's quality.",
            details={"parameter": "quality"},
        )
    if not 0 < confidence < 1:
        raise InvalidRequestError(
            f"confidence={confidence!r} does not lie between 0 and 1.", details={"parameter": "confidence"}
        )
