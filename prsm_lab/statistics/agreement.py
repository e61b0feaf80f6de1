"""How far raters agree beyond chance: Cohen's κ and Krippendorff's α, with bootstrap intervals.

Both compare the disagreement that is seen with the one that is expected if labels were dealt out by chance. All sums
are over units, so that a bootstrap sample is a weight of each unit, and many samples are one matrix product.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np

from prsm_lab.errors import InvalidRequestError
from prsm_lab.statistics.intervals import BATCH_BYTES, Interval, codes

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from prsm_lab.statistics.intervals import Array

Level = Literal["nominal", "ordinal", "interval"]
LEVELS: Final = ("nominal", "ordinal", "interval")
WEIGHTS: Final = (None, "linear", "quadratic")


def krippendorff(
    ratings: ArrayLike, level: Level = "nominal", *, clusters: ArrayLike | None = None, confidence: float = 0.95,
    draws: int = 2_000, seed: int = 0,
) -> Interval | None:  # fmt: skip
    """Return Krippendorff's α with its bootstrap interval; None if nothing was rated twice, or all ratings are equal.

    Krippendorff, K. (2011), "Computing Krippendorff's Alpha-Reliability", University of Pennsylvania. The interval is
    that of percentiles over samples of units; samples in which all ratings are equal are left out.

    Args:
        ratings: Shape (units, raters), NaN where one did not rate.
        level: What a difference means: any one alike, by ranks, or by size.
        clusters: Shape (units,): units of one cluster depend on each other, and are drawn together.
        confidence: Between 0 and 1.
        draws: Samples drawn.
        seed: Equal seeds draw equally.

    Raises:
        InvalidRequestError: If the level is not known.

    >>> krippendorff([[1, 1], [2, 2], [3, 3], [3, 4]], "interval").mean.__round__(3)
    0.889
    """
    if level not in LEVELS:
        raise _unknown("level", level, LEVELS)
    given = np.asarray(ratings, dtype=np.float64)
    kept = (~np.isnan(given)).sum(axis=1) > 1
    if not kept.any():
        return None
    rows, drawing = _packed(given[kept], None if clusters is None else np.asarray(clusters)[kept])
    return _interval(_alpha_sums(rows, level), drawing, confidence, draws, seed)


def cohen(
    ratings: ArrayLike, weights: Literal["linear", "quadratic"] | None = None, *, clusters: ArrayLike | None = None,
    confidence: float = 0.95, draws: int = 2_000, seed: int = 0,
) -> Interval | None:  # fmt: skip
    """Return Cohen's κ of two raters with its bootstrap interval; None without units, or if chance explains all.

    Cohen, J. (1960), "A coefficient of agreement for nominal scales", Educ. Psychol. Meas. 20; weighted: Cohen (1968),
    "Weighted kappa", Psychol. Bull. 70. Disagreement is weighted by the distance of the labels' values, where
    statsmodels takes that of their places: the same where the values are consecutive.

    Args:
        ratings: Shape (units, 2); units with a NaN are left out.
        weights: What a disagreement counts: all alike, by distance, or by its square.
        clusters: Shape (units,): units of one cluster depend on each other, and are drawn together.
        confidence: Between 0 and 1.
        draws: Samples drawn.
        seed: Equal seeds draw equally.

    Raises:
        InvalidRequestError: If the weights are not known.

    >>> cohen([[1, 1], [1, 1], [0, 0], [0, 1]]).mean
    0.5
    """
    if weights not in WEIGHTS:
        raise _unknown("weights", weights, WEIGHTS)
    given = np.asarray(ratings, dtype=np.float64).reshape(-1, 2)
    kept = ~np.isnan(given).any(axis=1)
    if not kept.any():
        return None
    rows, drawing = _packed(given[kept], None if clusters is None else np.asarray(clusters)[kept])
    values, places = np.unique(rows, return_inverse=True)
    one, other = np.eye(len(values))[places.reshape(-1, 2)].transpose(1, 0, 2)
    gaps = np.abs(values[:, None] - values)
    cost = {None: (gaps > 0).astype(np.float64), "linear": gaps, "quadratic": gaps**2}[weights]
    apart = ((one @ cost) * other).sum(axis=1)

    def sums(drawn: Array) -> tuple[Array, Array]:
        expected = ((drawn @ one) @ cost * (drawn @ other)).sum(axis=1)
        return drawn @ apart, expected / drawn.sum(axis=1)

    return _interval(sums, drawing, confidence, draws, seed)


def _unknown(parameter: str, given: object, known: tuple[object, ...]) -> InvalidRequestError:
    return InvalidRequestError(
        f"{parameter}={given!r} is none of {', '.join(map(repr, known))}.", details={"parameter": parameter}
    )


def _alpha_sums(ratings: Array, level: Level) -> Callable[[Array], tuple[Array, Array]]:
    """From weights of units, shape (draws, units), to the disagreement seen and expected in each draw.

    Squared gaps of all pairs of m values are m Σx² - (Σx)², so nothing is as large as the pairs. A gap of ranks is a
    gap of places in the sample's own order, which is new in each draw.
    """
    there = ~np.isnan(ratings)
    raters = there.sum(axis=1)
    if level == "interval":
        found = np.where(there, ratings - ratings[there].mean(), 0.0)
        first, second = found.sum(axis=1), (found**2).sum(axis=1)
        within = 2 * (raters * second - first**2) / (raters - 1)

        def by_size(drawn: Array) -> tuple[Array, Array]:
            n = drawn @ raters
            return drawn @ within, 2 * (n * (drawn @ second) - (drawn @ first) ** 2) / (n - 1)

        return by_size
    values, places = np.unique(ratings[there], return_inverse=True)
    counts = np.zeros((len(ratings), len(values)))
    np.add.at(counts, (np.repeat(np.arange(len(ratings)), raters), places), 1)
    unlike = (raters**2 - (counts**2).sum(axis=1)) / (raters - 1)

    def by_kind(drawn: Array) -> tuple[Array, Array]:
        totals = drawn @ counts
        n = totals.sum(axis=1)
        return drawn @ unlike, (n**2 - (totals**2).sum(axis=1)) / (n - 1)

    def by_rank(drawn: Array) -> tuple[Array, Array]:
        totals = drawn @ counts
        n = totals.sum(axis=1)
        ranks = np.cumsum(totals, axis=1) - totals / 2 - n[:, None] / 2
        first, second = ranks @ counts.T, ranks**2 @ counts.T
        within = (drawn * (2 * (raters * second - first**2) / (raters - 1))).sum(axis=1)
        return within, 2 * n * (totals * ranks**2).sum(axis=1) / (n - 1)

    return by_kind if level == "nominal" else by_rank


class _Drawing(NamedTuple):
    """How samples are drawn: lots, how often each is there, and the rows that come with each."""

    lots: Array
    rows: NDArray[np.intp] | None
    """Of each row: its lot; None: each row is one."""

    def whole(self) -> Array:
        """Weights of the rows in the sample that was given."""
        return self.lots[None] if self.rows is None else np.ones((1, len(self.rows)))

    def drawn(self, draws: int, rng: np.random.Generator) -> Array:
        """Weights of the rows in drawn samples; shape (draws, rows)."""
        many = int(self.lots.sum())
        taken = rng.multinomial(many, self.lots / many, size=draws).astype(np.float64)
        return taken if self.rows is None else taken[:, self.rows]


def _packed(ratings: Array, clusters: NDArray[Any] | None) -> tuple[Array, _Drawing]:
    """Equal rows as one that counts so often, where each is drawn for itself: few labels make few kinds of rows."""
    if clusters is not None:
        groups = codes(clusters)
        return ratings, _Drawing(np.ones(int(groups.max()) + 1), groups)
    rows, counts = np.unique(ratings, axis=0, return_counts=True)
    return rows, _Drawing(counts.astype(np.float64), None)


def _interval(
    sums: Callable[[Array], tuple[Array, Array]], drawing: _Drawing, confidence: float, draws: int, seed: int
) -> Interval | None:
    """One minus the disagreement seen over the one expected, and the percentiles of its samples."""
    found = float(_beyond_chance(sums, drawing.whole())[0])
    if math.isnan(found):
        return None
    if drawing.lots.sum() < 2:
        return Interval(found, math.nan, math.nan)
    rng = np.random.default_rng(seed)
    step = max(1, BATCH_BYTES // (64 * drawing.whole().size))
    sizes = [min(step, draws - start) for start in range(0, draws, step)]
    sampled = np.concatenate([_beyond_chance(sums, drawing.drawn(size, rng)) for size in sizes])
    known = sampled[~np.isnan(sampled)]
    if not len(known):
        return Interval(found, math.nan, math.nan)
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(found, float(low), float(high))


def _beyond_chance(sums: Callable[[Array], tuple[Array, Array]], drawn: Array) -> Array:
    seen, expected = sums(drawn)
    share = np.divide(seen, expected, out=np.full(len(drawn), np.nan), where=expected > 1e-12)
    return np.asarray(1 - share, dtype=np.float64)
