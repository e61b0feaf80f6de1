"""What a router keeps and saves on rows whose qualities are known, against chance and against knowing all."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from prsm_lab.statistics import guarantees
from prsm_lab.statistics.intervals import Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from prsm_lab.statistics.intervals import Array

DRAWS = 2_000


class Rows(NamedTuple):
    """Labelled questions: of each the quality and the price of both models' answers, and the signal."""

    cheap: Array
    strong: Array
    signal: Array
    cheap_cost: Array
    """USD of all that was asked of the cheap model."""
    strong_cost: Array

    def take(self, at: NDArray[np.intp]) -> Rows:
        """Return some of the rows."""
        return Rows(*(column[at] for column in self))


class Standing(NamedTuple):
    """What a threshold does to some rows."""

    share: float
    """Of the questions, those that the cheap model answers."""
    quality: float
    """Mean of the answers that are given."""
    cost: float
    """USD per question, all that is asked counted; NaN where a price is unknown."""


def standing(rows: Rows, threshold: float, *, cascade: bool) -> Standing:
    """Return what a threshold does.

    Args:
        rows: Labelled questions.
        threshold: The cheap model answers where the signal is at least this.
        cascade: Is the cheap model paid in any case?

    >>> one, two = np.ones(2), np.array([0.2, 0.8])
    >>> standing(Rows(np.array([0.0, 1.0]), one, two, one / 2, one), 0.5, cascade=True)
    Standing(share=0.5, quality=1.0, cost=1.0)
    """
    there = rows.signal >= threshold
    given, paid = np.where(there, rows.cheap, rows.strong), _paid(rows, there, cascade=cascade)
    return Standing(float(there.mean()), float(given.mean()), float(paid.mean()))


def _paid(rows: Rows, there: NDArray[np.bool_], *, cascade: bool) -> Array:
    if cascade:
        return np.asarray(rows.cheap_cost + np.where(there, 0.0, rows.strong_cost))
    return np.asarray(np.where(there, rows.cheap_cost, rows.strong_cost))


def kept(rows: Rows, threshold: float, *, confidence: float = 0.95) -> Interval:
    """Return the share of the strong model's quality that a threshold keeps on these rows, with its interval.

    A ratio of means, paired by row; the interval is `guarantees.kept_ends`, which holds at any number of rows. NaN
    where the strong model has none. Where nothing goes to the cheap model everything is kept, for sure.

    Args:
        rows: Labelled questions that took no part in choosing the threshold.
        threshold: As in `standing`.
        confidence: Of the interval.

    >>> made = kept(Rows(*[np.ones(90)] * 5), 0.5)
    >>> round(made.mean, 3), round(made.low, 3), round(made.high, 3)
    (1.0, 0.954, 1.046)
    """
    if np.isinf(threshold) and threshold > 0:
        return Interval(1.0, 1.0, 1.0)
    given = np.where(rows.signal >= threshold, rows.cheap, rows.strong)
    total = float(rows.strong.sum())
    if not total > 0 or np.isnan(given).any():
        return Interval(float("nan"), float("nan"), float("nan"))
    return Interval(float(given.sum()) / total, *guarantees.kept_ends(given, rows.strong, confidence=confidence))


def saved(rows: Rows, threshold: float, *, cascade: bool, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Return the share of the strong model's bill that a threshold saves, with its interval.

    A ratio of means, paired by row; percentile bootstrap of 2,000 draws: prices have no bound, as qualities have. Where
    all rows went one way no draw goes the other, so there the interval reaches to where it would lie if as many went
    the other way as Clopper and Pearson do not exclude. Negative where asking the cheap model in vain costs more than
    it saves.

    Args:
        rows: Labelled questions that took no part in choosing the threshold.
        threshold: As in `standing`.
        cascade: Is the cheap model paid in any case?
        confidence: Of the interval.
        seed: Of the draws.

    >>> free = Rows(*[np.ones(9)] * 3, np.zeros(9), np.ones(9))
    >>> made = saved(free, 0.5, cascade=True)
    >>> made.mean, round(made.low, 3), made.high
    (1.0, 0.664, 1.0)
    """
    there = rows.signal >= threshold
    paid = _paid(rows, there, cascade=cascade)
    found = ratio(paid, rows.strong_cost, confidence=confidence, seed=seed)
    low, high = found.low, found.high
    if there.all() or (not there.any() and np.isfinite(threshold)):
        unseen = 1 - ((1 - confidence) / 2) ** (1 / len(there))
        other = ratio(_paid(rows, ~there, cascade=cascade), rows.strong_cost, confidence=confidence, seed=seed).mean
        reached = (1 - unseen) * found.mean + unseen * other
        low, high = min(low, reached), max(high, reached)
    return Interval(1 - found.mean, 1 - high, 1 - low)


def ratio(over: Array, under: Array, *, confidence: float, seed: int) -> Interval:
    """Return mean(over) / mean(under) of paired rows with its bootstrap interval; NaN where nothing stands below."""
    if not len(over) or not under.sum() > 0 or np.isnan(over).any():
        return Interval(float("nan"), float("nan"), float("nan"))
    at = np.random.default_rng(seed).integers(0, len(over), (DRAWS, len(over)))
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = over[at].sum(axis=1) / under[at].sum(axis=1)
    low, high = np.nanquantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(over.sum() / under.sum()), float(low), float(high))


def curve(rows: Rows, *, cascade: bool, points: int = 101) -> dict[str, Array]:
    """Return cost and quality at every share of questions that may go to the cheap model.

    Args:
        rows: Labelled questions.
        cascade: Is the cheap model paid in any case?
        points: Shares, from none to all.

    Returns:
        By name, each of shape (points,): `threshold` (infinite for none), `share`, `quality` and `cost` of the signal;
        `random_quality` and `random_cost` of a coin that sends so many there; `oracle_quality` and `oracle_cost` of
        who knows both answers beforehand. Neither coin nor oracle asks the cheap model in vain.

    >>> rows = Rows(np.array([1.0, 0.0]), np.ones(2), np.array([0.9, 0.1]), np.zeros(2), np.ones(2))
    >>> made = curve(rows, cascade=False)
    >>> [float(made[name][50]) for name in ("quality", "random_quality", "oracle_quality")]
    [1.0, 0.75, 1.0]
    """
    n = len(rows.cheap)
    counts = np.round(np.linspace(0, 1, points) * n).astype(int)
    by_signal = np.argsort(-rows.signal, kind="stable")
    by_truth = np.argsort(rows.strong - rows.cheap, kind="stable")
    share = counts / n
    thresholds = np.where(counts > 0, rows.signal[by_signal[np.maximum(counts - 1, 0)]], np.inf)
    found = [standing(rows, float(threshold), cascade=cascade) for threshold in thresholds]
    return {
        "threshold": thresholds,
        "share": np.array([one.share for one in found]),
        "quality": np.array([one.quality for one in found]),
        "cost": np.array([one.cost for one in found]),
        "random_quality": share * rows.cheap.mean() + (1 - share) * rows.strong.mean(),
        "random_cost": share * rows.cheap_cost.mean() + (1 - share) * rows.strong_cost.mean(),
        "oracle_quality": _summed(rows.cheap, rows.strong, by_truth)[counts] / n,
        "oracle_cost": _summed(rows.cheap_cost, rows.strong_cost, by_truth)[counts] / n,
    }


def _summed(cheap: Array, strong: Array, order: NDArray[np.intp]) -> Array:
    """Sums where the first 0, 1, 2 … rows are the cheap model's."""
    return np.asarray(strong.sum() + np.concatenate([[0.0], np.cumsum((cheap - strong)[order])]))
