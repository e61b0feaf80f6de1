"""Strengths from pairwise verdicts: Bradley and Terry's model, with Davidson's ties."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from prsm_lab.errors import InternalError
from prsm_lab.statistics.intervals import codes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from prsm_lab.statistics.intervals import Array

PRIOR: Final = 0.5
"""Wins and losses against an average stranger that each player is lent where verdicts alone fix no strengths."""
ROWS_PER_PLAYER: Final = 10
"""From so many clusters a player on, errors are robust against verdicts of one cluster agreeing."""
EMPTY: Final = 1e-9
"""A robust variance below this share of the model's is none."""
MOST_STEPS: Final = 200
POINTS: Final = np.array([1.0, 0.5, 0.0])
"""Of the first of a pair, for a win, a tie and a loss."""


class Strengths(NamedTuple):
    """Of n players: log strengths with mean nought, their intervals, and what they can expect."""

    strength: Array
    low: Array
    high: Array
    win_rate: Array
    """Share of points (a tie is half) that is expected against the others, each met as often."""
    separated: bool
    """Whether players had to be lent games (`PRIOR`)."""


def fit(
    first: ArrayLike, second: ArrayLike, points: ArrayLike, *, clusters: ArrayLike | None = None, alpha: float = 0.05
) -> Strengths:
    """Return the most likely strengths, and intervals from the observed information.

    With strengths π and a propensity to tie ν, i beats j with probability π_i / (π_i + π_j + ν √(π_i π_j)): Davidson,
    R. R. (1970), "On extending the Bradley-Terry model to accommodate ties", JASA 65; without ties Bradley & Terry
    (1952), Biometrika 39. Verdicts of one cluster (several pairs of variants on one input row, several voters) depend
    on each other: with enough clusters the errors are cluster-robust (sandwich).

    Where somebody never loses, or verdicts do not connect the players, no finite strengths are most likely (Ford 1957,
    Am. Math. Mon. 64): each player is then lent half a win and half a loss against a stranger of average strength (the
    conjugate prior of Whelan 2017, arXiv:1712.05311). Intervals are NaN where nobody ever won.

    Args:
        first: Shape (m,): players from 0, without gaps.
        second: Shape (m,): their opponents.
        points: Shape (m,): 1 where the first won, 0 where the second did, 0.5 for a tie.
        clusters: Shape (m,): which verdicts belong together.
        alpha: Intervals hold with probability 1 - alpha each.

    >>> found = fit([0, 0, 0, 0], [1, 1, 1, 1], [1, 1, 1, 0])
    >>> [round(float(one), 3) for one in found.strength], [float(round(one, 2)) for one in found.win_rate]
    ([0.549, -0.549], [0.75, 0.25])
    """
    from scipy.special import ndtri

    a, b = np.asarray(first, dtype=np.intp), np.asarray(second, dtype=np.intp)
    outcome = np.searchsorted(-POINTS, -np.asarray(points, dtype=np.float64))
    players = int(max(a.max(), b.max())) + 1
    if (outcome == 1).all():
        nought, unknown = np.zeros(players), np.full(players, math.nan)
        return Strengths(nought, unknown, unknown, np.full(players, 0.5), separated=False)
    separated = not _connected(a, b, outcome, players)
    seats = np.eye(players)
    game = _Game(seats[a] - seats[b], outcome, bool((outcome == 1).any()), PRIOR if separated else 0.0)
    found = _climbed(game)
    cover: Array = np.asarray(np.linalg.inv(game.information(found)), dtype=np.float64)
    if clusters is not None:
        cover = _robust(game, found, codes(np.asarray(clusters)), cover)
    centre = np.eye(players) - 1 / players
    strength, turn = centre @ game.strengths(found), centre[:, : game.free]
    error = np.sqrt(np.diag(turn @ cover[: game.free, : game.free] @ turn.T))
    half = float(ndtri(1 - alpha / 2)) * error
    return Strengths(strength, strength - half, strength + half, _win_rates(strength, game.ties(found)), separated)


