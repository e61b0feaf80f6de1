"""One figure of an audit with its interval, or the reason why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from prsm_lab.statistics import agreement, intervals

if TYPE_CHECKING:
    from collections.abc import Callable

    from prsm_lab.frames.labelling import Figures
    from prsm_lab.statistics.intervals import Interval

FEWEST: Final = 5
"""Comparisons below which nothing is said of a preference or a correlation."""


class Line(NamedTuple):
    """One row of an audit."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    note: str | None


class Gauge(NamedTuple):
    """Measures, with intervals of one level."""

    confidence: float
    draws: int
    """Bootstrap samples."""
    seed: int

    def mean(self, metric: str, values: Any, clusters: Any, note: str, why: str = "nothing to tell it from") -> Line:
        """A mean with its interval."""
        found = np.asarray(values, dtype=np.float64)
        there = ~np.isnan(found)
        groups = None if clusters is None else np.asarray(clusters)[there]
        return _line(
            metric, intervals.mean_interval(found[there], clusters=groups, confidence=self.confidence),
            int(there.sum()), note, why,
        )  # fmt: skip

    def chance(self, metric: str, ratings: Any, clusters: Any, note: str, **options: Any) -> Line:
        """κ or α, as the options say."""
        count: Callable[..., Interval | None] = agreement.krippendorff if "level" in options else agreement.cohen
        found = count(
            ratings, **options, clusters=clusters, confidence=self.confidence, draws=self.draws, seed=self.seed
        )
        rated = int(((~np.isnan(ratings)).sum(axis=1) > 1).sum())
        return _line(
            metric,
            found,
            rated,
            note,
            "all labels are equal: chance explains it" if rated else "nothing was labelled twice",
        )

    def correlation(self, metric: str, one: Figures, other: Figures, clusters: Any, note: str) -> Line:
        """Spearman's correlation; its interval by Bonett & Wright (2000), Psychometrika 65, on as many as rows."""
        from scipy import stats
        from scipy.special import ndtri

        there = ~np.isnan(one) & ~np.isnan(other)
        n = int(there.sum())
        if n < FEWEST:
            return Line(metric, None, None, None, n, f"fewer than {FEWEST} to tell it from")
        if np.ptp(one[there]) == 0 or np.ptp(other[there]) == 0:
            return Line(metric, None, None, None, n, "one side is always the same")
        found = float(stats.spearmanr(one[there], other[there]).statistic)
        units = n if clusters is None else len(set(np.asarray(clusters)[there].tolist()))
        if units < FEWEST or abs(found) > 1 - 1e-9:
            return Line(metric, found, None, None, n, note)
        half = float(ndtri((1 + self.confidence) / 2)) * np.sqrt((1 + found**2 / 2) / (units - 3))
        low, high = np.tanh(np.arctanh(found) - half), np.tanh(np.arctanh(found) + half)
        return Line(metric, found, float(low), float(high), n, note)


def _line(metric: str, found: Interval | None, n: int, note: str, why: str) -> Line:
    return Line(metric, None, None, None, n, why) if found is None else Line(metric, *found, n, note)
