"""Looking after every row: intervals of a mean that hold at all times at once, so that one may stop when one likes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from prsm_lab.errors import InvalidRequestError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from prsm_lab.statistics.intervals import Array

TRUNCATION: Final = 0.5
"""Most of the wealth that is ever staked (c of the paper)."""
POINTS: Final = 1001
"""Candidate means that are bet against; the ends of an interval are right to one step of them."""


class Bets:
    """A running confidence sequence for the mean of bounded differences, of one stream or of several at once.

    Against each candidate mean somebody bets that the true mean is greater, and somebody that it is less; against the
    true mean no wealth ever grows 1/alpha-fold with probability more than alpha (Ville's inequality), at whichever row
    one stops. Candidates against which that happened are out for good. The hedged capital process with predictable
    plug-in bets of Waudby-Smith, I. & Ramdas, A. (2024), "Estimating means of bounded random variables by betting",
    J. R. Stat. Soc. B 86, section 4.3. It holds at any number of rows, for any distribution within the bounds, if rows
    come in random order from the questions that one wants to know about.

    With k streams each has alpha / k, so that all of them hold together (Bonferroni).

    Args:
        alpha: Chance that any of the sequences ever misses its mean.
        bounds: What a difference can be; scores of 0 to 1 differ by -1 to 1.
        streams: How many means are followed, e.g. variants against one baseline.
        points: Candidates; nought is always one of them, where it lies between the bounds.

    >>> bets = Bets()
    >>> for difference in [1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1]:
    ...     low, high = bets.update(difference)
    >>> bool(bets.decided[0]), round(float(bets.mean[0]), 3)
    (True, 0.812)
    """

    def __init__(
        self, *, alpha: float = 0.05, bounds: tuple[float, float] = (-1.0, 1.0), streams: int = 1, points: int = POINTS
    ) -> None:
        low, high = bounds
        if not (0 < alpha < 1 and math.isfinite(low) and math.isfinite(high) and low < high):
            raise InvalidRequestError(
                f"alpha={alpha!r} must lie between 0 and 1, bounds={bounds!r} must be two numbers, the less one first.",
                details={"parameter": "bounds" if 0 < alpha < 1 else "alpha"},
            )
        if streams < 1 or points < 2:
            raise InvalidRequestError(
                "streams must be at least 1, points at least 2.", details={"parameter": "streams"}
            )
        self.low_bound, self.high_bound = float(low), float(high)
        self._limit = math.log(streams / alpha)
        means = np.linspace(0.0, 1.0, points)
        nought = -low / (high - low)
        if 0 < nought < 1:
            means = np.unique(np.append(means[np.abs(means - nought) > 1e-12], nought))
        self._means: Array = means
        self._nought = int(np.argmin(np.abs(means - nought))) if 0 <= nought <= 1 else None
        self._up: Array = np.zeros((streams, len(means)))
        self._down: Array = np.zeros((streams, len(means)))
        self._out: NDArray[np.bool_] = np.zeros((streams, len(means)), dtype=bool)
        self.n: NDArray[np.int64] = np.zeros(streams, dtype=np.int64)
        """Differences seen of each stream, shape (streams,)."""
        self._sum: Array = np.zeros(streams)
        self._squares: Array = np.full(streams, 0.25)  # as if one row had been seen that strayed by half the range

    def update(self, differences: float | ArrayLike) -> tuple[Array, Array]:
        """Take one more difference of each stream, and return the ends of the intervals.

        Args:
            differences: One number, or shape (streams,); NaN where a row failed: that stream stays as it is.

        Returns:
            Lower and upper ends, shape (streams,) each.

        Raises:
            InvalidRequestError: If a difference lies outside the bounds.
        """
        given = np.atleast_1d(np.asarray(differences, dtype=np.float64))
        if given.shape != self.n.shape:
            raise InvalidRequestError(
                f"{given.size} differences for {len(self.n)} streams.", details={"parameter": "differences"}
            )
        span = self.high_bound - self.low_bound
        scaled = (given - self.low_bound) / span
        seen = ~np.isnan(scaled)
        if (outside := seen & ((scaled < -1e-9) | (scaled > 1 + 1e-9))).any():
            raise InvalidRequestError(
                f"The difference {given[outside][0]!r} lies outside {self.low_bound} to {self.high_bound}: give the "
                "bounds of what the scores can be.",
                details={"parameter": "differences"},
            )
        if seen.any():
            self._bet(np.clip(scaled, 0.0, 1.0), seen)
        return self.low, self.high

    def _bet(self, values: Array, seen: NDArray[np.bool_]) -> None:
        """Stakes depend on earlier rows only; each is at most half of what could be lost."""
        rows = np.flatnonzero(seen)
        x, t = values[rows], self.n[rows] + 1
        spread = self._squares[rows] / t
        stake = np.sqrt(2 * self._stake_log() / (spread * t * np.log1p(t)))[:, None]
        m = self._means
        with np.errstate(divide="ignore"):
            up, down = np.minimum(stake, TRUNCATION / m), np.minimum(stake, TRUNCATION / (1 - m))
        off = x[:, None] - m
        self._up[rows] += np.log1p(up * off)
        self._down[rows] += np.log1p(-down * off)
        self._out[rows] |= np.maximum(self._up[rows], self._down[rows]) - math.log(2) >= self._limit
        self.n[rows] = t
        self._sum[rows] += x
        guess = (0.5 + self._sum[rows]) / (t + 1)
        self._squares[rows] += (x - guess) ** 2

    def _stake_log(self) -> float:
        return self._limit + math.log(2)  # log(2 / alpha)

    @property
    def mean(self) -> Array:
        """Mean of the differences so far, shape (streams,); NaN before the first."""
        share = np.divide(self._sum, self.n, out=np.full(len(self.n), math.nan), where=self.n > 0)
        return np.asarray(self.low_bound + share * (self.high_bound - self.low_bound), dtype=np.float64)

    @property
    def low(self) -> Array:
        """Lower ends, shape (streams,): the last candidate that is out, below the first that is not."""
        first = np.argmax(~self._out, axis=1)
        return self._ends(np.where(self._all_out(), 0, np.maximum(first - 1, 0)))

    @property
    def high(self) -> Array:
        """Upper ends, shape (streams,): the first candidate that is out, above the last that is not."""
        top = len(self._means) - 1
        last = top - np.argmax(~self._out[:, ::-1], axis=1)
        return self._ends(np.where(self._all_out(), top, np.minimum(last + 1, top)))

    @property
    def decided(self) -> NDArray[np.bool_]:
        """Which streams have excluded a mean of nought, shape (streams,). Once decided, always decided."""
        if self._nought is None:
            return np.ones(len(self.n), dtype=bool)
        return self._out[:, self._nought].copy()

    def _all_out(self) -> NDArray[np.bool_]:
        """The true mean lies between two candidates, or this is the stream in 20: nothing is claimed then."""
        return np.asarray(self._out.all(axis=1))

    def _ends(self, at: NDArray[np.intp]) -> Array:
        return np.asarray(self.low_bound + self._means[at] * (self.high_bound - self.low_bound), dtype=np.float64)