class _Game(NamedTuple):
    """The likelihood of verdicts: multinomial logit in the strengths (the last one nought) and log ν."""

    design: Array
    """Shape (m, players): 1 for the first of a pair, -1 for the second."""
    outcome: NDArray[np.intp]
    """Shape (m,): place in `POINTS`."""
    tied: bool
    """Whether there are ties, and so a ν."""
    prior: float

    @property
    def free(self) -> int:
        """How many strengths are free; with a prior all: the stranger has nought."""
        return int(self.design.shape[1]) - (0 if self.prior else 1)

    def strengths(self, at: Array) -> Array:
        return np.append(at[: self.free], [] if self.prior else [0.0])

    def ties(self, at: Array) -> float:
        """Return log ν."""
        return float(at[-1]) if self.tied else -math.inf

    def chances(self, at: Array) -> Array:
        """Of a win, a tie and a loss of each first player, shape (m, 3)."""
        return _chances(self.design @ self.strengths(at), self.ties(at))

    def likelihood(self, at: Array) -> float:
        chosen = self.chances(at)[np.arange(len(self.outcome)), self.outcome]
        lent = at[: self.free] - 2 * np.logaddexp(0.0, at[: self.free])
        return float(np.log(np.maximum(chosen, 1e-300)).sum() + self.prior * lent.sum())

    def slopes(self, at: Array) -> Array:
        """Of each verdict, shape (m, parameters)."""
        chances = self.chances(at)
        more = (POINTS[self.outcome] - chances @ POINTS)[:, None] * self.design[:, : self.free]
        return np.column_stack([more, (self.outcome == 1) - chances[:, 1]]) if self.tied else more

    def slope(self, at: Array) -> Array:
        made = np.asarray(self.slopes(at).sum(axis=0), dtype=np.float64)
        made[: self.free] -= self.prior * np.tanh(at[: self.free] / 2)
        return made

    def information(self, at: Array) -> Array:
        """Minus the second derivatives; the model is an exponential family, so that observed is expected."""
        chances, design = self.chances(at), self.design[:, : self.free]
        mean, tie = chances @ POINTS, chances[:, 1]
        made = (design * (chances @ POINTS**2 - mean**2)[:, None]).T @ design
        made += np.diag(self.prior / (2 * np.cosh(at[: self.free] / 2) ** 2))
        if not self.tied:
            return np.asarray(made, dtype=np.float64)
        mixed = design.T @ (tie * (0.5 - mean))
        return np.block([[made, mixed[:, None]], [mixed[None, :], np.full((1, 1), (tie * (1 - tie)).sum())]])


def _chances(gaps: Array, ties: float) -> Array:
    """Davidson's chances of a win, a tie and a loss of players that are so much stronger, with log ν; (m, 3)."""
    logits = np.stack([gaps / 2, np.full(gaps.shape, ties), -gaps / 2], axis=-1)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True), dtype=np.float64)


def _connected(a: Any, b: Any, outcome: Any, players: int) -> bool:
    """Ford's condition: from everybody a chain of wins (or ties) leads to everybody."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    beaten, by = np.where(outcome == 2, a, b), np.where(outcome == 2, b, a)
    tied = outcome == 1
    rows, columns = np.append(by, beaten[tied]), np.append(beaten, by[tied])
    edges = coo_array((np.ones(len(rows)), (rows, columns)), shape=(players, players)).tocsr()
    count, _ = connected_components(edges, directed=True, connection="strong")
    return bool(count == 1)


def _climbed(game: _Game) -> Array:
    """The top of the likelihood, which is concave, by scipy's Newton in a trust region."""
    from scipy import optimize

    start = np.zeros(game.free + game.tied)
    size = len(game.outcome)
    found = optimize.minimize(
        lambda at: -game.likelihood(at) / size, start, jac=lambda at: -game.slope(at) / size,
        hess=lambda at: game.information(at) / size, method="trust-exact",
        options={"gtol": 1e-9, "maxiter": MOST_STEPS},
    )  # fmt: skip
    if not np.abs(game.slope(found.x)).max() / size < 1e-6:
        raise InternalError("The strengths of these verdicts were not found; please report it with the verdicts.")
    return np.asarray(found.x, dtype=np.float64)


def _robust(game: _Game, at: Array, groups: NDArray[np.intp], cover: Array) -> Array:
    """The sandwich, if there are clusters enough and any has several verdicts; else the model's own.

    Where the verdicts of every cluster cancel, the sandwich has no filling: it would claim to know all.
    """
    count = int(groups.max()) + 1
    if count == len(groups) or count < ROWS_PER_PLAYER * game.design.shape[1]:
        return cover
    slopes = game.slopes(at)
    sums = np.zeros((count, slopes.shape[1]))
    np.add.at(sums, groups, slopes)
    found = np.asarray(count / (count - 1) * cover @ (sums.T @ sums) @ cover, dtype=np.float64)
    return cover if (np.diag(found) < EMPTY * np.diag(cover)).any() else found


def _win_rates(strengths: Array, ties: float) -> Array:
    chances = _chances(strengths[:, None] - strengths[None, :], ties) @ POINTS
    return np.asarray((chances.sum(axis=1) - 0.5) / max(1, len(strengths) - 1), dtype=np.float64)
