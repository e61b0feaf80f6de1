"""Logistic regression of a share on the words of a text: small, sparse, and the same on every machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from prsm_lab.statistics.intervals import Array

PENALTIES: Final = (0.01, 0.1, 1.0)
FOLDS: Final = 4
MOST_STEPS: Final = 100


class Fit(NamedTuple):
    """Weights by place, and what stands before them."""

    weights: dict[int, float]
    bias: float


def fit(texts: Sequence[Mapping[int, float]], wanted: Array, *, plain: frozenset[int] = frozenset()) -> Fit:
    """Fit the chance of success to sparse features.

    Features are weighted by how rare they are: log((1 + n) / (1 + rows that have it)), so what all rows share counts
    nothing; the weights returned hold it. The ridge penalty is the one of `PENALTIES` with the least loss in
    four-fold cross-validation (rows n, n + 4, n + 8 … are a fold).

    Args:
        texts: Features of each row, by place.
        wanted: Success of each row, 0 to 1, shape (n,).
        plain: Places whose features are taken as they are.

    >>> made = fit([{0: 1.0}, {1: 1.0}] * 20, np.array([1.0, 0.0] * 20))
    >>> made.weights[0] > 0 > made.weights[1]
    True
    """
    places = sorted({place for row in texts for place in row})
    if not places or np.ptp(wanted) == 0:
        share = float(wanted.mean()) if len(wanted) else 0.5
        share = min(max(share, 0.5 / (len(wanted) + 1)), 1 - 0.5 / (len(wanted) + 1))
        return Fit({}, math.log(share / (1 - share)))
    matrix, rarity = _matrix(texts, places, plain)
    losses = {penalty: _cross_validated(matrix, wanted, penalty) for penalty in PENALTIES}
    found = _solved(matrix, wanted, min(losses, key=lambda penalty: losses[penalty]))
    kept = {place: float(weight) for place, weight in zip(places, found[1:] * rarity, strict=True)}
    return Fit({place: round(weight, 6) for place, weight in kept.items() if abs(weight) >= 5e-7}, float(found[0]))


def _matrix(texts: Sequence[Mapping[int, float]], places: list[int], plain: frozenset[int]) -> tuple[Any, Array]:
    from scipy.sparse import csr_array

    at = {place: n for n, place in enumerate(places)}
    rows = [n for n, row in enumerate(texts) for _ in row]
    columns = [at[place] for row in texts for place in row]
    values = [value for row in texts for value in row.values()]
    found = np.bincount(columns, minlength=len(places))
    rarity = np.log((1 + len(texts)) / (1 + found))
    rarity[[at[place] for place in plain if place in at]] = 1.0
    matrix = csr_array((np.asarray(values) * rarity[columns], (rows, columns)), shape=(len(texts), len(places)))
    return matrix, rarity


def _cross_validated(matrix: Any, wanted: Array, penalty: float) -> float:
    fold: NDArray[np.intp] = np.arange(len(wanted)) % FOLDS
    loss = 0.0
    for n in range(min(FOLDS, len(wanted))):
        out = fold == n
        if out.all():
            return math.inf
        found = _solved(matrix[~out], wanted[~out], penalty)
        loss += _loss(found[0] + matrix[out] @ found[1:], wanted[out])
    return loss


def _loss(scores: Array, wanted: Array) -> float:
    return float((np.logaddexp(0.0, scores) - wanted * scores).sum())


def _solved(matrix: Any, wanted: Array, penalty: float) -> Array:
    """Bias and weights; the bias is not penalised."""
    from scipy.optimize import minimize
    from scipy.special import expit

    def value(point: Array) -> tuple[float, Array]:
        scores = point[0] + matrix @ point[1:]
        off = expit(scores) - wanted
        slope = np.concatenate([[off.sum()], matrix.T @ off + penalty * point[1:]])
        return _loss(scores, wanted) + 0.5 * penalty * float(point[1:] @ point[1:]), slope

    start = np.zeros(matrix.shape[1] + 1)
    return np.asarray(
        minimize(value, start, jac=True, method="L-BFGS-B", options={"maxiter": MOST_STEPS, "ftol": 1e-7}).x
    )
